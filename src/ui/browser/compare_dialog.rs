//! Two versions of a text beside each other.

use std::cell::{Cell, RefCell};

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::BoxedAnyObject;

use super::columns;
use super::sight::{Version, as_text};
use crate::engine::catalog::PathVersion;
use crate::engine::crypto::Keyring;
use crate::engine::error::{Error, Result};
use crate::engine::format::time::SetTime;
use crate::engine::job::{CancelReason, Job};
use crate::engine::path::EntryPath;
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::ui::model::{Comparison, JobKind, JobModel, Line, LineKind, Repository, compare, display_name};
use crate::ui::widgets::details_button;
use crate::ui::window::Window;
use crate::ui::{error_text, words};

/// What became of a comparison.
enum Compared {
    Texts(Comparison),
    /// They are the same, byte by byte.
    Equal,
    /// At least one of them is no text.
    NoTexts,
    /// At least one of them is too large.
    TooLarge,
}

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "compare_dialog.ui")]
    pub struct CompareDialog {
        #[template_child]
        pub window_title: TemplateChild<adw::WindowTitle>,
        #[template_child]
        pub old_drop_down: TemplateChild<gtk::DropDown>,
        #[template_child]
        pub new_drop_down: TemplateChild<gtk::DropDown>,
        #[template_child]
        pub count_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub told_page: TemplateChild<adw::StatusPage>,
        #[template_child]
        pub list: TemplateChild<gtk::ListView>,
        pub repository: RefCell<Option<Repository>>,
        pub path: RefCell<EntryPath>,
        /// Newest first.
        pub times: RefCell<Vec<SetTime>>,
        pub filling: Cell<bool>,
        pub window: glib::WeakRef<Window>,
        pub job: RefCell<Option<JobModel>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for CompareDialog {
        const NAME: &'static str = "SouvenirCompareDialog";
        type Type = super::CompareDialog;
        type ParentType = adw::Dialog;

        fn class_init(class: &mut Self::Class) {
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for CompareDialog {
        fn constructed(&self) {
            self.parent_constructed();
            self.list.set_factory(Some(&line_factory()));
            for drop_down in [&self.old_drop_down, &self.new_drop_down] {
                drop_down.set_factory(Some(&columns::date_factory()));
            }
        }
    }

    impl WidgetImpl for CompareDialog {}

    impl AdwDialogImpl for CompareDialog {
        fn closed(&self) {
            if let Some(job) = self.job.take() {
                job.stop(CancelReason::User);
            }
        }
    }

    #[gtk::template_callbacks]
    impl CompareDialog {
        #[template_callback]
        fn on_chosen(&self) {
            if !self.filling.get() {
                self.obj().compare();
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct CompareDialog(ObjectSubclass<imp::CompareDialog>)
        @extends adw::Dialog, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::ShortcutManager;
}

impl CompareDialog {
    /// Compares the selected one of some versions, the newest of which stands first, with the one before it.
    pub fn new(
        repository: &Repository,
        path: EntryPath,
        versions: Vec<PathVersion>,
        selected: Option<SetTime>,
        window: &Window,
    ) -> Self {
        let dialog: Self = glib::Object::new();
        let imp = dialog.imp();
        imp.window_title.set_subtitle(&display_name(&path));
        let times: Vec<_> = versions.iter().map(|version| version.set_time).collect();
        let names = words::set_dates(&times);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let last = times.len().saturating_sub(1);
        let new = selected.and_then(|selected| times.iter().position(|time| *time == selected));
        let new = new.unwrap_or(0).min(last.saturating_sub(1));
        imp.filling.set(true);
        for (drop_down, position) in [(&imp.old_drop_down, new + 1), (&imp.new_drop_down, new)] {
            drop_down.set_model(Some(&gtk::StringList::new(&names)));
            drop_down.set_selected(u32::try_from(position).unwrap_or(0));
        }
        imp.filling.set(false);
        imp.times.replace(times);
        imp.repository.replace(Some(repository.clone()));
        imp.path.replace(path);
        imp.window.set(Some(window));
        dialog.compare();
        dialog
    }

    fn compare(&self) {
        let imp = self.imp();
        let Some(repository) = imp.repository.borrow().clone() else { return };
        let version = |drop_down: &gtk::DropDown| {
            let time = imp.times.borrow().get(drop_down.selected() as usize).copied()?;
            Some(Version::new(&repository, time, imp.path.borrow().clone()))
        };
        let (Some(old), Some(new)) = (version(&imp.old_drop_down), version(&imp.new_drop_down)) else {
            return;
        };
        if let Some(job) = imp.job.take() {
            job.stop(CancelReason::User);
        }
        imp.stack.set_visible_child_name("loading");
        imp.count_label.set_label("");
        let passphrases = repository.passphrases();
        let work = move |job: &Job| {
            let read = |version: &Version| version.read(&Keyring::default(), &passphrases, job);
            let (Some(old), Some(new)) = (read(&old)?, read(&new)?) else {
                return Ok(Compared::TooLarge);
            };
            if old == new {
                return Ok(Compared::Equal);
            }
            Ok(match (as_text(&old), as_text(&new)) {
                (Some(old), Some(new)) => Compared::Texts(compare(old, new)),
                _ => Compared::NoTexts,
            })
        };
        let dialog = self.downgrade();
        let job = JobModel::run(JobKind::Look, "compare", work, move |job, compared| {
            let Some(dialog) = dialog.upgrade() else { return };
            if dialog.imp().job.borrow().as_ref() == Some(job) {
                dialog.take(compared);
            }
        });
        if let Some(window) = imp.window.upgrade() {
            window.watch(&job, &repository);
        }
        imp.job.replace(Some(job));
    }

    fn take(&self, compared: Result<Compared>) {
        let imp = self.imp();
        match compared {
            Ok(Compared::Texts(comparison)) if comparison.lines.is_empty() => self.tell(
                "object-select-symbolic",
                &gettext("The Same Text"),
                &gettext("Only the ends of lines are not the same."),
            ),
            Ok(Compared::Texts(comparison)) => self.show(comparison),
            Ok(Compared::Equal) => self.tell(
                "object-select-symbolic",
                &gettext("No Difference"),
                &gettext("Both versions have the same contents."),
            ),
            Ok(Compared::NoTexts) => self.tell(
                "text-x-generic-symbolic",
                &gettext("No Text"),
                &gettext("The versions are not the same, but only texts can be shown beside each other."),
            ),
            Ok(Compared::TooLarge) => self.tell(
                "text-x-generic-symbolic",
                &gettext("Too Large"),
                &gettext("Restore both versions to compare them."),
            ),
            Err(Error::Cancelled(_)) => self.tell(
                "dialog-password-symbolic",
                &gettext("Not Compared"),
                &gettext("The passphrase is needed for that."),
            ),
            Err(error) => {
                let problem = error_text::problem(&error);
                self.tell("dialog-warning-symbolic", &problem.what, &problem.advice);
                imp.told_page.set_child(details_button(&problem).as_ref());
            }
        }
        imp.job.take();
    }

    fn tell(&self, icon: &str, title: &str, description: &str) {
        let page = &self.imp().told_page;
        page.set_icon_name(Some(icon));
        page.set_title(title);
        page.set_description(Some(&glib::markup_escape_text(description)));
        page.set_child(gtk::Widget::NONE);
        self.imp().stack.set_visible_child_name("told");
    }

    fn show(&self, comparison: Comparison) {
        let imp = self.imp();
        let added = ngettext_f(
            "{count} line added",
            "{count} lines added",
            comparison.added_count,
            &[("count", &words::count(comparison.added_count))],
        );
        let removed = ngettext_f(
            "{count} removed",
            "{count} removed",
            comparison.removed_count,
            &[("count", &words::count(comparison.removed_count))],
        );
        let told = gettext_f("{added}, {removed}", &[("added", &added), ("removed", &removed)]);
        let told = if comparison.is_cut {
            gettext_f("{counts}; only the beginning is shown", &[("counts", &told)])
        } else {
            told
        };
        imp.count_label.set_label(&told);
        let model: gio::ListStore = comparison.lines.into_iter().map(BoxedAnyObject::new).collect();
        imp.list.set_model(Some(&gtk::NoSelection::new(Some(model))));
        imp.stack.set_visible_child_name("lines");
    }
}

fn line_factory() -> gtk::SignalListItemFactory {
    let factory = gtk::SignalListItemFactory::new();
    factory.connect_setup(|_, object| {
        let Some(item) = object.downcast_ref::<gtk::ListItem>() else { return };
        let line = gtk::Box::builder().spacing(6).build();
        for _ in 0..2 {
            let number = gtk::Label::builder()
                .xalign(1.0)
                .yalign(0.0)
                .width_chars(4)
                .css_classes(["numeric", "dimmed", "caption"])
                .build();
            line.append(&number);
        }
        line.append(&gtk::Label::builder().yalign(0.0).width_chars(1).css_classes(["monospace"]).build());
        let text = gtk::Label::builder()
            .xalign(0.0)
            .hexpand(true)
            .wrap(true)
            .wrap_mode(gtk::pango::WrapMode::WordChar)
            .css_classes(["monospace"])
            .build();
        line.append(&text);
        item.set_child(Some(&line));
    });
    factory.connect_bind(|_, object| {
        let Some(item) = object.downcast_ref::<gtk::ListItem>() else { return };
        let (Some(line), Some(boxed)) =
            (item.child().and_downcast::<gtk::Box>(), item.item().and_downcast::<BoxedAnyObject>())
        else {
            return;
        };
        let told = boxed.borrow::<Line>();
        let (sign, class) = match told.kind {
            LineKind::Same => ("", None),
            LineKind::Removed => ("−", Some("removed")),
            LineKind::Added => ("+", Some("added")),
            LineKind::Gap => ("", Some("gap")),
        };
        line.set_css_classes(class.as_slice());
        let number = |number: Option<usize>| number.map(|number| number.to_string()).unwrap_or_default();
        let text = if told.kind == LineKind::Gap { "⋯" } else { &told.text };
        let labels = [&*number(told.old), &*number(told.new), sign, text];
        let mut child = line.first_child();
        for label in labels {
            let Some(widget) = child else { return };
            if let Some(widget) = widget.downcast_ref::<gtk::Label>() {
                widget.set_label(label);
            }
            child = widget.next_sibling();
        }
        item.set_accessible_label(&match told.kind {
            LineKind::Same => told.text.clone(),
            LineKind::Removed => gettext_f("removed: {text}", &[("text", &told.text)]),
            LineKind::Added => gettext_f("added: {text}", &[("text", &told.text)]),
            LineKind::Gap => gettext("lines that did not change"),
        });
    });
    factory
}
