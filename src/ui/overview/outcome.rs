//! What came of the last run, on the overview: a failure, or what was left out.

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::overview_page::OverviewPage;
use crate::i18n::{gettext, ngettext_f};
use crate::plan::history::{Outcome, Run};
use crate::ui::model::PlanObject;
use crate::ui::words;

impl OverviewPage {
    pub(super) fn refresh_outcome(&self, plan: &PlanObject) {
        let imp = self.imp();
        let run = plan.last_run().filter(|_| plan.job().is_none());
        // A check that failed comes before what was known already.
        let newest = plan.newest_run().filter(|_| plan.job().is_none());
        let failed = |run: &Option<Run>| match run {
            Some(Run { outcome: Outcome::Failed(problem), .. }) => Some(problem.clone()),
            _ => None,
        };
        let failure = match failed(&newest).or_else(|| failed(&run)) {
            Some(problem) => Some(problem),
            None => plan.status_problem().filter(|_| plan.job().is_none() && run.is_some()),
        };
        imp.problem_view.set_problem(failure.as_ref());
        imp.problem_group.set_visible(failure.is_some());
        let warned = run.filter(|run| run.warning_count > 0);
        imp.warnings_group.set_visible(warned.is_some());
        if let Some(run) = warned {
            self.refresh_warnings(&run);
        }
    }

    fn refresh_warnings(&self, run: &Run) {
        let imp = self.imp();
        let losses = run.warnings.iter().filter(|warning| warning.kind.is_loss()).count() as u64;
        // Where not all are kept, how many of the others are losses is not known.
        let all_kept = run.warnings.len() as u64 == run.warning_count;
        let number = if losses > 0 && all_kept { losses } else { run.warning_count };
        let shown = words::count(number);
        let count = [("count", shown.as_str())];
        let (title, subtitle, icon) = if run.lost_earlier() {
            (
                gettext("Earlier backups are gone"),
                gettext(
                    "There were some at the destination before the last backup, which began from the start.",
                ),
                "dialog-warning-symbolic",
            )
        } else if losses > 0 {
            (
                ngettext_f("{count} file needs attention", "{count} files need attention", number, &count),
                gettext("Something is missing from the last backup, or changed while it was read."),
                "dialog-warning-symbolic",
            )
        } else {
            (
                ngettext_f("{count} remark", "{count} remarks", number, &count),
                gettext("Nothing is missing from the last backup."),
                "dialog-information-symbolic",
            )
        };
        let finished = matches!(run.outcome, Outcome::Finished { .. });
        imp.warnings_row.set_title(&title);
        imp.warnings_row.set_subtitle(&if finished {
            subtitle
        } else {
            gettext("Noted before the backup ended.")
        });
        imp.warnings_icon.set_icon_name(Some(icon));
        imp.warnings_icon.set_css_classes(if losses > 0 { &["warning"] } else { &[] });
    }
}
