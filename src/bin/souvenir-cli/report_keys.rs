//! Keys, in words and as JSON.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::console::Console;
use crate::report::{local_time, print};
use souvenir::engine::Result;
use souvenir::engine::crypto::{ImportReport, ImportedKey, Key, KeyFiles, KeyState};
use souvenir::kit::Leftover;

/// The keys of the keyring.
pub fn list(console: &Console, keys: &[Key]) -> Result<()> {
    if console.is_json() {
        return print(console, json!({ "keys": keys.iter().map(key_json).collect::<Vec<_>>() }));
    }
    if keys.is_empty() {
        return console.result("There are no keys. Make one with: souvenir-cli key create NAME\n");
    }
    let mut text = String::new();
    for key in keys {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}  {}", key.fingerprint, key.user_id);
        let _ = writeln!(text, "    {}", facts(key).join(", "));
    }
    console.result(&text)
}

/// Where an exported key is.
pub fn export(console: &Console, files: &KeyFiles) -> Result<()> {
    if console.is_json() {
        return print(
            console,
            json!({ "secret": files.secret, "public": files.public, "trust": files.trust }),
        );
    }
    console.result(&format!(
        "The secret key:  {}\nThe public key:  {}\nThe owner trust: {}\n\
         Keep them in another place than this machine, and the passphrase apart from them.\n",
        files.secret.display(),
        files.public.display(),
        files.trust.display(),
    ))
}

/// Where a recovery kit is.
pub fn kit(console: &Console, path: Option<&Path>) -> Result<()> {
    if console.is_json() {
        return print(console, json!({ "kit": path }));
    }
    let Some(path) = path else { return Ok(()) };
    console.result(&format!(
        "The recovery kit: {}\nPrint it, and keep the paper in another place than this machine.\n",
        path.display()
    ))
}

/// What is missing of a kit, or was no use.
pub fn leftover(leftover: &Leftover) -> String {
    let list = |numbers: &[usize]| numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    match leftover {
        Leftover::Parts(gap) => format!(
            "of the key {} these parts are missing: {} (of {})",
            gap.key_id,
            list(&gap.missing),
            gap.count
        ),
        Leftover::Lines { wrong, missing } if wrong.is_empty() => {
            format!("these lines are missing: {}", list(missing))
        }
        Leftover::Lines { wrong, missing } if missing.is_empty() => {
            format!("there is a slip in these lines: {}", list(wrong))
        }
        Leftover::Lines { wrong, missing } => format!(
            "there is a slip in these lines: {}; and these are missing: {}",
            list(wrong),
            list(missing)
        ),
        Leftover::Picture(path) => format!("no code could be read in {}", path.display()),
    }
}

/// What came in.
pub fn import(console: &Console, report: &ImportReport) -> Result<()> {
    if console.is_json() {
        let keys: Vec<Value> = report
            .keys
            .iter()
            .map(|imported| {
                let mut value = key_json(&imported.key);
                value["new"] = imported.is_new.into();
                value["secret_new"] = imported.secret_is_new.into();
                value["trust"] = imported.has_trust.into();
                value
            })
            .collect();
        return print(console, json!({ "keys": keys }));
    }
    let lines: Vec<String> = report.keys.iter().map(import_text).collect();
    console.result(&(lines.join("\n") + "\n"))
}

fn import_text(imported: &ImportedKey) -> String {
    let ImportedKey { key, is_new, secret_is_new, has_trust } = imported;
    let what = match (is_new, secret_is_new, key.has_secret) {
        (true, true, _) => "Imported with its secret part",
        (true, false, _) => "Imported without a secret part, so backups cannot be restored with it",
        (false, true, _) => "Its secret part was imported",
        (false, false, true) => "Was there already, with its secret part",
        (false, false, false) => "Was there already, without a secret part",
    };
    let trust = if *has_trust { "; its owner trust was set" } else { "" };
    format!("{}  {}\n    {what}{trust}.", key.fingerprint, key.user_id)
}

/// The key that was made.
pub fn create(console: &Console, key: &Key) -> Result<()> {
    if console.is_json() {
        return print(console, key_json(key));
    }
    console.result(&format!(
        "Made the key {} for {}: {}.\n\
         Without it nobody can open a backup that is made for it. Keep a copy elsewhere:\n  \
         souvenir-cli key export {} FOLDER\n",
        key.fingerprint,
        key.user_id,
        facts(key).join(", "),
        key.fingerprint,
    ))
}

fn facts(key: &Key) -> Vec<String> {
    let mut facts = vec![key.algorithm.clone()];
    if let Some(created) = key.created {
        facts.push(format!("made {}", day(created.as_second())));
    }
    facts.push(match key.expires {
        Some(expires) if key.state == KeyState::Expired => format!("expired {}", day(expires.as_second())),
        Some(expires) => format!("expires {}", day(expires.as_second())),
        None => "never expires".to_owned(),
    });
    facts.push(if key.has_secret { "with its secret part" } else { "without a secret part" }.to_owned());
    let objection = match key.state {
        KeyState::Usable => return facts,
        // An expiry of the whole key stands there already.
        KeyState::Expired if key.expires.is_some() => return facts,
        KeyState::Expired => "what encrypts of it has expired",
        KeyState::Weak => "WEAK by today's measure",
        KeyState::Revoked => "REVOKED",
        KeyState::Disabled => "disabled",
        KeyState::Invalid => "not valid",
        KeyState::NoEncryption => "cannot encrypt",
    };
    facts.push(objection.to_owned());
    facts
}

fn day(epoch: i64) -> String {
    local_time(epoch).split(' ').next().unwrap_or_default().to_owned()
}

fn key_json(key: &Key) -> Value {
    json!({
        "fingerprint": key.fingerprint,
        "user_id": key.user_id,
        "algorithm": key.algorithm,
        "created": key.created.map(|time| time.as_second()),
        "expires": key.expires.map(|time| time.as_second()),
        "can_encrypt": key.can_encrypt,
        "can_sign": key.can_sign,
        "has_secret": key.has_secret,
        "state": match key.state {
            KeyState::Usable => "usable",
            KeyState::Weak => "weak",
            KeyState::Expired => "expired",
            KeyState::Revoked => "revoked",
            KeyState::Disabled => "disabled",
            KeyState::Invalid => "invalid",
            KeyState::NoEncryption => "no encryption",
        },
    })
}
