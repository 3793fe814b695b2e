//! One entry of a snapshot, for a row.

use std::cell::{Cell, RefCell};

use glib::prelude::*;
use glib::subclass::prelude::*;

use super::EntryTree;
use crate::engine::format::entry::{Entry, EntryKind};
use crate::engine::path::EntryPath;
use crate::i18n::gettext;
use crate::ui::words;

mod imp {
    use super::*;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::FileNode)]
    pub struct FileNode {
        /// The name as people read it.
        #[property(get)]
        pub name: RefCell<String>,
        /// What kind of entry it is, for those who do not see the icon.
        #[property(get)]
        pub kind: RefCell<String>,
        #[property(get, name = "icon-name")]
        pub icon_name: RefCell<String>,
        #[property(get)]
        pub size: RefCell<String>,
        #[property(get)]
        pub modified: RefCell<String>,
        #[property(get, name = "is-folder")]
        pub is_folder: Cell<bool>,
        pub path: RefCell<EntryPath>,
        pub index: Cell<usize>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for FileNode {
        const NAME: &'static str = "SouvenirFileNode";
        type Type = super::FileNode;
    }

    #[glib::derived_properties]
    impl ObjectImpl for FileNode {}
}

glib::wrapper! {
    /// See the module.
    pub struct FileNode(ObjectSubclass<imp::FileNode>);
}

impl FileNode {
    /// The entry at `index`.
    pub fn new(tree: &EntryTree, index: usize) -> Self {
        let node: Self = glib::Object::new();
        let entry = tree.entry(index);
        let imp = node.imp();
        imp.name.replace(display_name(&entry.path));
        imp.kind.replace(kind_name(&entry.kind));
        imp.icon_name.replace(icon_name(entry).to_owned());
        let sized = matches!(entry.kind, EntryKind::File | EntryKind::Directory);
        imp.size.replace(if sized { words::size(tree.size_bytes(index)) } else { String::new() });
        imp.modified.replace(words::short_date(entry.mtime));
        imp.is_folder.set(tree.is_folder(index));
        imp.path.replace(entry.path.clone());
        imp.index.set(index);
        node
    }

    /// Where it is in the snapshot.
    pub fn path(&self) -> EntryPath {
        self.imp().path.borrow().clone()
    }

    /// Its index in the tree that it was made from.
    pub fn index(&self) -> usize {
        self.imp().index.get()
    }
}

/// The last component of a path as people read it.
pub fn display_name(path: &EntryPath) -> String {
    if path.is_root() {
        return "/".to_owned();
    }
    EntryPath::from_bytes(path.file_name()).unwrap_or_default().to_string()
}

fn kind_name(kind: &EntryKind) -> String {
    match kind {
        EntryKind::File => gettext("File"),
        EntryKind::Directory => gettext("Folder"),
        EntryKind::Symlink(_) => gettext("Link"),
        EntryKind::Fifo => gettext("Pipe"),
        EntryKind::CharDevice(..) | EntryKind::BlockDevice(..) => gettext("Device"),
    }
}

fn icon_name(entry: &Entry) -> &'static str {
    match entry.kind {
        EntryKind::Directory => "folder-symbolic",
        EntryKind::Symlink(_) => "souvenir-link-symbolic",
        EntryKind::Fifo | EntryKind::CharDevice(..) | EntryKind::BlockDevice(..) => {
            "application-x-executable-symbolic"
        }
        EntryKind::File => icon_for_file(entry),
    }
}

/// By the name alone: the contents are in the backup.
fn icon_for_file(entry: &Entry) -> &'static str {
    let name = String::from_utf8_lossy(entry.path.file_name()).to_lowercase();
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
        _ if entry.mode & 0o111 != 0 => "application-x-executable-symbolic",
        _ => "text-x-generic-symbolic",
    }
}
