//! The settings of a plan. What is changed is gathered in a draft, and nothing is written before *Save*.

mod change_page;
mod changes;
mod save;
mod settings_page;
mod speed_group;

use std::cell::RefCell;
use std::path::PathBuf;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::assistant::{
    DestinationPage, FoldersPage, NewKeyPage, PlanSecret, ProtectionChoice, ProtectionPage, SchedulePage,
};
use super::model::{PlanObject, PlanStore, Repository};
use super::window::Window;
use super::{dialogs, overview};
use crate::engine::crypto::Key;
use crate::engine::status::ChainStatus;
use crate::i18n::gettext;
use crate::plan::{LeftOut, Plan};
use change_page::ChangePage;
use settings_page::SettingsPage;

/// What the plan is to become.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The plan, still with the protection that it has.
    plan: Plan,
    /// Another protection.
    protection: Option<ProtectionChoice>,
    /// The new destination as it was tried, with what was answered for it.
    tried: Option<Repository>,
    /// Whether the backups are moved to the new destination first.
    moves: bool,
}

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "plan_settings.ui")]
    pub struct PlanSettings {
        #[template_child]
        pub navigation: TemplateChild<adw::NavigationView>,
        #[template_child]
        pub settings_page: TemplateChild<SettingsPage>,
        #[template_child]
        pub folders_page: TemplateChild<FoldersPage>,
        #[template_child]
        pub destination_page: TemplateChild<DestinationPage>,
        #[template_child]
        pub destination_change_page: TemplateChild<ChangePage>,
        #[template_child]
        pub protection_page: TemplateChild<ProtectionPage>,
        #[template_child]
        pub new_key_page: TemplateChild<NewKeyPage>,
        #[template_child]
        pub schedule_page: TemplateChild<SchedulePage>,
        #[template_child]
        pub protection_change_page: TemplateChild<ChangePage>,
        pub store: RefCell<Option<PlanStore>>,
        pub plan: RefCell<Option<PlanObject>>,
        pub window: glib::WeakRef<Window>,
        pub draft: RefCell<Option<Draft>>,
        /// What the page of the folders gives as long as nothing is changed there.
        pub first_choice: RefCell<(Vec<PathBuf>, LeftOut)>,
        /// A key that was made, also in an attempt that failed later, with its passphrase.
        pub made: RefCell<Option<(Key, Option<PlanSecret>)>>,
        /// What has the focus when the dialog is opened, if it is not the first page.
        pub first_focus: RefCell<Option<gtk::Widget>>,
        /// Whose key it is that protects now.
        pub key_owner: RefCell<Option<String>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for PlanSettings {
        const NAME: &'static str = "SouvenirPlanSettings";
        type Type = super::PlanSettings;
        type ParentType = adw::Dialog;

        fn class_init(class: &mut Self::Class) {
            SettingsPage::ensure_type();
            FoldersPage::ensure_type();
            DestinationPage::ensure_type();
            ProtectionPage::ensure_type();
            NewKeyPage::ensure_type();
            SchedulePage::ensure_type();
            ChangePage::ensure_type();
            class.bind_template();
            class.install_action("settings.open", Some(glib::VariantTy::STRING), |dialog, _, page| {
                dialog.push(page.and_then(glib::Variant::str).unwrap_or_default());
            });
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for PlanSettings {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().connect_pages();
        }
    }

    impl WidgetImpl for PlanSettings {
        /// A dialog does this as it opens, and would begin with its header bar.
        fn grab_focus(&self) -> bool {
            let first = self.first_focus.take();
            first.is_some_and(|first| first.child_focus(gtk::DirectionType::TabForward))
                || self.parent_grab_focus()
        }
    }

    impl AdwDialogImpl for PlanSettings {
        fn close_attempt(&self) {
            let dialog = self.obj().clone();
            glib::spawn_future_local(async move { dialog.discard().await });
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct PlanSettings(ObjectSubclass<imp::PlanSettings>)
        @extends adw::Dialog, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::ShortcutManager;
}

impl PlanSettings {
    /// The settings of a plan of a store. What is said in passing is said in the window.
    pub fn new(store: &PlanStore, plan: &PlanObject, window: &Window) -> Self {
        let dialog: Self = glib::Object::new();
        let imp = dialog.imp();
        let facts = plan.plan();
        let others: Vec<Plan> =
            store.iter().map(|other| other.plan()).filter(|other| other.id != facts.id).collect();
        imp.store.replace(Some(store.clone()));
        imp.plan.replace(Some(plan.clone()));
        imp.window.set(Some(window));
        imp.folders_page.set_choices(&facts.folders, &facts.left_out, &gettext("_Done"));
        imp.first_choice.replace((imp.folders_page.folders(), imp.folders_page.left_out()));
        imp.destination_page.set_folders(facts.folders.clone());
        imp.destination_page.fill(&facts.destination);
        imp.destination_page
            .set_taken(others.iter().map(|other| (other.destination.clone(), other.name.clone())).collect());
        imp.protection_page.fill(&facts.protection);
        imp.schedule_page.fill(&facts.schedule);
        imp.schedule_page.set_action(&gettext("_Done"));
        imp.settings_page.set_taken(others.into_iter().map(|other| other.name).collect());
        let chains = plan.status().map(|status| status.chains.clone()).unwrap_or_default();
        let times = |chain: &ChainStatus| chain.sets.iter().map(|set| set.time).collect();
        imp.settings_page.set_chains(chains.iter().map(times).collect());
        imp.settings_page.fill(&facts);
        imp.draft.replace(Some(Draft { plan: facts, protection: None, tried: None, moves: false }));
        dialog.refresh();
        dialog.look_up_key_owner();
        dialog
    }

    /// Opens the settings in a window, at one of the pages or at what is kept.
    pub fn open_at(&self, place: &str, window: &Window) {
        let imp = self.imp();
        let wanted = if place == "keep" {
            Some(imp.settings_page.keeping_group().upcast())
        } else if self.push(place) {
            let page = imp.navigation.visible_page().and_then(|page| page.child());
            page.and_downcast::<adw::ToolbarView>().and_then(|view| view.content())
        } else {
            None
        };
        imp.first_focus.replace(wanted);
        self.present(Some(window));
    }

    /// Goes to a page behind the first one. False if it is none.
    fn push(&self, page: &str) -> bool {
        let is_page = matches!(page, "folders" | "destination" | "protection" | "schedule");
        if is_page {
            self.imp().navigation.push_by_tag(page);
        }
        is_page
    }

    fn connect_pages(&self) {
        let imp = self.imp();
        let with = |act: fn(&Self)| {
            let dialog = self.downgrade();
            move || {
                if let Some(dialog) = dialog.upgrade() {
                    act(&dialog);
                }
            }
        };
        let page = &imp.settings_page;
        page.connect_plain("changed", with(Self::refresh));
        page.connect_plain("cancel", with(|dialog| _ = dialog.close()));
        page.connect_plain(
            "save",
            with(|dialog| {
                let dialog = dialog.clone();
                glib::spawn_future_local(async move { dialog.save().await });
            }),
        );
        page.connect_plain("remove", with(Self::remove));
        imp.folders_page.connect_done(with(|dialog| {
            let dialog = dialog.clone();
            glib::spawn_future_local(async move { dialog.take_folders().await });
        }));
        imp.destination_page.connect_done(with(Self::consider_destination));
        imp.destination_change_page.connect_apply(with(Self::take_destination));
        imp.new_key_page.connect_done(with(|dialog| {
            let imp = dialog.imp();
            if let Some(wish) = imp.new_key_page.wish() {
                imp.protection_page.set_wish(wish);
                imp.navigation.pop();
            }
        }));
        imp.protection_page.connect_done(with(Self::consider_protection));
        imp.protection_change_page.connect_apply(with(Self::take_protection));
        imp.schedule_page.connect_done(with(|dialog| _ = dialog.imp().navigation.pop_to_tag("settings")));
        let dialog = self.downgrade();
        imp.navigation.connect_popped(move |_, page| {
            if let Some(dialog) = dialog.upgrade() {
                dialog.take_left(page);
            }
        });
        let dialog = self.downgrade();
        imp.navigation.connect_visible_page_notify(move |_| {
            if let Some(dialog) = dialog.upgrade() {
                dialog.refresh();
            }
        });
    }

    /// The draft with what is typed on the first page.
    fn draft(&self) -> Option<Draft> {
        let mut draft = self.imp().draft.borrow().clone()?;
        self.imp().settings_page.read(&mut draft.plan);
        Some(draft)
    }

    /// Whether there is anything to be saved.
    fn is_changed(&self) -> bool {
        let plan = self.imp().plan.borrow().as_ref().map(PlanObject::plan);
        self.draft().is_some_and(|draft| draft.protection.is_some() || plan != Some(draft.plan))
    }

    fn refresh(&self) {
        let imp = self.imp();
        let Some(draft) = self.draft() else { return };
        imp.settings_page.show_choices(
            &draft.plan,
            &self.destination_text(&draft),
            &self.protection_text(&draft),
        );
        let changed = self.is_changed();
        imp.settings_page.set_changed(changed);
        // What was chosen on another page is taken only when that is left.
        let is_first_page = imp.navigation.visible_page().as_ref() == Some(imp.settings_page.upcast_ref());
        self.set_can_close(!changed && is_first_page);
    }

    /// Asks whether what was changed is to be given up.
    async fn discard(&self) {
        let imp = self.imp();
        let without_folders = imp.folders_page.folders().is_empty();
        if let Some(page) = imp.navigation.visible_page().filter(|_| !without_folders) {
            self.take_left(&page);
        }
        if !self.is_changed() && !without_folders {
            return self.force_close();
        }
        let heading = gettext("Discard Changes?");
        let body = gettext("What you have changed here is not saved.");
        if dialogs::confirm_destructive(self, &heading, &body, &gettext("_Discard")).await {
            self.force_close();
        }
    }

    fn remove(&self) {
        let imp = self.imp();
        let (Some(plan), Some(window)) = (imp.plan.borrow().clone(), imp.window.upgrade()) else { return };
        let dialog = self.clone();
        glib::spawn_future_local(async move {
            if overview::remove(&plan, &window).await {
                dialog.force_close();
            }
        });
    }
}
