//! Dragging files out of a snapshot. They are restored once they are dropped, and the program that they were
//! dropped on is told where they lie.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::SystemTime;

use adw::prelude::*;
use adw::subclass::prelude::*;
use gtk::gdk;
use gtk::subclass::prelude::ContentProviderImpl;

use super::browser_page::BrowserPage;
use super::restore_dialog::{RestoreDialog, RestoreWish};
use crate::engine::error::Error;
use crate::i18n::ngettext_f;
use crate::platform::handover;
use crate::ui::error_text;
use crate::ui::model::FileNode;
use crate::ui::window::Window;
use crate::ui::words;

/// In which forms the places of files are told. As plain text they would end up in documents.
const MIME_TYPES: [&str; 3] =
    ["application/vnd.portal.filetransfer", "application/vnd.portal.files", "text/uri-list"];

mod imp {
    use super::*;

    pub struct DraggedFiles {
        pub wish: RefCell<Option<RestoreWish>>,
        /// The files, once they are there.
        pub files: RefCell<Option<gdk::FileList>>,
        /// Closed once they are, or never will be.
        pub settled: (async_channel::Sender<Infallible>, async_channel::Receiver<Infallible>),
    }

    impl Default for DraggedFiles {
        fn default() -> Self {
            Self { wish: RefCell::default(), files: RefCell::default(), settled: async_channel::bounded(1) }
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for DraggedFiles {
        const NAME: &'static str = "SouvenirDraggedFiles";
        type Type = super::DraggedFiles;
        type ParentType = gdk::ContentProvider;
    }

    impl ObjectImpl for DraggedFiles {}

    impl ContentProviderImpl for DraggedFiles {
        fn formats(&self) -> gdk::ContentFormats {
            let known =
                gdk::ContentFormats::for_type(gdk::FileList::static_type()).union_serialize_mime_types();
            let known = known.mime_types();
            let offered: Vec<_> =
                MIME_TYPES.into_iter().filter(|name| known.iter().any(|known| known == name)).collect();
            gdk::ContentFormats::new(&offered)
        }

        fn write_mime_type_future(
            &self,
            mime_type: &str,
            stream: &gio::OutputStream,
            io_priority: glib::Priority,
        ) -> Pin<Box<dyn Future<Output = Result<(), glib::Error>> + 'static>> {
            let (dragged, stream, mime_type) = (self.obj().clone(), stream.clone(), mime_type.to_owned());
            Box::pin(async move {
                let (_, settled) = dragged.imp().settled.clone();
                // Nothing is ever sent: it ends when the channel is closed.
                let Err(async_channel::RecvError) = settled.recv().await;
                let Some(files) = dragged.imp().files.borrow().clone() else {
                    return Err(glib::Error::new(gio::IOErrorEnum::Cancelled, "nothing was restored"));
                };
                gdk::content_serialize_future(&stream, &mime_type, &files.to_value(), io_priority).await
            })
        }
    }
}

glib::wrapper! {
    /// What is dragged. Programs that ask for it early, while it is still over them, wait for the drop.
    pub struct DraggedFiles(ObjectSubclass<imp::DraggedFiles>)
        @extends gdk::ContentProvider;
}

impl DraggedFiles {
    fn new(wish: RestoreWish) -> Self {
        let dragged: Self = glib::Object::new();
        dragged.imp().wish.replace(Some(wish));
        dragged
    }

    /// Answers those who wait, with the files or without.
    fn settle(&self, files: Option<&[PathBuf]>) {
        let imp = self.imp();
        let files = files.map(|files| files.iter().map(gio::File::for_path).collect::<Vec<_>>());
        imp.files.replace(files.map(|files| gdk::FileList::from_array(&files)));
        imp.settled.0.close();
    }

    /// Restores the files for the program that they were dropped on.
    async fn restore(self, window: Window) {
        let Some(wish) = self.imp().wish.take() else { return };
        let folder = gio::spawn_blocking(|| {
            let cache = glib::user_cache_dir();
            handover::remove_old(&cache, SystemTime::now());
            handover::new_folder(&cache)
        });
        let folder = match folder.await {
            Ok(Ok(folder)) => folder,
            Ok(Err(source)) => {
                let error = Error::Local { action: "making a scratch folder", source };
                window.toast(&error_text::problem(&error).what);
                return self.settle(None);
            }
            Err(_) => return self.settle(None),
        };
        let dialog = RestoreDialog::new(wish);
        dialog.set_window(&window);
        let files = match dialog.hand_over(folder).await {
            Some(folder) => gio::spawn_blocking(move || handover::files(&folder)).await.ok(),
            None => None,
        };
        self.settle(files.and_then(Result::ok).as_deref());
    }
}

/// Lets the row of a cell be dragged: alone, or with all that are selected if it is.
pub fn source(page: &glib::WeakRef<BrowserPage>, cell: &gtk::ColumnViewCell) -> gtk::DragSource {
    let source = gtk::DragSource::new();
    let (weak, cell) = (page.clone(), cell.downgrade());
    source.connect_prepare(move |_, _, _| {
        let position = cell.upgrade()?.position();
        weak.upgrade()?.dragged_with(position).map(Cast::upcast)
    });
    // The list would take it as the beginning of a frame around several rows.
    let set_frames = |page: &glib::WeakRef<BrowserPage>, enabled| {
        if let Some(page) = page.upgrade() {
            page.imp().view.set_enable_rubberband(enabled);
        }
    };
    let weak = page.clone();
    source.connect_begin(move |_, _| set_frames(&weak, false));
    let weak = page.clone();
    source.connect_end(move |_, _| set_frames(&weak, true));
    let weak = page.clone();
    source.connect_drag_begin(move |_, drag| {
        let content = drag.content().downcast::<DraggedFiles>();
        let (Some(page), Ok(dragged)) = (weak.upgrade(), content) else { return };
        if let Ok(icon) = gtk::DragIcon::for_drag(drag).downcast::<gtk::DragIcon>() {
            icon.set_child(Some(&page.drag_picture()));
        }
        let cancelled = dragged.clone();
        drag.connect_cancel(move |_, _| cancelled.settle(None));
        let weak = weak.clone();
        drag.connect_drop_performed(move |_| {
            let dragged = dragged.clone();
            match weak.upgrade().and_then(|page| page.root()).and_downcast::<Window>() {
                Some(window) => drop(glib::spawn_future_local(dragged.restore(window))),
                None => dragged.settle(None),
            }
        });
    });
    source
}

impl BrowserPage {
    fn dragged_with(&self, position: u32) -> Option<DraggedFiles> {
        let imp = self.imp();
        if !self.is_reachable() {
            return None;
        }
        if !imp.model.is_selected(position) {
            imp.model.select_item(position, true);
        }
        let (paths, strip) = self.chosen_rows()?;
        if paths.is_empty() {
            return None;
        }
        Some(DraggedFiles::new(RestoreWish {
            repository: imp.repository.borrow().clone()?,
            counter: imp.counter.borrow().clone()?,
            time: imp.time.get()?,
            paths,
            strip,
            original_known: false,
        }))
    }

    /// What is seen below the pointer.
    fn drag_picture(&self) -> gtk::Widget {
        let model = &self.imp().model;
        let positions = model.selected();
        let only = match positions[..] {
            [only] => u32::try_from(only).ok().and_then(|only| model.item(only)).and_downcast::<FileNode>(),
            _ => None,
        };
        let (icon, text) = match only {
            Some(node) => (node.icon_name(), node.name()),
            None => {
                let count = positions.len() as u64;
                let text =
                    ngettext_f("{count} item", "{count} items", count, &[("count", &words::count(count))]);
                ("edit-copy-symbolic", text)
            }
        };
        let label = gtk::Label::builder()
            .label(text)
            .max_width_chars(30)
            .ellipsize(gtk::pango::EllipsizeMode::Middle);
        let line = gtk::Box::builder().spacing(12).css_classes(["card", "dragged"]).build();
        line.append(&gtk::Image::from_icon_name(icon));
        line.append(&label.build());
        line.upcast()
    }
}
