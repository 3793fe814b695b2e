//! Plans in words: their folders, destination and protection.

use std::path::{Path, PathBuf};

use crate::engine::crypto::{Encryption, Protection};
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::plan::schedule::{Chore, Every, Reason, Schedule, Weekday};
use crate::plan::{Destination, FullEvery, Keep, LeftOut, SftpAccount, Thinning};
use crate::platform::folder;
use crate::ui::words;

/// A folder by its name.
pub fn folder_name(path: &Path) -> String {
    if path == glib::home_dir() {
        return gettext("Home");
    }
    path.file_name().map_or_else(|| "/".to_owned(), |name| glib::filename_display_name(name).into())
}

/// Why a place is none for backups that is, or holds, a folder to be backed up.
pub fn held_folder(folder: &Path) -> String {
    gettext_f(
        "“{folder}”, which is to be backed up, is in this place. Choose a folder for the backups alone.",
        &[("folder", &folder_name(folder))],
    )
}

/// A name for a plan with these folders, which no other plan has.
pub fn plan_name(folders: &[PathBuf], taken: &[String]) -> String {
    let name = match folders {
        [] => return String::new(),
        [only] => folder_name(only),
        [first, ..] => gettext_f("{folder} and Others", &[("folder", &folder_name(first))]),
    };
    let numbered = (2..).map(|number: u64| format!("{name} {number}"));
    std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(name)
}

/// Paths, one to a line.
pub fn path_lines(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| folder::to_shown(path)).collect::<Vec<_>>().join("\n")
}

/// What is left out of a plan's folders, one to a line.
pub fn left_out(left_out: &LeftOut) -> String {
    let presets = left_out.presets.iter().filter_map(|id| match id.as_str() {
        "caches" => Some(gettext("Caches")),
        "app-caches" => Some(gettext("Browser and Flatpak caches")),
        "trash" => Some(gettext("Trash")),
        "build-folders" => Some(gettext("Build folders")),
        "virtual-machines" => Some(gettext("Virtual machines")),
        _ => None,
    });
    let folders = left_out.folders.iter().map(|path| folder::to_shown(path));
    presets.chain(folders).chain(left_out.patterns.iter().cloned()).collect::<Vec<_>>().join("\n")
}

/// The folders of a plan in one line. Of what is left out, only that counts which somebody might miss.
pub fn folders(included: &[PathBuf], left_out: &LeftOut) -> String {
    let names = included.iter().map(|path| folder_name(path)).collect::<Vec<_>>().join(", ");
    let is_missed = |preset: &&String| !matches!(preset.as_str(), "caches" | "app-caches" | "trash");
    let presets = left_out.presets.iter().filter(is_missed).count();
    let count = (left_out.folders.len() + presets + left_out.patterns.len()) as u64;
    if count == 0 {
        return names;
    }
    ngettext_f(
        "{folders}, with {count} exception",
        "{folders}, with {count} exceptions",
        count,
        &[("folders", &names), ("count", &words::count(count))],
    )
}

/// A destination in one line.
pub fn destination(destination: &Destination) -> String {
    match destination {
        Destination::Folder { path } => folder::to_shown(path),
        Destination::Drive { name, path, .. } if path.as_os_str().is_empty() => name.clone(),
        Destination::Drive { name, path, .. } => gettext_f(
            "{folder} on the drive {drive}",
            &[("folder", &glib::filename_display_name(path)), ("drive", name)],
        ),
        Destination::Sftp(SftpAccount { address, .. }) if address.path.is_empty() => address.host.clone(),
        Destination::Sftp(SftpAccount { address, .. }) => {
            gettext_f("{folder} on {server}", &[("folder", &address.path), ("server", &address.host)])
        }
        Destination::WebDav(address) if address.path == "/" => address.host.clone(),
        Destination::WebDav(address) => gettext_f(
            "{folder} on {server}",
            &[("folder", address.path.trim_matches('/')), ("server", &address.host)],
        ),
        Destination::Network(address) if address.folder().is_empty() => address.server(),
        Destination::Network(address) => {
            gettext_f("{folder} on {server}", &[("folder", &address.folder()), ("server", &address.server())])
        }
        Destination::S3(account) if account.address.prefix.is_empty() => {
            gettext_f("the bucket {bucket}", &[("bucket", &account.address.bucket)])
        }
        Destination::S3(account) => gettext_f(
            "{folder} in the bucket {bucket}",
            &[("folder", &account.address.prefix), ("bucket", &account.address.bucket)],
        ),
    }
}

/// Who signs what a key protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing<'a> {
    /// Nobody.
    None,
    /// The same key.
    Same,
    /// Another key, and whose it is where that is known.
    Other(Option<&'a str>),
}

/// A key that protects, and what signs.
pub fn key(user_id: &str, signing: Signing<'_>) -> String {
    let owner = ("owner", user_id);
    match signing {
        Signing::None => gettext_f("The key of {owner}", &[owner]),
        Signing::Same => gettext_f("The key of {owner}, which also signs", &[owner]),
        Signing::Other(Some(signer)) => {
            gettext_f("The key of {owner}, signed with the key of {signer}", &[owner, ("signer", signer)])
        }
        Signing::Other(None) => gettext_f("The key of {owner}, signed with another key", &[owner]),
    }
}

/// A protection in one line. `owner` is whose key it is, where that is known.
pub fn protection(protection: &Protection, owner: Option<&str>) -> String {
    match &protection.encryption {
        Encryption::None => gettext("None: everybody can read it"),
        Encryption::Passphrase => gettext("A passphrase"),
        Encryption::Keys(recipients) => {
            let first = recipients.first().map(|recipient| recipient.key.as_str()).unwrap_or_default();
            let signing = match protection.sign_key.as_deref() {
                None => Signing::None,
                Some(signer) if signer == first => Signing::Same,
                Some(_) => Signing::Other(None),
            };
            key(owner.unwrap_or(first), signing)
        }
    }
}

/// How long snapshots are kept, in one line.
pub fn keep(keep: &Keep) -> String {
    match keep {
        Keep::Everything => gettext("Every snapshot, for ever"),
        Keep::Days { days } => {
            let days = u64::from((*days).max(1));
            ngettext_f(
                "Every snapshot of the last {count} day",
                "Every snapshot of the last {count} days",
                days,
                &[("count", &words::count(days))],
            )
        }
        Keep::Thinned(thinning) => thinned(thinning),
    }
}

fn thinned(thinning: &Thinning) -> String {
    let Thinning { hourly, daily, weekly, monthly, yearly } = *thinning;
    let shown = |count: u32| words::count(count.into());
    let parts = [
        (hourly, ngettext_f("{count} hourly", "{count} hourly", hourly.into(), &[("count", &shown(hourly))])),
        (daily, ngettext_f("{count} daily", "{count} daily", daily.into(), &[("count", &shown(daily))])),
        (weekly, ngettext_f("{count} weekly", "{count} weekly", weekly.into(), &[("count", &shown(weekly))])),
        (
            monthly,
            ngettext_f("{count} monthly", "{count} monthly", monthly.into(), &[("count", &shown(monthly))]),
        ),
        (yearly, ngettext_f("{count} yearly", "{count} yearly", yearly.into(), &[("count", &shown(yearly))])),
    ];
    let parts: Vec<_> = parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
    if parts.is_empty() { gettext("Every snapshot, for ever") } else { parts.join(", ") }
}

/// How often a full snapshot begins a new chain.
pub fn full_every(every: FullEvery) -> String {
    match every {
        FullEvery::Needed => gettext("As needed"),
        FullEvery::Week => gettext("Every week"),
        FullEvery::Month => gettext("Every month"),
        FullEvery::Quarter => gettext("Every quarter"),
        FullEvery::Year => gettext("Every year"),
        FullEvery::Never => gettext("Never"),
    }
}

/// How often a plan is backed up by itself.
pub fn every(every: Every) -> String {
    match every {
        Every::Never => gettext("Never"),
        Every::Hour => gettext("Every hour"),
        Every::Day => gettext("Every day"),
        Every::Week => gettext("Every week"),
        Every::Month => gettext("Every month"),
    }
}

/// A day of the week.
pub fn weekday(day: Weekday) -> String {
    match day {
        Weekday::Monday => gettext("Monday"),
        Weekday::Tuesday => gettext("Tuesday"),
        Weekday::Wednesday => gettext("Wednesday"),
        Weekday::Thursday => gettext("Thursday"),
        Weekday::Friday => gettext("Friday"),
        Weekday::Saturday => gettext("Saturday"),
        Weekday::Sunday => gettext("Sunday"),
    }
}

/// When a plan is backed up by itself, in one line.
pub fn schedule(schedule: &Schedule) -> String {
    let time = words::time_of_day(schedule.time.hour(), schedule.time.minute());
    match schedule.every {
        Every::Never => gettext("Only by hand"),
        Every::Hour => {
            let minute = u64::from(schedule.time.minute().unsigned_abs());
            ngettext_f(
                "Every hour, {count} minute past",
                "Every hour, {count} minutes past",
                minute,
                &[("count", &words::count(minute))],
            )
        }
        Every::Day => gettext_f("Every day at {time}", &[("time", &time)]),
        Every::Week => gettext_f(
            "Every {weekday} at {time}",
            &[("weekday", &weekday(schedule.weekday)), ("time", &time)],
        ),
        Every::Month => gettext_f(
            "Every month on day {day} at {time}",
            &[("day", &schedule.day.to_string()), ("time", &time)],
        ),
    }
}

/// What a run that is due waits for. `again_secs` is when it is tried again, in seconds since 1970.
pub fn wait(reason: Reason, chore: Chore, destination: &Destination, again_secs: i64) -> String {
    match reason {
        Reason::Battery => gettext("Waits until the computer is plugged in"),
        Reason::PowerSaver => gettext("Waits until the computer no longer saves power"),
        Reason::Game => gettext("Waits until the game is over"),
        Reason::Offline => gettext("Waits for a network"),
        Reason::Metered => gettext("Waits for a network that is not metered"),
        Reason::Captive => gettext("Waits until you have signed in to the network"),
        Reason::DriveAway => match destination {
            Destination::Drive { name, .. } => gettext_f("Waits for the drive “{name}”", &[("name", name)]),
            _ => gettext("Waits for the drive"),
        },
        Reason::Retry => gettext_f("Tries again {when}", &[("when", &words::ahead(again_secs))]),
        Reason::Person => match chore {
            Chore::Backup => gettext("Waits for you: back up once by hand"),
            Chore::Verify => gettext("Waits for you: verify once by hand"),
            Chore::Drill => gettext("Waits for you: test a restore once by hand"),
        },
    }
}

/// The same in a notification, with what can be done about it.
pub fn wait_advice(reason: Reason, chore: Chore, destination: &Destination) -> String {
    match reason {
        Reason::Battery => gettext("It begins when the computer is plugged in."),
        Reason::PowerSaver => gettext("It begins when the computer no longer saves power."),
        Reason::Game => gettext("It begins when the game is over."),
        Reason::Offline => gettext("It begins when there is a network."),
        Reason::Metered => gettext("It begins in a network that is not metered."),
        Reason::Captive => gettext("Sign in to the network, then it begins."),
        Reason::DriveAway => match destination {
            Destination::Drive { name, .. } => {
                gettext_f("Connect the drive “{name}”, then it begins.", &[("name", name)])
            }
            _ => gettext("Connect the drive, then it begins."),
        },
        Reason::Retry => gettext("It is tried again later."),
        Reason::Person => match chore {
            Chore::Backup => gettext("Back up once by hand."),
            Chore::Verify => gettext("Verify once by hand."),
            Chore::Drill => gettext("Test a restore once by hand."),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_get_names_of_their_own() {
        let folders = [PathBuf::from("/srv/photos"), PathBuf::from("/srv/music")];
        assert_eq!(plan_name(&folders[..1], &[]), "photos");
        let taken = ["photos".to_owned(), "photos 2".to_owned()];
        assert_eq!(plan_name(&folders[..1], &taken), "photos 3");
        assert_eq!(plan_name(&folders, &taken), "photos and Others");
        assert_eq!(plan_name(&[], &taken), "");
    }
}
