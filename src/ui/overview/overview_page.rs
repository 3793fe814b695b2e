//! A plan at a glance: its state, its running job, its snapshots, what it backs up and where.

use std::cell::RefCell;

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::snapshot_chart::SnapshotChart;
use crate::engine::chain::FullReason;
use crate::engine::crypto::{Encryption, Keyring, Protection};
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::ui::model::{PlanObject, PlanState};
use crate::ui::safekeeping::{self, Unproved};
use crate::ui::widgets::{JobProgress, ProblemView, name_menu_items};
use crate::ui::{describe, words};

/// The icon of a state and the class that colours it.
pub fn state_icon(state: PlanState) -> (&'static str, Option<&'static str>) {
    match state {
        PlanState::Never => ("souvenir-never-symbolic", None),
        PlanState::Good => ("souvenir-good-symbolic", Some("success")),
        PlanState::Damaged => ("dialog-error-symbolic", Some("error")),
        PlanState::Incomplete => ("dialog-warning-symbolic", Some("warning")),
        PlanState::Stopped => ("souvenir-stopped-symbolic", None),
        PlanState::Failed => ("dialog-error-symbolic", Some("error")),
        PlanState::Waiting => ("souvenir-never-symbolic", Some("warning")),
        PlanState::Running => ("view-refresh-symbolic", Some("accent")),
    }
}

mod imp {
    use super::*;
    use std::cell::{Cell, OnceCell};

    #[derive(Default, gtk::CompositeTemplate)]
    #[template(file = "overview_page.ui")]
    pub struct OverviewPage {
        #[template_child]
        pub plan_menu: TemplateChild<gio::Menu>,
        #[template_child]
        pub single_menu: TemplateChild<gio::Menu>,
        #[template_child]
        pub menu_button: TemplateChild<gtk::MenuButton>,
        #[template_child]
        pub state_stack: TemplateChild<gtk::Stack>,
        #[template_child]
        pub state_icon: TemplateChild<gtk::Image>,
        #[template_child]
        pub sentence_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub next_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub figures_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub browse_button: TemplateChild<gtk::Button>,
        #[template_child]
        pub progress: TemplateChild<JobProgress>,
        #[template_child]
        pub back_up_button: TemplateChild<gtk::Button>,
        #[template_child]
        pub report_button: TemplateChild<gtk::Button>,
        /// What a job does, where there is little room.
        #[template_child]
        pub sheet: TemplateChild<adw::BottomSheet>,
        #[template_child]
        pub sheet_label: TemplateChild<gtk::Label>,
        #[template_child]
        pub sheet_progress: TemplateChild<JobProgress>,
        pub is_narrow: Cell<bool>,
        #[template_child]
        pub problem_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub problem_view: TemplateChild<ProblemView>,
        #[template_child]
        pub warnings_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub warnings_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub warnings_icon: TemplateChild<gtk::Image>,
        #[template_child]
        pub alarm_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub alarm_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub recall_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub health_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub chain_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub chain_icon: TemplateChild<gtk::Image>,
        #[template_child]
        pub proof_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub proof_icon: TemplateChild<gtk::Image>,
        #[template_child]
        pub proof_arrow: TemplateChild<gtk::Image>,
        #[template_child]
        pub key_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub key_icon: TemplateChild<gtk::Image>,
        #[template_child]
        pub log_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub proof_buttons: TemplateChild<adw::WrapBox>,
        #[template_child]
        pub snapshots_group: TemplateChild<adw::PreferencesGroup>,
        #[template_child]
        pub chart_box: TemplateChild<gtk::Box>,
        #[template_child]
        pub chart: TemplateChild<SnapshotChart>,
        #[template_child]
        pub snapshots_list: TemplateChild<gtk::ListBox>,
        #[template_child]
        pub folders_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub destination_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub open_button: TemplateChild<gtk::Button>,
        #[template_child]
        pub protection_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub keep_row: TemplateChild<adw::ActionRow>,
        #[template_child]
        pub schedule_row: TemplateChild<adw::ActionRow>,
        pub plan: RefCell<Option<PlanObject>>,
        pub signals: OnceCell<glib::SignalGroup>,
        pub actions: gio::SimpleActionGroup,
        /// The sets that the rows were made from.
        pub listed: RefCell<Vec<(i64, u64)>>,
        /// The key that protects, and whose it is.
        pub key: RefCell<Option<String>>,
        /// Whether a job was shown.
        pub had_job: Cell<bool>,
        pub key_owner: RefCell<Option<String>>,
        /// For which plan, after which run, it was looked whether somebody still knows the passphrase.
        pub recall_question: RefCell<Option<(String, Option<i64>, Protection)>>,
        /// The answer, if they may not.
        pub unproved: RefCell<Option<Unproved>>,
        pub coloured: Cell<Option<&'static str>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for OverviewPage {
        const NAME: &'static str = "SouvenirOverviewPage";
        type Type = super::OverviewPage;
        type ParentType = adw::NavigationPage;

        fn class_init(class: &mut Self::Class) {
            JobProgress::ensure_type();
            ProblemView::ensure_type();
            SnapshotChart::ensure_type();
            class.bind_template();
        }

        fn instance_init(object: &glib::subclass::InitializingObject<Self>) {
            object.init_template();
        }
    }

    impl ObjectImpl for OverviewPage {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().set_up_actions();
            name_menu_items(&self.menu_button);
            let signals = glib::SignalGroup::new::<PlanObject>();
            let page = self.obj().downgrade();
            signals.connect_local("changed", false, move |_| {
                if let Some(page) = page.upgrade() {
                    page.refresh();
                }
                None
            });
            // Fails only when it is set already, which a new object is not.
            let _ = self.signals.set(signals);
        }
    }

    impl WidgetImpl for OverviewPage {}
    impl NavigationPageImpl for OverviewPage {}
}

glib::wrapper! {
    /// See the module.
    pub struct OverviewPage(ObjectSubclass<imp::OverviewPage>)
        @extends adw::NavigationPage, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl OverviewPage {
    /// The plan that is shown.
    pub fn plan(&self) -> Option<PlanObject> {
        self.imp().plan.borrow().clone()
    }

    /// Shows a plan, and looks at its destination.
    pub fn set_plan(&self, plan: Option<&PlanObject>) {
        let imp = self.imp();
        if imp.plan.borrow().as_ref() == plan {
            return;
        }
        imp.plan.replace(plan.cloned());
        imp.listed.replace(vec![(i64::MIN, 0)]);
        if let Some(signals) = imp.signals.get() {
            signals.set_target(plan);
        }
        self.refresh();
        if let Some(plan) = plan {
            plan.look();
        }
    }

    /// Where there is a sidebar, its menu has what concerns the whole program.
    pub fn set_menu_for(&self, sidebar: bool) {
        let imp = self.imp();
        let (menu, icon, text) = if sidebar {
            (&imp.plan_menu, "view-more-symbolic", gettext("Plan Menu"))
        } else {
            (&imp.single_menu, "open-menu-symbolic", gettext("Main Menu"))
        };
        imp.menu_button.set_menu_model(Some(&**menu));
        imp.menu_button.set_icon_name(icon);
        imp.menu_button.set_tooltip_text(Some(&text));
        imp.menu_button.set_primary(!sidebar);
    }

    /// Says whether there is little room.
    pub fn set_narrow(&self, narrow: bool) {
        if self.imp().is_narrow.replace(narrow) != narrow {
            self.refresh();
        }
    }

    fn refresh(&self) {
        let Some(plan) = self.plan() else { return };
        let job_has_focus = self.job_has_focus();
        self.set_title(&plan.name());
        self.refresh_state(&plan);
        self.refresh_outcome(&plan);
        self.refresh_snapshots(&plan);
        self.refresh_facts(&plan);
        self.refresh_health(&plan);
        self.refresh_alarm(&plan);
        let running = plan.job().is_some();
        self.set_enabled("back-up", !running);
        self.set_enabled("remove", !running);
        // What runs has begun with what is set now.
        self.set_enabled("settings", !running);
        for action in ["verify", "drill", "keep-everything", "it-was-me"] {
            self.set_enabled(action, !running);
        }
        // Before the first backup there is nothing to look at, perhaps not even a folder.
        let has_sets = !plan.sets().is_empty();
        // What the catalogue knows can also be looked at while the destination is away.
        let is_away = plan.status_problem().is_some() && plan.expects_backups();
        self.imp().browse_button.set_visible(has_sets || is_away);
        self.imp().open_button.set_visible(has_sets && plan.plan().destination.is_in_files());
        self.set_enabled("forget-passphrase", plan.plan().protection.is_openpgp());
        if self.imp().had_job.replace(running) && !running && job_has_focus {
            self.imp().back_up_button.grab_focus();
        }
    }

    /// Whether the focus is where a job is shown, or was lost with it.
    fn job_has_focus(&self) -> bool {
        let imp = self.imp();
        let focus = self.root().and_then(|root| root.focus()).filter(WidgetExt::is_mapped);
        // The sheet itself takes the focus when it is opened.
        let is_of_job = |focus: gtk::Widget| {
            let in_sheet = focus.is_ancestor(&*imp.sheet_progress) || imp.sheet_progress.is_ancestor(&focus);
            in_sheet || focus.is_ancestor(&*imp.progress)
        };
        self.is_mapped() && focus.is_none_or(is_of_job)
    }

    fn refresh_state(&self, plan: &PlanObject) {
        let imp = self.imp();
        let job = plan.job();
        let job_is_over = job.is_none();
        let (in_sheet, in_page) = if imp.is_narrow.get() { (job, None) } else { (None, job) };
        imp.state_stack.set_visible_child_name(if in_page.is_some() { "running" } else { "resting" });
        imp.progress.set_job(in_page.as_ref());
        imp.back_up_button.set_visible(in_sheet.is_none());
        imp.report_button.set_visible(plan.damage().is_some() && job_is_over && !plan.has_lost_all());
        imp.sheet_progress.set_job(in_sheet.as_ref());
        imp.sheet_label.set_label(&plan.sentence());
        let has_sheet = in_sheet.is_some();
        if imp.sheet.can_open() != has_sheet {
            imp.sheet.set_can_open(has_sheet);
            imp.sheet.set_reveal_bottom_bar(has_sheet);
            imp.sheet.set_open(has_sheet);
        }
        let (icon, class) = state_icon(plan.state());
        imp.state_icon.set_icon_name(Some(icon));
        if let Some(old) = imp.coloured.replace(class) {
            imp.state_icon.remove_css_class(old);
        }
        if let Some(class) = class {
            imp.state_icon.add_css_class(class);
        }
        imp.sentence_label.set_label(&plan.sentence());
        let next = plan.next();
        imp.next_label.set_label(&next);
        imp.next_label.set_visible(!next.is_empty());
        let figures = figures(plan);
        imp.figures_label.set_label(&figures);
        imp.figures_label.set_visible(!figures.is_empty());
    }

    fn refresh_facts(&self, plan: &PlanObject) {
        let imp = self.imp();
        let facts = plan.plan();
        imp.folders_row.set_subtitle(&describe::folders(&facts.folders, &facts.left_out));
        let destination = describe::destination(&facts.destination);
        let free = plan.status().and_then(|status| status.free_bytes);
        imp.keep_row.set_subtitle(&describe::keep(&facts.keep));
        imp.schedule_row.set_subtitle(&describe::schedule(&facts.schedule));
        imp.destination_row.set_subtitle(&match free {
            Some(free) => {
                gettext_f("{folder}, {size} free", &[("folder", &destination), ("size", &words::size(free))])
            }
            None => destination,
        });
        let key = match &facts.protection.encryption {
            Encryption::Keys(recipients) => recipients.first().map(|recipient| recipient.key.clone()),
            _ => None,
        };
        if *imp.key.borrow() != key {
            imp.key.replace(key.clone());
            imp.key_owner.replace(None);
            self.show_key(None);
            if let Some(key) = key {
                let page = self.clone();
                glib::spawn_future_local(async move { page.look_up_key_owner(key).await });
            }
        }
        let text = describe::protection(&facts.protection, imp.key_owner.borrow().as_deref());
        imp.protection_row.set_subtitle(&if plan.awaits_protection() {
            gettext_f("{protection}, from the next backup on", &[("protection", &text)])
        } else {
            text
        });
    }

    async fn look_up_key_owner(&self, id: String) {
        let wanted = id.clone();
        let Ok(Ok(key)) = gio::spawn_blocking(move || Keyring::default().find(&wanted)).await else { return };
        let care = safekeeping::key_care(key.fingerprint.clone()).await;
        let is_shown = self.imp().key.borrow().as_deref() == Some(id.as_str());
        if let Some(plan) = self.plan().filter(|_| is_shown) {
            self.show_key(Some((&key, care)));
            self.imp().key_owner.replace(Some(key.user_id));
            self.refresh_facts(&plan);
        }
    }

    /// Looks again what was done so that the key is not lost.
    pub fn refresh_key(&self) {
        self.imp().key.replace(None);
        if let Some(plan) = self.plan() {
            self.refresh_facts(&plan);
        }
    }

    fn set_enabled(&self, action: &str, enabled: bool) {
        if let Some(action) = self.imp().actions.lookup_action(action).and_downcast::<gio::SimpleAction>() {
            action.set_enabled(enabled);
        }
    }
}

/// Whether the next backup begins anew because of damage.
fn is_left_for_damage(plan: &PlanObject) -> bool {
    let due = plan.status().and_then(|status| status.outlook.as_ref()?.due.clone());
    due == Some(FullReason::Damaged)
}

/// What there is beside the state: when it was backed up last where the state does not say it, what is damaged, and how
/// much there is.
fn figures(plan: &PlanObject) -> String {
    let mut lines = Vec::new();
    let sets = plan.sets();
    match plan.state() {
        PlanState::Never => lines.push(gettext("Your files are not safe until the first backup is made.")),
        PlanState::Damaged if plan.has_lost_all() && plan.has_remains() => lines.push(gettext(
            "Parts of backups are still at the destination. Leave them there: perhaps what is missing comes back. The \
             next backup begins from the start.",
        )),
        PlanState::Damaged if plan.has_lost_all() => lines.push(gettext(
            "There were backups at the destination, and none are there now. Check whether they were moved or deleted, or \
             whether another drive or folder is there in their place. The next backup begins from the start.",
        )),
        PlanState::Damaged if plan.unexplained_gap().is_some() => {
            lines.push(gettext("Choose “Verify…” to learn what can still be restored. The next backup is a full one."));
        }
        PlanState::Damaged if is_left_for_damage(plan) => {
            lines.push(gettext("The next backup is a full one, and needs nothing of what is damaged."));
        }
        PlanState::Incomplete if plan.damage().is_some() => {
            lines.push(gettext("Older snapshots are damaged; the newest needs nothing of them."));
        }
        _ => {}
    }
    let is_said = !matches!(
        plan.state(),
        PlanState::Damaged | PlanState::Failed | PlanState::Stopped | PlanState::Waiting
    );
    if let Some(secs) = plan.newest_secs().filter(|_| !is_said) {
        lines.push(gettext_f("Last backed up {when}", &[("when", &words::ago(secs))]));
    }
    if !sets.is_empty() {
        let bytes = sets.iter().map(|set| set.stored_bytes).sum();
        let count = sets.len() as u64;
        lines.push(ngettext_f(
            "{size} in {count} snapshot",
            "{size} in {count} snapshots",
            count,
            &[("size", &words::size(bytes)), ("count", &words::count(count))],
        ));
    }
    lines.join("\n")
}
