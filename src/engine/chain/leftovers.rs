//! What no state is made of: sets that were never finished or follow nothing, and signatures without a
//! set.

use super::signatures::SignatureChains;
use super::{Collection, Set};

/// Sets that can go without any state being lost.
#[derive(Debug, Default)]
pub struct Leftovers<'a> {
    /// Incremental sets that follow no other set, newest first.
    pub orphaned: Vec<&'a Set>,
    /// Sets without a manifest, newest first. One of them may be a set that is being made.
    pub unfinished: Vec<&'a Set>,
    /// Signatures, of which nothing else is left, that follow no other signatures. As duplicity has it,
    /// those that do follow others are no leftovers.
    pub signatures: Vec<&'a Set>,
    /// Sets that would be leftovers, but of which more is there than can be told.
    pub partly_hidden: Vec<&'a Set>,
}

impl Collection {
    /// What no state is made of.
    pub fn leftovers(&self) -> Leftovers<'_> {
        let is_more = |set: &&Set| !set.volumes.is_empty() || set.signatures.is_none();
        let mut found = Leftovers {
            orphaned: self.orphaned.iter().collect(),
            unfinished: self.incomplete.iter().filter(is_more).collect(),
            signatures: SignatureChains::new(self).unattached(),
            partly_hidden: Vec::new(),
        };
        for sets in [&mut found.orphaned, &mut found.unfinished, &mut found.signatures] {
            let hidden = sets.extract_if(.., |set| self.partly_hidden.contains(&set.kind));
            found.partly_hidden.extend(hidden);
            sets.sort_by_key(|set| std::cmp::Reverse(set.kind.time()));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{collection, days, full, incremental};

    fn without(names: Vec<String>, part: &str) -> Vec<String> {
        names.into_iter().filter(|name| !name.contains(part)).collect()
    }

    fn only(names: Vec<String>, part: &str) -> Vec<String> {
        names.into_iter().filter(|name| name.contains(part)).collect()
    }

    #[test]
    fn what_is_whole_is_no_leftover() {
        let found = collection([full(1), incremental(1, 2), full(3)].concat());
        let leftovers = found.leftovers();
        assert!(leftovers.orphaned.is_empty() && leftovers.unfinished.is_empty());
        assert!(leftovers.signatures.is_empty() && leftovers.partly_hidden.is_empty());
    }

    #[test]
    fn orphans_and_unfinished_sets_are_newest_first() {
        let names = [
            full(1),
            incremental(2, 3),
            incremental(3, 4),
            without(full(5), "manifest"),
            without(incremental(1, 6), "manifest"),
        ];
        let found = collection(names.concat());
        let leftovers = found.leftovers();
        assert_eq!(days(leftovers.orphaned), [4, 3]);
        assert_eq!(days(leftovers.unfinished), [6, 5]);
    }

    #[test]
    fn a_set_whose_place_another_took_is_a_leftover() {
        let found = collection([full(1), incremental(1, 2), incremental(1, 3)].concat());
        assert_eq!(days(found.leftovers().orphaned), [2]);
    }

    #[test]
    fn signatures_without_a_set_stay_only_while_they_follow_others() {
        let names = [full(1), only(incremental(1, 2), "sigtar"), only(incremental(4, 5), "sigtar")];
        let found = collection(names.concat());
        let leftovers = found.leftovers();
        assert_eq!(days(leftovers.signatures), [5]);
        assert!(leftovers.unfinished.is_empty());
    }

    #[test]
    fn what_is_only_seen_in_part_stays() {
        // As with duplicity's --file-prefix-manifest.
        let prefixed: Vec<_> = full(1)
            .into_iter()
            .map(|name| if name.ends_with("manifest") { format!("m_{name}") } else { name })
            .collect();
        let found = collection([prefixed, full(2)].concat());
        let leftovers = found.leftovers();
        assert!(leftovers.unfinished.is_empty());
        assert_eq!(days(leftovers.partly_hidden), [1]);
        // Our own unfinished files are nobody's prefix.
        let ours = full(1).into_iter().map(|name| format!(".unfinished-0-0-{name}"));
        assert!(collection(ours).partly_hidden.is_empty());
    }
}
