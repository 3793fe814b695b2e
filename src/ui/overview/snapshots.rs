//! The snapshots of a plan on its overview: a chart of all of them, and the newest as rows.

use adw::prelude::*;
use adw::subclass::prelude::*;

use super::overview_page::OverviewPage;
use super::snapshot_chart;
use crate::engine::status::SetStatus;
use crate::ui::model::PlanObject;
use crate::ui::words;

/// How many of the newest have a row.
const LISTED_SETS: usize = 5;

impl OverviewPage {
    pub(super) fn refresh_snapshots(&self, plan: &PlanObject) {
        let imp = self.imp();
        let sets = plan.sets();
        let listed: Vec<_> = sets.iter().map(|set| (set.time.epoch(), set.stored_bytes)).collect();
        if *imp.listed.borrow() == listed {
            return;
        }
        imp.listed.replace(listed);
        imp.snapshots_group.set_visible(!sets.is_empty());
        imp.chart_box.set_visible(sets.len() > 1);
        imp.chart.set_sets(&sets);
        imp.snapshots_list.remove_all();
        let newest: Vec<_> = sets.iter().rev().take(LISTED_SETS).collect();
        let times: Vec<_> = newest.iter().map(|set| set.time).collect();
        for (set, date) in newest.iter().zip(words::set_dates(&times)) {
            imp.snapshots_list.append(&snapshot_row(set, &date));
        }
    }
}

fn snapshot_row(set: &SetStatus, date: &str) -> adw::ActionRow {
    let row = adw::ActionRow::builder()
        .use_markup(false)
        .title(date)
        .subtitle(snapshot_chart::kind(set))
        .activatable(true)
        .action_name("overview.browse-at")
        .action_target(&set.time.epoch().to_variant())
        .build();
    let size =
        gtk::Label::builder().label(words::size(set.stored_bytes)).css_classes(["numeric", "dimmed"]).build();
    row.add_suffix(&size);
    let arrow = gtk::Image::builder()
        .icon_name("go-next-symbolic")
        .accessible_role(gtk::AccessibleRole::Presentation)
        .build();
    row.add_suffix(&arrow);
    row
}
