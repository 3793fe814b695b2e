//! A key on its way in: from files, from pictures of a recovery kit, or from what is typed.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::OnceLock;

use adw::prelude::*;
use adw::subclass::prelude::*;
use glib::BoxedAnyObject;
use glib::subclass::Signal;

use crate::engine::crypto::{ImportReport, KeyMaterial, Keyring};
use crate::engine::error::{Error, Result};
use crate::i18n::{gettext, gettext_f};
use crate::kit::{KitReader, Leftover};
use crate::platform::folder;
use crate::ui::error_text;
use crate::ui::widgets::{PathRow, ProblemView, show_hint};

/// What the navigation knows the page by.
const TAG: &str = "import";

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "import_page.ui")]
    pub struct ImportPage {
        #[template_child]
        pub problem_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub problem_view: TemplateChild<ProblemView>,
        #[template_child]
        pub path_row: TemplateChild<PathRow>,
        #[template_child]
        pub path_hint: TemplateChild<gtk::Label>,
        #[template_child]
        pub text_view: TemplateChild<gtk::TextView>,
        #[template_child]
        pub found_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub found_list: TemplateChild<gtk::ListBox>,
        #[template_child]
        pub hint_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub import_button: TemplateChild<gtk::Button>,
        /// The parts that were read, so that pictures can be chosen one after the other.
        pub reader: RefCell<KitReader>,
        pub busy: Cell<bool>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for ImportPage {
        const NAME: &'static str = "SouvenirImportPage";
        type Type = super::ImportPage;
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

    impl ObjectImpl for ImportPage {
        fn constructed(&self) {
            self.parent_constructed();
            let page = self.obj().downgrade();
            let buffer = self.text_view.buffer();
            // A hyphen would look like a part of the code.
            let code = buffer.create_tag(None, &[("insert-hyphens", &false)]);
            buffer.connect_changed(move |buffer| {
                if let Some(code) = &code {
                    buffer.apply_tag(code, &buffer.start_iter(), &buffer.end_iter());
                }
                if let Some(page) = page.upgrade() {
                    page.imp().on_changed();
                }
            });
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: OnceLock<Vec<Signal>> = OnceLock::new();
            SIGNALS.get_or_init(|| {
                vec![Signal::builder("imported").param_types([BoxedAnyObject::static_type()]).build()]
            })
        }
    }

    impl WidgetImpl for ImportPage {}
    impl NavigationPageImpl for ImportPage {}

    #[gtk::template_callbacks]
    impl ImportPage {
        #[template_callback]
        pub fn on_changed(&self) {
            show_hint(&self.hint_label, "");
            show_hint(&self.path_hint, "");
        }

        #[template_callback]
        async fn on_choose(&self) {
            let page = self.obj();
            let dialog =
                gtk::FileDialog::builder().title(gettext("Choose the Files of a Key")).modal(true).build();
            let window = page.root().and_downcast::<gtk::Window>();
            // An error means that nothing was chosen.
            let Ok(files) = dialog.open_multiple_future(window.as_ref()).await else { return };
            let paths = files.iter::<gio::File>().filter_map(|file| file.ok()?.path()).collect();
            page.take_in(paths, String::new()).await;
        }

        #[template_callback]
        async fn on_import(&self) {
            let page = self.obj();
            let buffer = self.text_view.buffer();
            let text = buffer.text(&buffer.start_iter(), &buffer.end_iter(), false);
            if !self.path_row.text().trim().is_empty() && self.path_row.path().is_none() {
                show_hint(&self.hint_label, &self.path_row.problem().unwrap_or_default());
                self.path_row.add_css_class("error");
                self.path_row.grab_focus();
                return;
            }
            let path = self.path_row.path();
            if path.is_none() && text.trim().is_empty() && self.reader.borrow().is_empty() {
                show_hint(&self.hint_label, &gettext("Choose a file, or type what is in the recovery kit."));
                self.path_row.grab_focus();
                return;
            }
            page.take_in(path.into_iter().collect(), text.into()).await;
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct ImportPage(ObjectSubclass<imp::ImportPage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

/// What came of reading.
struct Outcome {
    reader: KitReader,
    read: Result<()>,
    imported: Option<Result<ImportReport>>,
}

impl ImportPage {
    /// Shows the page over the others, which calls `on_imported` with what came in. It is made when it is needed
    /// first and stays: of a key in several parts, those are known that were read before.
    pub fn show_over(navigation: &adw::NavigationView, on_imported: impl Fn(&ImportReport) + 'static) {
        if navigation.find_page(TAG).is_none() {
            let page: Self = glib::Object::new();
            page.set_tag(Some(TAG));
            page.connect_imported(on_imported);
            navigation.add(&page);
        }
        navigation.push_by_tag(TAG);
    }

    fn connect_imported(&self, handler: impl Fn(&ImportReport) + 'static) -> glib::SignalHandlerId {
        self.connect_local("imported", false, move |values| {
            if let Some(Ok(boxed)) = values.get(1).map(glib::Value::get::<BoxedAnyObject>) {
                handler(&boxed.borrow::<ImportReport>());
            }
            None
        })
    }

    /// Empties the page for the next key.
    fn reset(&self) {
        let imp = self.imp();
        imp.reader.replace(KitReader::new());
        imp.path_row.clear();
        imp.text_view.buffer().set_text("");
        self.show_leftovers(&[]);
    }

    /// Reads files and a text, and takes in the key as soon as it is complete.
    async fn take_in(&self, paths: Vec<PathBuf>, text: String) {
        let imp = self.imp();
        if imp.busy.replace(true) {
            return;
        }
        imp.import_button.set_sensitive(false);
        imp.problem_group.set_visible(false);
        show_hint(&imp.hint_label, "");
        show_hint(&imp.path_hint, "");
        let is_of_row = imp.path_row.path().is_some_and(|typed| paths == [typed]);
        let reader = imp.reader.take();
        let outcome = gio::spawn_blocking(move || read_and_import(reader, &paths, &text)).await;
        imp.busy.set(false);
        imp.import_button.set_sensitive(true);
        let Outcome { reader, read, imported } = match outcome {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let leftovers = reader.leftovers();
        imp.reader.replace(reader);
        self.show_leftovers(&leftovers);
        match (read, imported) {
            (Ok(()), Some(Ok(report))) => {
                self.reset();
                self.emit_by_name::<()>("imported", &[&BoxedAnyObject::new(report)]);
            }
            (Err(error), _) if is_of_row => {
                // What could not be read is not tried again with the next file.
                imp.reader.borrow_mut().forget_files();
                let problem = error_text::problem(&error);
                imp.path_row.refuse(&imp.path_hint, &format!("{}. {}", problem.what, problem.advice));
            }
            (Err(error), _) | (_, Some(Err(error))) => {
                imp.reader.borrow_mut().forget_files();
                imp.problem_view.set_problem(Some(&error_text::problem(&error)));
                imp.problem_group.set_visible(true);
            }
            (Ok(()), None) if leftovers.is_empty() => {
                show_hint(&imp.hint_label, &gettext("There is no key in it."));
            }
            (Ok(()), None) if leftovers.iter().all(|left| matches!(left, Leftover::Picture(_))) => {
                let text = gettext(
                    "No code could be read. Take a picture of each page from close by, in good light.",
                );
                show_hint(&imp.hint_label, &text);
            }
            (Ok(()), None) if leftovers.iter().all(|left| matches!(left, Leftover::Lines { .. })) => {
                let text = gettext(
                    "The key is not complete yet. Mend the lines that are named, and type the others, too.",
                );
                show_hint(&imp.hint_label, &text);
            }
            (Ok(()), None) => {
                let text = gettext("The key is not complete yet. Choose the pictures that are missing, too.");
                show_hint(&imp.hint_label, &text);
            }
        }
    }

    fn show_leftovers(&self, leftovers: &[Leftover]) {
        let imp = self.imp();
        imp.found_list.remove_all();
        for leftover in leftovers {
            let (title, subtitle) = leftover_text(leftover);
            let row = adw::ActionRow::builder().use_markup(false).title(title).subtitle(subtitle).build();
            imp.found_list.append(&row);
        }
        imp.found_group.set_visible(!leftovers.is_empty());
    }
}

fn read_and_import(mut reader: KitReader, paths: &[PathBuf], text: &str) -> Outcome {
    let read = paths.iter().try_for_each(|path| reader.add_path(path));
    if !text.trim().is_empty() && !reader.add_text(text) {
        reader.add_key(text);
    }
    let material: KeyMaterial = reader.material();
    let imported = (read.is_ok() && !material.is_empty())
        .then(|| Keyring::default().import(&material).map_err(Error::from));
    Outcome { reader, read, imported }
}

fn leftover_text(leftover: &Leftover) -> (String, String) {
    let list = |numbers: &[usize]| numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    match leftover {
        Leftover::Parts(gap) => {
            let found = (gap.count - gap.missing.len()).to_string();
            (
                gettext_f(
                    "{found} of {count} parts of the key {id}",
                    &[("found", &found), ("count", &gap.count.to_string()), ("id", &gap.key_id)],
                ),
                gettext_f("Missing: {numbers}", &[("numbers", &list(&gap.missing))]),
            )
        }
        Leftover::Lines { wrong, missing } => {
            let mut lines = Vec::new();
            if !wrong.is_empty() {
                lines.push(gettext_f(
                    "There is a slip in these lines: {numbers}",
                    &[("numbers", &list(wrong))],
                ));
            }
            if !missing.is_empty() {
                lines.push(gettext_f("Missing: {numbers}", &[("numbers", &list(missing))]));
            }
            (gettext("Typed lines"), lines.join("\n"))
        }
        Leftover::Picture(path) => {
            (folder::to_shown(path), gettext("No code could be read in this picture."))
        }
    }
}

/// What came in, in a sentence.
pub fn imported_text(report: &ImportReport) -> String {
    let mut texts = report.keys.iter().map(|imported| {
        let name = &[("name", imported.key.user_id.as_str())];
        if imported.secret_is_new || imported.is_new && imported.key.has_secret {
            gettext_f("The key of {name} was imported.", name)
        } else if imported.is_new {
            gettext_f("The key of {name} was imported without its secret part.", name)
        } else {
            gettext_f("The key of {name} was here already.", name)
        }
    });
    let first = texts.next().unwrap_or_default();
    texts.fold(first, |all, text| all + " " + &text)
}
