//! What kind of set is made, at what time, and whether the passphrase is the right one for it.

use super::staging::Leftovers;
use super::{BackupKind, BackupRequest};
use crate::engine::chain::{Chain, Collection, FullReason, Set};
use crate::engine::crypto::{CryptoError, Encryption, Opener, Passphrases};
use crate::engine::error::{Error, Result};
use crate::engine::format::name::{Codec, SetKind};
use crate::engine::format::time::SetTime;
use crate::engine::job::Job;
use crate::engine::origin::Origin;
use crate::engine::path::plain_root;
use crate::engine::restore::MANIFEST_LIMIT;
use crate::engine::stored::{StoredReader, read_small};

/// What kind of set is made.
pub enum Choice<'a> {
    /// One that stands on its own, and why.
    Full(FullReason),
    /// One that builds on this chain.
    Extend(&'a Chain),
}

/// Decides what kind of set is made. Only the newest chain is ever extended: two chains that cover the
/// same time are one too many for duplicity.
pub fn choose<'a>(
    request: &BackupRequest<'_>,
    collection: &'a Collection,
    now: SetTime,
    job: &Job,
) -> Result<Choice<'a>> {
    let policy = match request.kind {
        BackupKind::Full => return Ok(Choice::Full(FullReason::Asked)),
        BackupKind::Auto(policy) => Some(policy),
        BackupKind::Incremental => None,
    };
    let reason = match collection.chains.last() {
        None => FullReason::First,
        Some(chain) => {
            let is_encrypted = chain.sets.last().is_some_and(Set::is_encrypted);
            let other_protection = is_encrypted != request.protection.is_openpgp();
            let reason = chain
                .cannot_be_extended()
                .or_else(|| (policy.is_some() && other_protection).then_some(FullReason::Protection))
                .or_else(|| policy.and_then(|policy| policy.full_is_due(chain, now)));
            match reason {
                None => return mind_the_source(request, chain, job),
                Some(reason) => reason,
            }
        }
    };
    match policy {
        Some(_) => Ok(Choice::Full(reason)),
        None => Err(Error::CannotExtend { location: request.storage.location(), reason }),
    }
}

/// A chain of another machine or folder is left alone, unless somebody says that it is the same one: what would be
/// stored as changed and as gone is everything.
fn mind_the_source<'a>(request: &BackupRequest<'_>, chain: &'a Chain, job: &Job) -> Result<Choice<'a>> {
    let Some(last) = chain.sets.last().filter(|_| !request.allow_source_mismatch) else {
        return Ok(Choice::Extend(chain));
    };
    let opener = Opener::new(request.keyring, request.passphrases, None, job)?;
    // What is damaged says nothing. What it says of volumes is not needed here.
    let Some(origin) = Origin::of_set(last, request.storage, &opener, request.copies, job)? else {
        return Ok(Choice::Extend(chain));
    };
    let other_folder = origin.folder.as_ref().is_some_and(|folder| *folder != plain_root(request.root));
    let other_host = origin.other_host();
    if other_host.is_none() && !other_folder {
        return Ok(Choice::Extend(chain));
    }
    let text = |name: Option<Vec<u8>>| String::from_utf8_lossy(&name.unwrap_or_default()).into_owned();
    let host = text(origin.host_name);
    let found = format!("{} on {host}", text(origin.folder));
    if request.kind == BackupKind::Incremental {
        return Err(Error::OtherSource { found });
    }
    // The machine may have been renamed, or its files moved to another one.
    if !other_folder && job.ask_other_host(host)? == Some(true) {
        return Ok(Choice::Extend(chain));
    }
    Ok(Choice::Full(FullReason::OtherSource { found }))
}

/// Makes sure of the passphrase before anything is sealed with it. The first one of a destination is
/// typed twice, since a slip of the fingers would lock the backup for ever; a later one has to open
/// what is there.
pub fn know_passphrase(request: &BackupRequest<'_>, collection: &Collection, job: &Job) -> Result<()> {
    if request.protection.encryption != Encryption::Passphrase {
        return Ok(());
    }
    // A chain that is left as it is may have had another passphrase.
    let counts = |chain: &&Chain| !matches!(request.kind, BackupKind::Auto(policy) if policy.leaves(chain));
    let newest = collection.chains.last().filter(counts).and_then(|chain| chain.sets.last());
    let manifest = newest.filter(|set| set.is_encrypted()).and_then(|set| set.manifest.as_ref());
    let Some(manifest) = manifest else {
        return request.passphrases.new_archive(job).map(drop);
    };
    let opener = Opener::new(request.keyring, request.passphrases, None, job)?;
    let read = StoredReader::open(request.storage, &manifest.name, &opener, job)
        .and_then(|reader| read_small(&manifest.name, reader, MANIFEST_LIMIT));
    match read {
        Err(
            error @ (Error::Cancelled(_) | Error::Crypto { source: CryptoError::WrongPassphrase { .. }, .. }),
        ) => Err(error),
        Err(error @ Error::Crypto { source: CryptoError::PassphraseNeeded { .. }, .. }) => Err(error),
        // It was read, or it is damaged or sealed to a key and proves nothing.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// A time that was asked for must be later than every set's; the clock's is made so.
pub fn set_time(wanted: Option<SetTime>, latest: Option<SetTime>) -> Result<SetTime> {
    match (wanted, latest) {
        (Some(wanted), Some(latest)) if wanted <= latest => {
            Err(Error::TimeNotLater { existing: latest.to_string() })
        }
        (Some(wanted), _) => Ok(wanted),
        (None, Some(latest)) if SetTime::now() <= latest => SetTime::from_epoch(latest.epoch() + 1)
            .ok_or_else(|| Error::TimeNotLater { existing: latest.to_string() }),
        (None, _) => Ok(SetTime::now()),
    }
}

/// The set of an interrupted run that this run goes on with, if there is one: of the same kind, later than
/// every set that exists, and sealed with the same passphrase.
pub fn unfinished_set(
    request: &BackupRequest<'_>,
    leftovers: &Leftovers,
    choice: &Choice<'_>,
    latest: Option<SetTime>,
    job: &Job,
) -> Result<Option<SetKind>> {
    let fits = |kind: SetKind| {
        let is_same_kind = match (choice, kind) {
            (Choice::Full(_), SetKind::Full { .. }) => true,
            (Choice::Extend(chain), SetKind::Incremental { start, .. }) => start == chain.end(),
            _ => false,
        };
        let is_later = latest.is_none_or(|latest| latest < kind.time());
        // What was begun under another protection would have its time, and be left at once.
        let is_recent = match request.kind {
            BackupKind::Auto(policy) => policy.protected_since.is_none_or(|since| since <= kind.time()),
            _ => true,
        };
        is_same_kind && is_later && is_recent && request.set_time.is_none_or(|wanted| wanted == kind.time())
    };
    let Some(kind) = leftovers.best(fits) else { return Ok(None) };
    if request.protection.encryption == Encryption::Passphrase
        && let Some(volume) = leftovers.any_volume(kind)
        && !opens(request, &volume, job)?
    {
        return Ok(None);
    }
    Ok(Some(kind))
}

/// Whether the passphrase that is known by now opens a volume of an interrupted run.
fn opens(request: &BackupRequest<'_>, volume: &str, job: &Job) -> Result<bool> {
    use std::io::Read;
    // Without the others: nobody is to be asked for the passphrase of something that can be thrown away.
    let passphrases = Passphrases::new();
    passphrases.set_archive(request.passphrases.archive(job)?);
    let nobody = Job::unattended();
    let opener = Opener::new(request.keyring, &passphrases, None, &nobody)?;
    let mut reader = StoredReader::open_as(request.storage, volume, Codec::OpenPgp, &opener, &nobody)?;
    Ok(reader.read_exact(&mut [0]).is_ok())
}
