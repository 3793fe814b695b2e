//! Which plans use a key.

use crate::engine::crypto::{Encryption, Key};
use crate::kit::KitPlace;
use crate::plan::Plan;

/// A plan that uses a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The name of the plan.
    pub plan: String,
    /// Whether the key opens its backups; else it only signs them.
    pub opens: bool,
}

/// The plans that use a key.
pub fn uses_of<'a>(key: &Key, plans: impl IntoIterator<Item = &'a Plan>) -> Vec<Use> {
    let use_of = |plan: &Plan| {
        let opens = opens(key, plan);
        let signs = plan.protection.sign_key.as_deref().is_some_and(|id| is_meant(key, id));
        (opens || signs).then(|| Use { plan: plan.name.clone(), opens })
    };
    plans.into_iter().filter_map(use_of).collect()
}

/// The places whose backups a key opens.
pub fn places_of<'a>(key: &Key, plans: impl IntoIterator<Item = &'a Plan>) -> Vec<KitPlace> {
    let place = |plan: &Plan| KitPlace { name: plan.name.clone(), address: plan.destination.address() };
    plans.into_iter().filter(|plan| opens(key, plan)).map(place).collect()
}

/// Whether a key opens the backups that a plan makes.
pub fn opens(key: &Key, plan: &Plan) -> bool {
    match &plan.protection.encryption {
        Encryption::Keys(recipients) => recipients.iter().any(|recipient| is_meant(key, &recipient.key)),
        Encryption::Passphrase | Encryption::None => false,
    }
}

/// Whether an id is that of the key or of a part of it.
fn is_meant(key: &Key, id: &str) -> bool {
    let id = id.trim_start_matches("0x").to_ascii_uppercase();
    id.len() >= 8 && key.subkeys.iter().chain([&key.fingerprint]).any(|part| part.ends_with(&id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::crypto::{KeyState, Protection, Recipient};
    use crate::plan::Destination;

    fn key() -> Key {
        Key {
            fingerprint: "02C5C5CFDE1BDB89FA0B122AEA3D4B480588A413".into(),
            user_id: "Ada".into(),
            name: "Ada".into(),
            email: String::new(),
            algorithm: "ed25519".into(),
            created: None,
            expires: None,
            can_encrypt: true,
            can_sign: true,
            has_secret: true,
            is_on_card: false,
            state: KeyState::Usable,
            subkeys: vec!["B357A43B6F2EFFBB9D835944FE79056A77133F9F".into()],
        }
    }

    fn plan(name: &str, encrypt: Option<&str>, sign: Option<&str>) -> Plan {
        let recipient = |key: &str| Recipient { key: key.into(), hidden: false };
        let encryption = encrypt.map_or(Encryption::Passphrase, |key| Encryption::Keys(vec![recipient(key)]));
        let protection = Protection { encryption, sign_key: sign.map(str::to_owned) };
        Plan::new(name, vec!["/home/ada".into()], Destination::Folder { path: "/mnt".into() }, protection)
    }

    #[test]
    fn a_key_is_found_in_plans_by_every_id() {
        let plans = [
            plan("whole", Some("02C5C5CFDE1BDB89FA0B122AEA3D4B480588A413"), None),
            plan("part", Some("0xfe79056a77133f9f"), None),
            plan("signed", None, Some("EA3D4B480588A413")),
            plan("other", Some("AAAAAAAAAAAAAAAA"), Some("")),
        ];
        let uses = uses_of(&key(), &plans);
        let names: Vec<_> = uses.iter().map(|found| (found.plan.as_str(), found.opens)).collect();
        assert_eq!(names, [("whole", true), ("part", true), ("signed", false)]);
        let places: Vec<_> = places_of(&key(), &plans).into_iter().map(|place| place.name).collect();
        assert_eq!(places, ["whole", "part"]);
    }
}
