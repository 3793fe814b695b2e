//! What came of a run: the dated report of a check, the end of a backup.

use std::cell::OnceCell;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::{run_text, salvage};
use crate::i18n::{gettext, gettext_f, ngettext_f, pgettext};
use crate::plan::history::{Outcome, Run, Task};
use crate::platform::folder;
use crate::ui::model::PlanObject;
use crate::ui::overview::WarningsPage;
use crate::ui::widgets::ProblemView;
use crate::ui::window::Window;
use crate::ui::{describe, error_text, words};

/// How many files have a row; the details have them all.
const SHOWN_FILES: usize = 200;

mod imp {
    use super::*;

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "run_page.ui")]
    pub struct RunPage {
        #[template_child]
        pub result_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub problem_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub problem_view: TemplateChild<ProblemView>,
        #[template_child]
        pub facts_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub salvage_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub full_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub full_row: TemplateChild<adw::ButtonRow>,
        #[template_child]
        pub files_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub deleted_group: TemplateChild<adw::PreferencesGroup>,
        pub plan: OnceCell<PlanObject>,
        pub run: OnceCell<Run>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for RunPage {
        const NAME: &'static str = "SouvenirRunPage";
        type Type = super::RunPage;
        type ParentType = adw::NavigationPage;

        fn class_init(class: &mut Self::Class) {
            ProblemView::ensure_type();
            class.bind_template();
            class.bind_template_callbacks();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for RunPage {}
    impl WidgetImpl for RunPage {}
    impl NavigationPageImpl for RunPage {}

    #[gtk::template_callbacks]
    impl RunPage {
        #[template_callback]
        fn on_copy(&self) {
            let Some(run) = self.run.get() else { return };
            self.obj().clipboard().set_text(&run_text::details(run));
            if let Some(window) = self.obj().root().and_downcast::<Window>() {
                window.toast(&gettext("The details were copied"));
            }
        }

        #[template_callback]
        fn on_full(&self) {
            if let (Some(plan), Some(window)) = (self.plan.get(), self.obj().root().and_downcast::<Window>())
            {
                window.show_plan(plan);
                window.back_up_fully(plan);
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct RunPage(ObjectSubclass<imp::RunPage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl RunPage {
    /// A page about a run of a plan.
    pub fn new(plan: &PlanObject, run: &Run) -> Self {
        let page: Self = glib::Object::new();
        let imp = page.imp();
        // Both fail only when they are set already, which a new object is not.
        let _ = imp.plan.set(plan.clone());
        let _ = imp.run.set(run.clone());
        page.set_title(&match run.task {
            Task::Backup => gettext("Backup"),
            Task::Verify => gettext("Check"),
            Task::Drill => gettext("Restore Test"),
            Task::Move => gettext("Move"),
            Task::Restore => pgettext("what was run", "Restore"),
        });
        imp.result_row.set_title(&gettext_f(
            "{task}: {result}",
            &[("task", &run_text::task(run)), ("result", &run_text::result(run))],
        ));
        imp.result_row.set_subtitle(&gettext_f(
            "{date}, took {duration}",
            &[("date", &words::full_date(run.started_secs)), ("duration", &run_text::duration(run))],
        ));
        imp.result_row.add_prefix(&run_text::image(run));
        page.show_facts(run);
        page.show_files(plan, run);
        page.show_deleted(run);
        page
    }

    fn show_facts(&self, run: &Run) {
        let imp = self.imp();
        if let Outcome::Failed(problem) = &run.outcome {
            imp.problem_view.set_problem(Some(problem));
            imp.problem_group.set_visible(true);
        }
        for (title, text) in facts(run) {
            let row = adw::ActionRow::builder()
                .use_markup(false)
                .title(title)
                .subtitle(text)
                .subtitle_lines(0)
                .css_classes(["property"])
                .build();
            imp.facts_group.add(&row);
        }
        // A damaged file has a row of its own.
        if run.warning_count == 0 || matches!(run.outcome, Outcome::Verified(_)) {
            return;
        }
        let row = adw::ActionRow::builder()
            .use_markup(false)
            .title(ngettext_f(
                "{count} warning",
                "{count} warnings",
                run.warning_count,
                &[("count", &words::count(run.warning_count))],
            ))
            .activatable(true)
            .build();
        let arrow = gtk::Image::builder()
            .icon_name("go-next-symbolic")
            .accessible_role(gtk::AccessibleRole::Presentation)
            .build();
        row.add_suffix(&arrow);
        let (warnings, count) = (run.warnings.clone(), run.warning_count);
        row.connect_activated(move |row| {
            if let Some(window) = row.root().and_downcast::<Window>() {
                window.push(&WarningsPage::new(warnings.clone(), count));
            }
        });
        imp.facts_group.add(&row);
    }

    /// Each file with which something is wrong, and what that means.
    fn show_files(&self, plan: &PlanObject, run: &Run) {
        let imp = self.imp();
        let (title, files, count) = match &run.outcome {
            Outcome::Verified(verified) if verified.damaged_count > 0 => {
                let reach = plan.reach_of(verified);
                for (title, subtitle) in salvage::explain(&reach) {
                    imp.salvage_group.add(&text_row(&title, &subtitle));
                }
                imp.salvage_group.set_visible(true);
                imp.full_group.set_visible(reach.is_of_newest());
                imp.full_row.set_sensitive(plan.job().is_none());
                let files: Vec<_> =
                    verified.damaged.iter().map(|file| (file.file.clone(), salvage::held(file))).collect();
                (gettext("Damaged Files"), files, verified.damaged_count)
            }
            Outcome::Drilled(drilled) if drilled.failure_count > 0 || drilled.damaged_count > 0 => {
                if drilled.damaged_count > 0 {
                    let (title, subtitle) = salvage::explain_test(drilled);
                    imp.salvage_group.add(&text_row(&title, &subtitle));
                    imp.salvage_group.set_visible(true);
                }
                if drilled.failure_count == 0 {
                    return;
                }
                let files = drilled.failed.iter().map(|file| (file.path.clone(), error_text::mismatch(file)));
                (gettext("Files That Are Not as They Were"), files.collect(), drilled.failure_count)
            }
            _ => return,
        };
        imp.files_group.set_title(&title);
        imp.files_group.set_visible(true);
        for (file, text) in files.iter().take(SHOWN_FILES) {
            imp.files_group.add(&text_row(file, text));
        }
        let more = count.saturating_sub(SHOWN_FILES.min(files.len()) as u64);
        if more > 0 {
            let text =
                ngettext_f("And {count} more.", "And {count} more.", more, &[("count", &words::count(more))]);
            imp.files_group.set_description(Some(&text));
        }
    }

    fn show_deleted(&self, run: &Run) {
        let Some(removed) = run.removed.as_ref().filter(|removed| !removed.set_secs.is_empty()) else {
            return;
        };
        let group = &self.imp().deleted_group;
        group.set_description(Some(&gettext_f(
            "By the rules of the plan; {size} were freed.",
            &[("size", &words::size(removed.deleted_bytes))],
        )));
        for time in removed.set_secs.iter().take(SHOWN_FILES) {
            group.add(&text_row(&words::full_date(*time), ""));
        }
        group.set_visible(true);
    }
}

/// What else is known of it: a title and a text each.
fn facts(run: &Run) -> Vec<(String, String)> {
    match &run.outcome {
        Outcome::Finished { entry_count, deleted_count, source_bytes, stored_bytes, .. } => {
            let mut facts = vec![
                (gettext("Entries"), words::count(*entry_count)),
                (gettext("Read"), words::size(*source_bytes)),
                (gettext("Stored"), words::size(*stored_bytes)),
            ];
            if *deleted_count > 0 {
                facts.insert(1, (gettext("Gone Since the Backup Before"), words::count(*deleted_count)));
            }
            facts
        }
        Outcome::Verified(verified) => {
            let mut facts = vec![
                (gettext("Snapshots"), words::count(verified.set_secs.len() as u64)),
                (gettext("Read"), words::size(verified.checked_bytes)),
            ];
            if let Some(newest) = verified.set_secs.last() {
                facts.insert(0, (gettext("Newest Snapshot"), words::full_date(*newest)));
            }
            facts
        }
        Outcome::Drilled(drilled) => vec![
            (gettext("Snapshot"), words::full_date(drilled.set_secs)),
            (gettext("Restored"), words::size(drilled.restored_bytes)),
            (gettext("As They Were When Backed Up"), words::count(drilled.proved_count)),
            (gettext("Also Equal to the Files on This Computer"), words::count(drilled.equal_count)),
        ],
        Outcome::Moved(moved) => vec![
            (gettext("Old Destination"), describe::destination(&moved.from)),
            (gettext("New Destination"), describe::destination(&moved.to)),
            (gettext("Copied"), words::size(moved.copied_bytes)),
        ],
        Outcome::Restored(restored) => {
            let mut facts = vec![
                (gettext("Snapshot"), words::full_date(restored.set_secs)),
                (gettext("Folder"), folder::to_shown(&restored.folder)),
            ];
            if restored.skipped_count > 0 {
                facts.push((gettext("Already There and Kept"), words::count(restored.skipped_count)));
            }
            facts
        }
        Outcome::Stopped | Outcome::Failed(_) => Vec::new(),
    }
}

fn text_row(title: &str, subtitle: &str) -> adw::ActionRow {
    let row = adw::ActionRow::builder()
        .use_markup(false)
        .title(title)
        .subtitle(subtitle)
        .title_lines(0)
        .subtitle_lines(0)
        .build();
    row.set_title_selectable(true);
    row
}
