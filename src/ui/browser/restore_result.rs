//! What came of a restore, in its dialog.

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::restore_dialog::RestoreDialog;
use crate::engine::error::{Error, Result};
use crate::engine::restore::RestoreSummary;
use crate::i18n::{gettext, ngettext_f};
use crate::plan::history::{Restored, RunWarning, WarningKind};
use crate::ui::model::JobModel;
use crate::ui::words;

impl RestoreDialog {
    pub(super) fn show_result(&self, job: &JobModel, result: Result<RestoreSummary>) {
        let imp = self.imp();
        self.set_can_close(true);
        let is_loss = |warning: &&RunWarning| warning.kind.is_loss_of_restore();
        let losses = job.warnings().iter().filter(is_loss).count() as u64;
        let taker = imp.taker.take();
        let is_taken = taker.is_some();
        // What another program takes is there only for as long as it does.
        if let Some(plan) = self.plan().filter(|_| !is_taken) {
            plan.take_restore(job, result.as_ref().ok().map(|summary| self.restored(summary)));
        }
        if let Some(taker) = taker {
            // Whoever waited may have gone.
            drop(taker.try_send(result.is_ok().then(|| imp.target.borrow().clone())));
            if (result.is_ok() && losses == 0) || result.as_ref().is_err_and(Error::is_cancelled) {
                if self.parent().is_some() {
                    self.close();
                }
                return;
            }
            self.show();
        }
        let page = &imp.result_page;
        page.set_icon_name(None);
        page.remove_css_class("good");
        page.remove_css_class("incomplete");
        imp.problem_view.set_problem(job.problem().as_ref());
        imp.again_button.set_visible(result.is_err() && !is_taken);
        imp.show_button.set_visible(result.is_ok() && !is_taken);
        match &result {
            Ok(summary) if losses > 0 && summary.entry_count + summary.skipped_count == 0 => {
                page.set_icon_name(Some("dialog-error-symbolic"));
                page.add_css_class("incomplete");
                page.set_title(&gettext("Not Restored"));
                page.set_description(None);
                imp.show_button.set_visible(false);
                imp.again_button.set_visible(!is_taken);
            }
            Ok(summary) => {
                page.set_title(&if losses == 0 {
                    gettext("Restored")
                } else {
                    gettext("Restored, but Not Everything")
                });
                page.set_icon_name(Some(if losses == 0 {
                    "souvenir-good-symbolic"
                } else {
                    "dialog-warning-symbolic"
                }));
                page.add_css_class(if losses == 0 { "good" } else { "incomplete" });
                page.set_description(Some(&summary_text(summary)));
            }
            Err(error) if error.is_cancelled() => {
                page.set_icon_name(Some("souvenir-stopped-symbolic"));
                page.set_title(&gettext("Stopped"));
                page.set_description(Some(&gettext(
                    "What was restored until then is complete and stays where it is.",
                )));
            }
            Err(_) => {
                page.set_title(&gettext("Not Restored"));
                page.set_description(None);
            }
        }
        // What a check has named already needs no other.
        let checkable = self.plan().filter(|plan| plan.status().is_some() && plan.job().is_none());
        let known = checkable.map(|plan| plan.damaged_files());
        let is_news = |warning: &RunWarning| {
            let is_known = || known.as_ref().is_none_or(|files| files.contains(&warning.subject));
            matches!(warning.kind, WarningKind::Damaged | WarningKind::Untold) && !is_known()
        };
        imp.damage_row.set_visible(job.warnings().iter().any(is_news));
        let count = job.warning_count();
        imp.warnings_group.set_visible(count > 0);
        let count = if losses > 0 { losses } else { count };
        let shown = words::count(count);
        imp.warnings_row.set_title(&if losses > 0 {
            gettext("What was not restored as it was")
        } else {
            gettext("Remarks")
        });
        imp.warnings_row.set_subtitle(&ngettext_f(
            "{count} item",
            "{count} items",
            count,
            &[("count", &shown)],
        ));
        imp.stack.set_visible_child_name("result");
    }

    fn restored(&self, summary: &RestoreSummary) -> Restored {
        Restored {
            set_secs: summary.set_time.epoch(),
            folder: self.imp().target.borrow().clone(),
            entry_count: summary.entry_count,
            skipped_count: summary.skipped_count,
            written_bytes: summary.written_bytes,
        }
    }
}

fn summary_text(summary: &RestoreSummary) -> String {
    let mut text = ngettext_f(
        "{count} item, {size}, in {time}.",
        "{count} items, {size}, in {time}.",
        summary.entry_count,
        &[
            ("count", &words::count(summary.entry_count)),
            ("size", &words::size(summary.written_bytes)),
            ("time", &words::duration(summary.elapsed.as_secs())),
        ],
    );
    if summary.skipped_count > 0 {
        text.push('\n');
        text.push_str(&ngettext_f(
            "{count} item was already there and was kept.",
            "{count} items were already there and were kept.",
            summary.skipped_count,
            &[("count", &words::count(summary.skipped_count))],
        ));
    }
    text
}
