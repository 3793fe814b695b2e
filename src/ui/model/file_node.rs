//! One row of a folder.

use std::cell::{Ref, RefCell};
use std::sync::OnceLock;

use glib::prelude::*;
use glib::subclass::Signal;
use glib::subclass::prelude::*;

use crate::engine::catalog::{Change, Item};
use crate::engine::format::entry::EntryKind;
use crate::engine::format::time::SetTime;
use crate::engine::path::EntryPath;
use crate::i18n::{gettext, gettext_f};
use crate::ui::words;

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct FileNode {
        pub entry: RefCell<Option<(EntryPath, Item)>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for FileNode {
        const NAME: &'static str = "SouvenirFileNode";
        type Type = super::FileNode;
    }

    impl ObjectImpl for FileNode {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("changed").build()])
        }
    }
}

glib::wrapper! {
    /// See the module. Texts are made when they are asked for: dates above all cost too much to be made for
    /// rows that nobody sees. `changed` is emitted when it shows another snapshot.
    pub struct FileNode(ObjectSubclass<imp::FileNode>);
}

impl FileNode {
    /// An entry at a path.
    pub fn new(path: EntryPath, item: Item) -> Self {
        let node: Self = glib::Object::new();
        node.imp().entry.replace(Some((path, item)));
        node
    }

    /// Shows the same path as it is in another snapshot.
    pub fn renew(&self, item: Item) {
        let path = self.path();
        self.imp().entry.replace(Some((path, item)));
        self.emit_by_name::<()>("changed", &[]);
    }

    /// The entry as the catalogue has it.
    pub fn item(&self) -> Ref<'_, Item> {
        Ref::map(self.entry(), |(_, item)| item)
    }

    fn entry(&self) -> Ref<'_, (EntryPath, Item)> {
        Ref::map(self.imp().entry.borrow(), |entry| entry.as_ref().expect("a node is made with its entry"))
    }

    /// Where it is in the snapshot.
    pub fn path(&self) -> EntryPath {
        self.entry().0.clone()
    }

    /// The name as people read it.
    pub fn name(&self) -> String {
        display_name(&self.entry().0)
    }

    /// What kind of entry it is, for those who do not see the icon.
    pub fn kind(&self) -> String {
        kind_name(&self.item().kind)
    }

    /// The icon of its kind.
    pub fn icon_name(&self) -> &'static str {
        let item = self.item();
        icon_name(&item.kind, item.mode, &item.name)
    }

    /// The size of a file, where known.
    pub fn size(&self) -> String {
        let item = self.item();
        let size = item.size_bytes.filter(|_| item.kind == EntryKind::File);
        size.map(words::size).unwrap_or_default()
    }

    /// When it was last changed.
    pub fn modified(&self) -> String {
        words::short_date(self.item().mtime)
    }

    /// What the snapshot did to it, or since when it is gone; empty for most.
    pub fn change(&self) -> String {
        change_text(&self.item())
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.item().kind == EntryKind::Directory
    }

    /// Whether it is not there any more.
    pub fn is_gone(&self) -> bool {
        self.gone().is_some()
    }

    /// The time of the snapshot since which it is not there any more.
    pub fn gone(&self) -> Option<SetTime> {
        self.item().gone
    }
}

fn change_text(item: &Item) -> String {
    match (item.change, item.gone) {
        (_, Some(time)) => gettext_f("deleted {date}", &[("date", &words::day_near(time.epoch()))]),
        (Some(Change::Added), _) => gettext("new"),
        (Some(Change::Modified), _) => gettext("changed"),
        _ => String::new(),
    }
}

/// The last component of a path as people read it.
pub fn display_name(path: &EntryPath) -> String {
    if path.is_root() {
        return "/".to_owned();
    }
    EntryPath::from_bytes(path.file_name()).unwrap_or_default().to_string()
}

/// A kind of entry in a word.
pub fn kind_name(kind: &EntryKind) -> String {
    match kind {
        EntryKind::File => gettext("File"),
        EntryKind::Directory => gettext("Folder"),
        EntryKind::Symlink(_) => gettext("Link"),
        EntryKind::Fifo => gettext("Pipe"),
        EntryKind::CharDevice(..) | EntryKind::BlockDevice(..) => gettext("Device"),
    }
}

/// The icon of an entry with that name.
pub fn icon_name(kind: &EntryKind, mode: u32, name: &[u8]) -> &'static str {
    match kind {
        EntryKind::Directory => "folder-symbolic",
        EntryKind::Symlink(_) => "souvenir-link-symbolic",
        EntryKind::Fifo | EntryKind::CharDevice(..) | EntryKind::BlockDevice(..) => {
            "application-x-executable-symbolic"
        }
        EntryKind::File => icon_for_file(mode, name),
    }
}

/// By the name alone: the contents are in the backup.
fn icon_for_file(mode: u32, name: &[u8]) -> &'static str {
    let name = String::from_utf8_lossy(name).to_lowercase();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "jpg" | "jpeg" | "png" | "gif" | "webp" | "svg" | "heic" | "avif" | "tif" | "tiff" | "raw"
        | "cr2" | "nef" => "image-x-generic-symbolic",
        "mp3" | "ogg" | "oga" | "flac" | "opus" | "wav" | "m4a" => "audio-x-generic-symbolic",
        "mp4" | "mkv" | "webm" | "mov" | "avi" | "ogv" => "video-x-generic-symbolic",
        "zip" | "gz" | "xz" | "zst" | "bz2" | "tar" | "7z" | "tgz" => "package-x-generic-symbolic",
        "odt" | "doc" | "docx" | "pdf" | "rtf" => "x-office-document-symbolic",
        "ods" | "xls" | "xlsx" | "csv" => "x-office-spreadsheet-symbolic",
        "odp" | "ppt" | "pptx" => "x-office-presentation-symbolic",
        _ if mode & 0o111 != 0 => "application-x-executable-symbolic",
        _ => "text-x-generic-symbolic",
    }
}
