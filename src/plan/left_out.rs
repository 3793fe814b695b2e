//! What is not backed up of a plan's folders.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::path_text;
use crate::engine::error::Result;
use crate::engine::scan::presets::Preset;
use crate::engine::scan::{Reached, Rule, Selection, reach};

/// What is not backed up of a plan's folders.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeftOut {
    /// Folders below them.
    #[serde(rename = "ignored", with = "path_text::list", default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<PathBuf>,
    /// The names of [presets](crate::engine::scan::presets::PRESETS).
    #[serde(rename = "ignored_presets", default, skip_serializing_if = "Vec::is_empty")]
    pub presets: Vec<String>,
    /// Shell patterns of names, or of paths, anywhere below the folders.
    #[serde(rename = "ignored_patterns", default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
}

impl LeftOut {
    /// The rules that presets and patterns amount to. A preset that is not known, as in a plan of a later version,
    /// leaves nothing out.
    fn rules(&self) -> Vec<Rule> {
        let presets = self.presets.iter().filter_map(|id| Preset::find(id)).map(Rule::ExcludePreset);
        let patterns = self.patterns.iter().map(|pattern| Rule::exclude_anywhere(pattern));
        presets.chain(patterns).collect()
    }

    /// The rules for the backup of these folders. Those that are reached through links are backed up at their real
    /// places, together with the links. Fails if a pattern cannot be understood.
    pub fn of(&self, folders: &[PathBuf]) -> Result<Selection> {
        let with_links = |folder: &PathBuf| {
            let Reached { links, folder } = reach(folder);
            links.into_iter().chain([folder])
        };
        let include: Vec<_> = folders.iter().flat_map(with_links).collect();
        let exclude: Vec<_> =
            self.folders.iter().flat_map(|folder| [at_real_place(folder), reach(folder).folder]).collect();
        Selection::from_folders(&include, &exclude)?.leaving_out(&self.rules())
    }
}

/// The path of what stands there, which may be a link itself.
fn at_real_place(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => reach(parent).folder.join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::error::Error;
    use crate::engine::scan::RuleKind;

    #[test]
    fn patterns_are_looked_for_anywhere() {
        let patterns = |patterns: &[&str]| LeftOut {
            presets: vec!["caches".to_owned(), "of a later version".to_owned()],
            patterns: patterns.iter().map(|text| (*text).to_owned()).collect(),
            ..LeftOut::default()
        };
        let rules = patterns(&["*.iso", "IgnoreCase:*.Tmp", "build/*.o"]).rules();
        let texts: Vec<_> = rules
            .iter()
            .filter_map(|rule| match rule {
                Rule::Pattern(RuleKind::Exclude, text) => Some(text.as_slice()),
                _ => None,
            })
            .collect();
        assert_eq!(texts, [b"**/*.iso".as_slice(), b"ignorecase:**/*.Tmp", b"**/build/*.o"]);
        assert_eq!(rules.len(), 4);
        let folders = [PathBuf::from("/home")];
        assert!(patterns(&["*.iso"]).of(&folders).is_ok());
        assert!(matches!(patterns(&["[z-a]"]).of(&folders), Err(Error::Pattern { .. })));
        assert!(matches!(patterns(&["a//b"]).of(&folders), Err(Error::Pattern { .. })));
    }
}
