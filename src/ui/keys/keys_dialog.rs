//! All keys of the keyring: what each is, and ways to make and to take in another.

use std::cell::{Cell, OnceCell};
use std::path::Path;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::import_page::{ImportPage, imported_text};
use super::key_page::KeyPage;
use super::uses::uses_of;
use crate::engine::crypto::{Key, Keyring, PassphraseFor};
use crate::engine::error::Error;
use crate::i18n::{gettext, gettext_f};
use crate::plan::Plan;
use crate::plan::history::Problem;
use crate::platform::secrets::{self, Owner};
use crate::ui::assistant::{KeyWish, NewKeyPage, facts_with_address, objection};
use crate::ui::dialogs;
use crate::ui::error_text;
use crate::ui::model::PlanStore;
use crate::ui::widgets::{ProblemView, show_toast, show_toast_with_folder};
use crate::ui::window::Window;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "keys_dialog.ui")]
    pub struct KeysDialog {
        #[template_child]
        pub toasts: TemplateChild<adw::ToastOverlay>,
        #[template_child]
        pub navigation: TemplateChild<adw::NavigationView>,
        #[template_child]
        pub problem_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub problem_view: TemplateChild<ProblemView>,
        #[template_child]
        pub own_list: TemplateChild<gtk::ListBox>,
        #[template_child]
        pub others_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub others_list: TemplateChild<gtk::ListBox>,
        #[template_child]
        pub create_row: TemplateChild<adw::ButtonRow>,
        pub store: OnceCell<PlanStore>,
        pub busy: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for KeysDialog {
        const NAME: &'static str = "SouvenirKeysDialog";
        type Type = super::KeysDialog;
        type ParentType = adw::Dialog;

        fn class_init(class: &mut Self::Class) {
            ProblemView::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for KeysDialog {
        fn constructed(&self) {
            self.parent_constructed();
            self.own_list.set_placeholder(Some(&placeholder()));
        }
    }

    impl WidgetImpl for KeysDialog {}
    impl AdwDialogImpl for KeysDialog {}

    #[gtk::template_callbacks]
    impl KeysDialog {
        #[template_callback]
        fn on_create(&self) {
            // A page of its own each time: nothing typed for one key stays for the next.
            let page: NewKeyPage = glib::Object::new();
            page.set_action(&gettext("_Create Key"));
            let (dialog, weak) = (self.obj().downgrade(), page.downgrade());
            page.connect_done(move || {
                let (Some(dialog), Some(page)) = (dialog.upgrade(), weak.upgrade()) else { return };
                glib::spawn_future_local(async move { dialog.create(&page).await });
            });
            self.navigation.push(&page);
        }

        #[template_callback]
        fn on_import(&self) {
            let dialog = self.obj().downgrade();
            ImportPage::show_over(&self.navigation, move |report| {
                let Some(dialog) = dialog.upgrade() else { return };
                dialog.imp().navigation.pop_to_tag("keys");
                dialog.toast(&imported_text(report));
                glib::spawn_future_local(async move { dialog.load().await });
            });
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct KeysDialog(ObjectSubclass<imp::KeysDialog>)
        @extends adw::Dialog, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget, gtk::ShortcutManager;
}

impl KeysDialog {
    /// A dialog that knows which of the plans use which key.
    pub fn new(store: &PlanStore) -> Self {
        let dialog: Self = glib::Object::new();
        // Set once, here.
        let _ = dialog.imp().store.set(store.clone());
        // Where nothing is animated, libadwaita speaks of a dialog that has closed after it has let go of it.
        dialog.connect_closed(|dialog| {
            let dialog = dialog.clone();
            glib::idle_add_local_once(move || drop(dialog));
        });
        let loading = dialog.clone();
        glib::spawn_future_local(async move { loading.load().await });
        dialog
    }

    fn plans(&self) -> Vec<Plan> {
        self.imp().store.get().map(|store| store.iter().map(|plan| plan.plan()).collect()).unwrap_or_default()
    }

    async fn load(&self) {
        let imp = self.imp();
        let listed = match gio::spawn_blocking(|| Keyring::default().list()).await {
            Ok(listed) => listed,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let problem = listed.as_ref().err().map(|error| error_text::problem(&Error::from(error.clone())));
        self.show_problem(problem.as_ref());
        let mut keys = listed.unwrap_or_default();
        keys.sort_by_key(|key| (!key.state.is_usable(), key.user_id.to_lowercase()));
        imp.own_list.remove_all();
        imp.others_list.remove_all();
        let plans = self.plans();
        imp.others_group.set_visible(keys.iter().any(|key| !key.has_secret));
        for key in keys {
            let list = if key.has_secret { &imp.own_list } else { &imp.others_list };
            list.append(&self.row(key, &plans));
        }
        // The row that had the focus may be gone, and without one no key would close the dialog.
        if self.root().and_then(|root| root.focus()).is_none() {
            imp.create_row.grab_focus();
        }
    }

    fn row(&self, key: Key, plans: &[Plan]) -> adw::ActionRow {
        let title = if key.name.is_empty() { &key.user_id } else { &key.name };
        let mut lines = vec![facts_with_address(&key)];
        let uses: Vec<String> =
            uses_of(&key, plans).iter().map(|used| gettext_f("“{name}”", &[("name", &used.plan)])).collect();
        if !uses.is_empty() {
            lines.push(gettext_f("Used by {plans}", &[("plans", &uses.join(", "))]));
        }
        // That a secret part is missing is what the group says.
        let objection = objection(&key).filter(|_| key.has_secret || !key.state.is_usable());
        let row = adw::ActionRow::builder().use_markup(false).activatable(true).build();
        row.set_title(if title.is_empty() { &key.fingerprint } else { title });
        if let Some(objection) = objection {
            lines.push(objection);
            let icon = gtk::Image::builder()
                .icon_name("dialog-warning-symbolic")
                .accessible_role(gtk::AccessibleRole::Presentation)
                .css_classes(["warning"])
                .build();
            row.add_suffix(&icon);
        }
        row.set_subtitle(&lines.join("\n"));
        let arrow = gtk::Image::builder()
            .icon_name("go-next-symbolic")
            .accessible_role(gtk::AccessibleRole::Presentation)
            .build();
        row.add_suffix(&arrow);
        let dialog = self.downgrade();
        row.connect_activated(move |_| {
            if let Some(dialog) = dialog.upgrade() {
                dialog.show_key(key.clone());
            }
        });
        row
    }

    /// Opens the page of a key.
    pub fn show_key(&self, key: Key) {
        let page = KeyPage::new(key, self.plans());
        let dialog = self.downgrade();
        page.connect_saved(move |text, folder| {
            if let Some(dialog) = dialog.upgrade() {
                dialog.toast_with_folder(text, folder);
            }
        });
        self.imp().navigation.push(&page);
    }

    async fn create(&self, page: &NewKeyPage) {
        let imp = self.imp();
        let Some(KeyWish { new, remember }) = page.wish() else { return };
        if imp.busy.replace(true) {
            return;
        }
        page.set_sensitive(false);
        let passphrase = new.passphrase.clone();
        let made = gio::spawn_blocking(move || Keyring::default().generate(&new)).await;
        imp.busy.set(false);
        page.set_sensitive(true);
        let key = match made {
            Ok(Ok(key)) => key,
            // What was typed stays, for another attempt.
            Ok(Err(error)) => return dialogs::show_problem(self, &error_text::problem(&Error::from(error))),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        imp.navigation.pop_to_tag("keys");
        self.load().await;
        let what = PassphraseFor::Key { id: key.fingerprint.clone(), user_id: Some(key.user_id.clone()) };
        if let (true, Some(secret), Some(owner)) = (remember, passphrase, Owner::of(&what, None)) {
            let label = gettext_f("Souvenir: {name}", &[("name", &key.user_id)]);
            if let Err(error) = secrets::remember(&owner, &label, &secret).await {
                tracing::warn!(%error, "the passphrase could not be remembered");
                self.toast(&gettext("The passphrase could not be remembered"));
            }
        }
        // A key without a copy is the next thing to care for.
        self.show_key(key);
    }

    fn show_problem(&self, problem: Option<&Problem>) {
        self.imp().problem_group.set_visible(problem.is_some());
        self.imp().problem_view.set_problem(problem);
    }

    fn toast(&self, text: &str) {
        show_toast(&self.imp().toasts, text);
    }

    fn toast_with_folder(&self, text: &str, folder: &Path) {
        let (dialog, folder) = (self.downgrade(), folder.to_owned());
        show_toast_with_folder(&self.imp().toasts, text, move || {
            let window = dialog.upgrade().and_then(|dialog| dialog.root()).and_downcast::<Window>();
            if let Some(window) = window {
                window.open_folder(&folder);
            }
        });
    }
}

/// What stands in the place of the keys as long as there are none.
fn placeholder() -> gtk::Label {
    gtk::Label::builder()
        .label(gettext("There is no key on this computer yet."))
        .wrap(true)
        .margin_top(18)
        .margin_bottom(18)
        .margin_start(12)
        .margin_end(12)
        .css_classes(["dimmed"])
        .build()
}
