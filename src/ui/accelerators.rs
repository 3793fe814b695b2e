//! The keyboard shortcuts: one list, for the application and for those who ask for it.

use crate::i18n::gettext;

/// A group of keyboard shortcuts.
pub struct Section {
    /// Its title.
    pub title: String,
    /// What the shortcuts do, and their keys.
    pub shortcuts: Vec<(String, &'static [&'static str])>,
}

pub(super) const QUIT: &[&str] = &["<Control>q"];
pub(super) const CLOSE: &[&str] = &["<Control>w"];
pub(super) const SET_UP: &[&str] = &["<Control>n"];
pub(super) const RESTORE_FROM: &[&str] = &["<Control>o"];
pub(super) const BACK_UP: &[&str] = &["<Control>b"];
pub(super) const KEYS: &[&str] = &["<Control>k"];
pub(super) const HELP: &[&str] = &["F1"];
pub(super) const SHORTCUTS: &[&str] = &["<Control>question"];
pub(super) const MENU: &[&str] = &["F10"];
pub(super) const SEARCH: &[&str] = &["<Control>f"];
pub(super) const UP: &[&str] = &["<Alt>Up"];
pub(super) const VERSIONS: &[&str] = &["F9"];
pub(super) const OLDER: &[&str] = &["<Alt>Page_Up"];
pub(super) const NEWER: &[&str] = &["<Alt>Page_Down"];
/// GTK's own, for lists.
const SELECT_MORE: &[&str] = &["<Control>space"];
const SELECT_ALL: &[&str] = &["<Control>a"];
const SELECT_NONE: &[&str] = &["<Shift><Control>a"];
pub(super) const BACK: &[&str] = &["Escape", "<Alt>Left"];

/// The keyboard shortcuts, as they are shown.
pub fn accelerators() -> Vec<Section> {
    vec![
        Section {
            title: gettext("General"),
            shortcuts: vec![
                (gettext("Set Up a Backup"), SET_UP),
                (gettext("Restore From a Backup"), RESTORE_FROM),
                (gettext("Back Up Now"), BACK_UP),
                (gettext("Keys"), KEYS),
                (gettext("Main Menu"), MENU),
                (gettext("Help"), HELP),
                (gettext("Keyboard Shortcuts"), SHORTCUTS),
                (gettext("Close Window"), CLOSE),
                (gettext("Quit"), QUIT),
            ],
        },
        Section {
            title: gettext("Browsing a Backup"),
            shortcuts: vec![
                (gettext("Search All Snapshots"), SEARCH),
                (gettext("Enclosing Folder"), UP),
                (gettext("Select or Unselect One More"), SELECT_MORE),
                (gettext("Select All"), SELECT_ALL),
                (gettext("Select Nothing"), SELECT_NONE),
                (gettext("Older Snapshot"), OLDER),
                (gettext("Newer Snapshot"), NEWER),
                (gettext("Versions"), VERSIONS),
                (gettext("Go Back"), BACK),
            ],
        },
    ]
}
