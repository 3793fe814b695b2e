//! What a search in all snapshots found: a row for each path, with when it was there.

use std::cell::{Cell, OnceCell};
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::BoxedAnyObject;
use glib::subclass::Signal;

use super::place::folder_line;
use crate::engine::catalog::{Found, Hit};
use crate::i18n::{gettext_f, ngettext_f};
use crate::ui::model::{FRAME, MOST_WIDGETS, display_name, icon_name, kind_name};
use crate::ui::words;

/// How many rows are put in the place of others at a time: about as many as a window shows.
const STEP: u32 = 16;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "search_view.ui")]
    pub struct SearchView {
        #[template_child]
        pub stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub list: TemplateChild<gtk::ListView>,
        #[template_child]
        pub selection: TemplateChild<gtk::SingleSelection>,
        #[template_child]
        pub more_label: TemplateChild<gtk::Label>,
        /// What is shown, one [`BoxedAnyObject`] for each [`Hit`].
        pub hits: OnceCell<gio::ListStore>,
        /// Counts up with every answer, so that the rest of an older one does not come any more.
        pub answer: Cell<u32>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for SearchView {
        const NAME: &'static str = "SouvenirSearchView";
        type Type = super::SearchView;
        type ParentType = adw::Bin;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for SearchView {
        fn constructed(&self) {
            self.parent_constructed();
            self.list.set_factory(Some(&row_factory()));
            self.selection.set_model(Some(self.hits()));
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| {
                vec![
                    Signal::builder("chosen").param_types([u32::static_type()]).build(),
                    Signal::builder("selected").build(),
                ]
            })
        }
    }

    impl WidgetImpl for SearchView {}
    impl BinImpl for SearchView {}

    impl SearchView {
        pub fn hits(&self) -> &gio::ListStore {
            self.hits.get_or_init(gio::ListStore::new::<BoxedAnyObject>)
        }
    }

    #[gtk::template_callbacks]
    impl SearchView {
        #[template_callback]
        fn on_activate(&self, position: u32) {
            self.obj().emit_by_name::<()>("chosen", &[&position]);
        }

        #[template_callback]
        fn on_selected(&self) {
            self.obj().emit_by_name::<()>("selected", &[]);
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct SearchView(ObjectSubclass<imp::SearchView>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl SearchView {
    /// Shows what was found; none: nothing was searched for yet.
    pub fn set_found(&self, found: Option<Found>) {
        let imp = self.imp();
        imp.selection.set_selected(gtk::INVALID_LIST_POSITION);
        let Some(found) = found else {
            self.show_hits(Vec::new());
            return imp.stack.set_visible_child_name("hint");
        };
        let count = found.hits.len() as u64;
        self.show_hits(found.hits);
        imp.more_label.set_visible(found.is_cut);
        imp.more_label.set_label(&ngettext_f(
            "Only the first {count} is shown. Type more of the name.",
            "Only the first {count} are shown. Type more of the name.",
            count,
            &[("count", &words::count(count))],
        ));
        if count > 0 {
            imp.list.scroll_to(0, gtk::ListScrollFlags::NONE, None);
        }
        imp.stack.set_visible_child_name(if count == 0 { "none" } else { "found" });
        let told = ngettext_f("{count} found", "{count} found", count, &[("count", &words::count(count))]);
        self.announce(&told, gtk::AccessibleAnnouncementPriority::Low);
    }

    /// Puts hits in the place of those from before, the first of them at once and the others frame by frame: a list view
    /// has the widgets of two hundred rows, for which it would take longer than one.
    fn show_hits(&self, hits: Vec<Hit>) {
        let imp = self.imp();
        let answer = imp.answer.get() + 1;
        imp.answer.set(answer);
        let hits: Vec<BoxedAnyObject> = hits.into_iter().map(BoxedAnyObject::new).collect();
        let mut shown = 0;
        let view = self.downgrade();
        let mut show_more = move || {
            let Some(view) = view.upgrade().filter(|view| view.imp().answer.get() == answer) else {
                return glib::ControlFlow::Break;
            };
            let store = view.imp().hits();
            let all = hits.len() as u32;
            let end = if shown < MOST_WIDGETS { all.min(shown + STEP) } else { all };
            let old = store.n_items() - shown;
            // Nothing from before is seen behind the last of them.
            let gone = if end == all { old } else { old.min(end - shown) };
            store.splice(shown, gone, &hits[shown as usize..end as usize]);
            shown = end;
            if shown == all { glib::ControlFlow::Break } else { glib::ControlFlow::Continue }
        };
        if show_more().is_continue() {
            glib::timeout_add_local_full(FRAME, glib::Priority::DEFAULT_IDLE, show_more);
        }
    }

    /// Chooses what stands first.
    pub fn choose_first(&self) {
        if self.hit(0).is_some() {
            self.emit_by_name::<()>("chosen", &[&0_u32]);
        }
    }

    /// Goes to the rows with the keyboard.
    pub fn focus_rows(&self) {
        if self.hit(0).is_some() {
            let flags = gtk::ListScrollFlags::FOCUS | gtk::ListScrollFlags::SELECT;
            self.imp().list.scroll_to(0, flags, None);
            self.imp().list.grab_focus();
        }
    }

    /// Calls `handler` with a path that was chosen.
    pub fn connect_chosen(&self, handler: impl Fn(Hit) + 'static) -> glib::SignalHandlerId {
        let view = self.downgrade();
        self.connect_local("chosen", false, move |values| {
            let position = values.get(1).and_then(|value| value.get::<u32>().ok())?;
            if let Some(hit) = view.upgrade()?.hit(position) {
                handler(hit);
            }
            None
        })
    }

    /// Calls `handler` with the path that is selected, or none.
    pub fn connect_selected(&self, handler: impl Fn(Option<Hit>) + 'static) -> glib::SignalHandlerId {
        let view = self.downgrade();
        self.connect_local("selected", false, move |_| {
            let view = view.upgrade()?;
            handler(view.hit(view.imp().selection.selected()));
            None
        })
    }

    /// Whether a single click goes to a path: where nothing is seen beside the rows.
    pub fn set_direct(&self, direct: bool) {
        self.imp().list.set_single_click_activate(direct);
    }

    fn hit(&self, position: u32) -> Option<Hit> {
        let item = self.imp().selection.item(position).and_downcast::<BoxedAnyObject>()?;
        Some(item.borrow::<Hit>().clone())
    }
}

/// When a path was there: “12 Oct – 3 Nov, deleted”.
fn span_text(hit: &Hit) -> String {
    let (Some(first), Some(last)) = (hit.spans.first(), hit.spans.last()) else { return String::new() };
    let from = words::day_near(first.first.epoch());
    match last.gone {
        // Translators: two days between which a file was there.
        Some(gone) if words::day_near(gone.epoch()) == from => gettext_f("{day}, deleted", &[("day", &from)]),
        Some(gone) => gettext_f(
            "{from} – {until}, deleted",
            &[("from", &from), ("until", &words::day_near(gone.epoch()))],
        ),
        None => gettext_f("since {from}", &[("from", &from)]),
    }
}

fn row_factory() -> gtk::SignalListItemFactory {
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(|_, object| {
        if let Some(item) = object.downcast_ref::<gtk::ListItem>() {
            item.set_child(Some(&new_row()));
        }
    });
    factory.connect_bind(|_, object| {
        let Some(item) = object.downcast_ref::<gtk::ListItem>() else { return };
        let (Some(line), Some(boxed)) = (item.child(), item.item().and_downcast::<BoxedAnyObject>()) else {
            return;
        };
        let hit = boxed.borrow::<Hit>();
        let told = fill(&line, &hit);
        item.set_accessible_label(&display_name(&hit.entry.path));
        item.set_accessible_description(&told);
    });
    factory
}

fn new_row() -> gtk::Box {
    let label = |classes: &[&str], ellipsize| {
        gtk::Label::builder().xalign(0.0).ellipsize(ellipsize).css_classes(classes.to_vec()).build()
    };
    let line = gtk::Box::builder().spacing(12).margin_top(6).margin_bottom(6).build();
    line.append(&gtk::Image::builder().accessible_role(gtk::AccessibleRole::Presentation).build());
    let texts = gtk::Box::builder().orientation(gtk::Orientation::Vertical).spacing(2).hexpand(true).build();
    texts.append(&label(&[], gtk::pango::EllipsizeMode::Middle));
    let below = gtk::Box::builder().spacing(12).build();
    let folder = label(&["dimmed", "caption"], gtk::pango::EllipsizeMode::Start);
    folder.set_hexpand(true);
    below.append(&folder);
    below.append(&label(&["dimmed", "caption", "numeric"], gtk::pango::EllipsizeMode::None));
    texts.append(&below);
    line.append(&texts);
    line
}

/// Puts a path into a row. Gives what is told of it beside its name.
fn fill(line: &gtk::Widget, hit: &Hit) -> String {
    let entry = &hit.entry;
    let folder = folder_line(&entry.path.parent().unwrap_or_default());
    let span = span_text(hit);
    let is_gone = hit.spans.last().is_some_and(|span| span.gone.is_some());
    if let Some(image) = line.first_child().and_downcast::<gtk::Image>() {
        image.set_icon_name(Some(icon_name(&entry.kind, entry.mode, entry.path.file_name())));
    }
    let texts = line.last_child();
    if let Some(name) = texts.as_ref().and_then(gtk::Widget::first_child).and_downcast::<gtk::Label>() {
        name.set_label(&display_name(&entry.path));
        name.set_css_classes(if is_gone { &["dimmed"] } else { &[] });
    }
    if let Some(below) = texts.and_then(|texts| texts.last_child()) {
        if let Some(label) = below.first_child().and_downcast::<gtk::Label>() {
            label.set_label(&folder);
        }
        if let Some(label) = below.last_child().and_downcast::<gtk::Label>() {
            label.set_label(&span);
        }
    }
    gettext_f(
        "{kind} in {folder}, {span}",
        &[("kind", &kind_name(&entry.kind)), ("folder", &folder), ("span", &span)],
    )
}
