//! One key: what it is, which plans use it, and a copy of it in another place.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::Path;
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::subclass::Signal;

use super::uses::{Use, opens, places_of, uses_of};
use super::work::{self, Stopped};
use crate::engine::crypto::{Key, Keyring, Passphrases};
use crate::i18n::{gettext, gettext_f};
use crate::kit::{Keep, KeepRequest, keep};
use crate::plan::{Destination, Plan};
use crate::platform::folder;
use crate::ui::assistant::{algorithm, objection};
use crate::ui::safekeeping::{self, beside_backups};
use crate::ui::widgets::{PathRow, ProblemView, show_hint};
use crate::ui::words;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "key_page.ui")]
    pub struct KeyPage {
        #[template_child]
        pub objection_banner: TemplateChild<adw::Banner>,
        #[template_child]
        pub problem_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub problem_view: TemplateChild<ProblemView>,
        #[template_child]
        pub owner_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub fingerprint_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub kind_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub validity_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub uses_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub keep_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub folder_row: TemplateChild<PathRow>,
        #[template_child]
        pub hint_label: TemplateChild<gtk::Label>,
        pub key: OnceCell<Key>,
        pub plans: OnceCell<Vec<Plan>>,
        pub busy: Cell<bool>,
        /// What was typed and found right: gpg wants it for each export.
        pub passphrases: RefCell<Passphrases>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for KeyPage {
        const NAME: &'static str = "SouvenirKeyPage";
        type Type = super::KeyPage;
        type ParentType = adw::NavigationPage;

        fn class_init(class: &mut Self::Class) {
            PathRow::ensure_type();
            ProblemView::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for KeyPage {
        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| {
                vec![
                    Signal::builder("saved")
                        .param_types([String::static_type(), String::static_type()])
                        .build(),
                ]
            })
        }
    }

    impl WidgetImpl for KeyPage {}
    impl NavigationPageImpl for KeyPage {}

    #[gtk::template_callbacks]
    impl KeyPage {
        #[template_callback]
        fn on_changed(&self) {
            show_hint(&self.hint_label, "");
        }

        #[template_callback]
        async fn on_export(&self) {
            self.obj().save(Keep::Files).await;
        }

        #[template_callback]
        async fn on_kit(&self) {
            self.obj().save(Keep::Kit).await;
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct KeyPage(ObjectSubclass<imp::KeyPage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl KeyPage {
    /// The page of a key; `plans` are all there are.
    pub fn new(key: Key, plans: Vec<Plan>) -> Self {
        let page: Self = glib::Object::new();
        let imp = page.imp();
        let title = if key.name.is_empty() { &key.user_id } else { &key.name };
        page.set_title(if title.is_empty() { &key.fingerprint } else { title });
        imp.owner_row.set_subtitle(&key.user_id);
        imp.fingerprint_row.set_subtitle(&grouped(&key.fingerprint));
        let created = key.created.map(|time| words::day(time.as_second()));
        let kind = algorithm(&key.algorithm);
        imp.kind_row.set_subtitle(&match created {
            Some(date) => gettext_f("{kind}, created {date}", &[("kind", &kind), ("date", &date)]),
            None => kind,
        });
        imp.validity_row.set_subtitle(&match key.expires {
            Some(time) => gettext_f("Until {date}", &[("date", &words::day(time.as_second()))]),
            None => gettext("For ever"),
        });
        imp.uses_row.set_subtitle(&uses_text(&key, &plans));
        if let Some(objection) = objection(&key) {
            imp.objection_banner.set_title(&objection);
            imp.objection_banner.set_revealed(true);
        }
        imp.keep_group.set_visible(key.has_secret && !key.is_on_card);
        // Set once, here.
        let _ = (imp.key.set(key), imp.plans.set(plans));
        page
    }

    /// Calls `handler` when something was saved, with a sentence about it and the folder.
    pub fn connect_saved(&self, handler: impl Fn(&str, &Path) + 'static) -> glib::SignalHandlerId {
        self.connect_local("saved", false, move |values| {
            if let [_, text, folder] = values
                && let (Ok(text), Ok(folder)) = (text.get::<String>(), folder.get::<String>())
            {
                handler(&text, Path::new(&folder));
            }
            None
        })
    }

    async fn save(&self, what: Keep) {
        let imp = self.imp();
        let (Some(key), Some(plans)) = (imp.key.get(), imp.plans.get()) else { return };
        if imp.busy.replace(true) {
            return;
        }
        let folder = imp.folder_row.writable_folder(&imp.hint_label).await;
        // The page may have been left meanwhile.
        let Some(path) = folder.filter(|_| self.is_mapped()) else {
            imp.busy.set(false);
            return;
        };
        let opened: Vec<_> =
            plans.iter().filter(|plan| opens(key, plan)).map(|plan| plan.destination.clone()).collect();
        let chosen = path.clone();
        let look = move || {
            opened.iter().filter_map(Destination::folder).find_map(|store| beside_backups(&chosen, &store))
        };
        let looked = gio::spawn_blocking(look).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        if let Some(objection) = looked {
            imp.busy.set(false);
            return show_hint(&imp.hint_label, &objection);
        }
        imp.problem_group.set_visible(false);
        imp.keep_group.set_sensitive(false);
        let fingerprint = key.fingerprint.clone();
        let (key, places, owner) = (key.clone(), places_of(key, plans), key.user_id.clone());
        let (folder, passphrases) = (path.clone(), imp.passphrases.borrow().clone());
        let saved = work::run(self, &owner, move |job| {
            let keyring = Keyring::default();
            let request =
                KeepRequest { keyring: &keyring, key: &key, folder: &folder, what, places: &places };
            keep(&request, &passphrases, job)
        })
        .await;
        imp.busy.set(false);
        imp.keep_group.set_sensitive(true);
        if saved.is_err() {
            // Who declined or mistyped is asked again.
            imp.passphrases.replace(Passphrases::new());
        }
        match saved {
            Ok(_) => {
                safekeeping::note_kept(fingerprint, what).await;
                let shown = folder::to_shown(&path);
                let text = match what {
                    Keep::Kit => gettext_f("The recovery kit is in {folder}", &[("folder", &shown)]),
                    Keep::Files | Keep::FilesAndKit => {
                        gettext_f("The key is in {folder}", &[("folder", &shown)])
                    }
                };
                self.emit_by_name::<()>("saved", &[&text, &path.display().to_string()]);
            }
            Err(Stopped::ByPerson) => {}
            Err(Stopped::By(problem)) => {
                imp.problem_view.set_problem(Some(&problem));
                imp.problem_group.set_visible(true);
            }
        }
    }
}

fn uses_text(key: &Key, plans: &[Plan]) -> String {
    let uses = uses_of(key, plans);
    if uses.is_empty() {
        return gettext("No plan");
    }
    let text = |used: &Use| {
        let name = &[("name", used.plan.as_str())];
        if used.opens {
            gettext_f("“{name}”", name)
        } else {
            gettext_f("“{name}”, to sign only", name)
        }
    };
    uses.iter().map(text).collect::<Vec<_>>().join("\n")
}

/// A fingerprint as people compare it.
fn grouped(fingerprint: &str) -> String {
    let groups: Vec<&str> =
        fingerprint.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(" ")
}
