//! The folders above the one that is shown, each a button.

use std::cell::RefCell;
use std::sync::OnceLock;

use glib::subclass::Signal;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use crate::engine::path::EntryPath;
use crate::i18n::gettext;

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Breadcrumb {
        pub scroller: gtk::ScrolledWindow,
        pub row: gtk::Box,
        pub folders: RefCell<Vec<EntryPath>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Breadcrumb {
        const NAME: &'static str = "SouvenirBreadcrumb";
        type Type = super::Breadcrumb;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_layout_manager_type::<gtk::BinLayout>();
            class.set_accessible_role(gtk::AccessibleRole::Navigation);
        }
    }

    impl ObjectImpl for Breadcrumb {
        fn constructed(&self) {
            self.parent_constructed();
            self.scroller.set_policy(gtk::PolicyType::External, gtk::PolicyType::Never);
            self.scroller.set_child(Some(&self.row));
            self.scroller.set_margin_start(6);
            self.scroller.set_margin_end(6);
            self.scroller.set_margin_bottom(6);
            self.scroller.set_parent(&*self.obj());
            // What was added last is where one is: it has to be seen.
            self.scroller
                .hadjustment()
                .connect_changed(|adjustment| adjustment.set_value(adjustment.upper()));
            self.obj().update_property(&[gtk::accessible::Property::Label(&gettext("Place in the backup"))]);
        }

        fn dispose(&self) {
            self.scroller.unparent();
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| vec![Signal::builder("chosen").param_types([u64::static_type()]).build()])
        }
    }

    impl WidgetImpl for Breadcrumb {}
}

glib::wrapper! {
    /// See the module.
    pub struct Breadcrumb(ObjectSubclass<imp::Breadcrumb>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Breadcrumb {
    /// Shows these folders with their names, the one that is open last.
    pub fn set_folders(&self, folders: &[(EntryPath, String)]) {
        self.imp().folders.replace(folders.iter().map(|(path, _)| path.clone()).collect());
        let row = &self.imp().row;
        while let Some(child) = row.first_child() {
            row.remove(&child);
        }
        for (position, (_, name)) in folders.iter().enumerate() {
            let is_last = position + 1 == folders.len();
            if position > 0 {
                let divider = gtk::Label::builder()
                    .label("›")
                    .accessible_role(gtk::AccessibleRole::Presentation)
                    .css_classes(["dimmed"])
                    .build();
                row.append(&divider);
            }
            row.append(&self.button(position, name, is_last));
        }
    }

    /// Calls `handler` with a folder that was chosen.
    pub fn connect_chosen(&self, handler: impl Fn(EntryPath) + 'static) -> glib::SignalHandlerId {
        let breadcrumb = self.downgrade();
        self.connect_local("chosen", false, move |values| {
            let index = values.get(1).and_then(|value| value.get::<u64>().ok())?;
            let folder = breadcrumb.upgrade()?.imp().folders.borrow().get(index as usize).cloned();
            if let Some(folder) = folder {
                handler(folder);
            }
            None
        })
    }

    fn button(&self, index: usize, name: &str, is_last: bool) -> gtk::Button {
        let label = gtk::Label::builder()
            .label(name)
            .ellipsize(gtk::pango::EllipsizeMode::Middle)
            .max_width_chars(24)
            .build();
        let button = gtk::Button::builder().child(&label).css_classes(["flat"]).build();
        if is_last {
            label.add_css_class("heading");
            button.update_state(&[gtk::accessible::State::Selected(Some(true))]);
        }
        let breadcrumb = self.downgrade();
        button.connect_clicked(move |_| {
            if let Some(breadcrumb) = breadcrumb.upgrade() {
                breadcrumb.emit_by_name::<()>("chosen", &[&(index as u64)]);
            }
        });
        button
    }
}
