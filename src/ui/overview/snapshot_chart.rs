//! A picture of the snapshots over time: a bar each, as high as what it stored. Full sets are solid,
//! incremental ones light.

use std::cell::RefCell;

use gtk::graphene;
use gtk::prelude::*;
use gtk::subclass::prelude::*;

use crate::engine::status::SetStatus;
use crate::i18n::{gettext, gettext_f, ngettext_f};
use crate::ui::words;

/// More bars than this would be too thin to see; the newest are shown.
const SHOWN_SETS: usize = 60;

const HEIGHT: i32 = 64;
const WIDEST_BAR: f32 = 24.0;
const SMALLEST_HEIGHT: f32 = 3.0;

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct SnapshotChart {
        pub sets: RefCell<Vec<SetStatus>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for SnapshotChart {
        const NAME: &'static str = "SouvenirSnapshotChart";
        type Type = super::SnapshotChart;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("snapshotchart");
            class.set_accessible_role(gtk::AccessibleRole::Img);
        }
    }

    impl ObjectImpl for SnapshotChart {
        fn constructed(&self) {
            self.parent_constructed();
            let chart = self.obj();
            chart.set_has_tooltip(true);
            chart.connect_query_tooltip(|chart, x, _, keyboard, tooltip| {
                let Some(text) = chart.tooltip_at(x as f32).filter(|_| !keyboard) else { return false };
                tooltip.set_text(Some(&text));
                true
            });
        }
    }

    impl WidgetImpl for SnapshotChart {
        fn measure(&self, orientation: gtk::Orientation, _for_size: i32) -> (i32, i32, i32, i32) {
            match orientation {
                gtk::Orientation::Horizontal => (0, 200, -1, -1),
                _ => (HEIGHT, HEIGHT, -1, -1),
            }
        }

        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            let chart = self.obj();
            let sets = self.sets.borrow();
            let Some(largest) = sets.iter().map(|set| set.stored_bytes).max() else { return };
            let (step, width) = chart.layout();
            let height = chart.height() as f32;
            let solid = adw::StyleManager::for_display(&chart.display()).accent_color_rgba();
            let light = solid.with_alpha(0.45);
            for (index, set) in sets.iter().enumerate() {
                let part = set.stored_bytes as f32 / largest.max(1) as f32;
                let bar = (part * height).max(SMALLEST_HEIGHT);
                let place = graphene::Rect::new(index as f32 * step, height - bar, width, bar);
                let radius = graphene::Size::new(width.min(6.0) / 2.0, width.min(6.0) / 2.0);
                let square = graphene::Size::zero();
                let shape = gtk::gsk::RoundedRect::new(place, radius, radius, square, square);
                snapshot.push_rounded_clip(&shape);
                snapshot.append_color(if set.full { &solid } else { &light }, &place);
                snapshot.pop();
            }
        }
    }
}

glib::wrapper! {
    /// See the module.
    pub struct SnapshotChart(ObjectSubclass<imp::SnapshotChart>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl SnapshotChart {
    /// Shows these sets, oldest first.
    pub fn set_sets(&self, sets: &[SetStatus]) {
        let newest = sets[sets.len().saturating_sub(SHOWN_SETS)..].to_vec();
        let count = newest.len() as u64;
        let label = ngettext_f(
            "Chart of {count} snapshot",
            "Chart of {count} snapshots",
            count,
            &[("count", &words::count(count))],
        );
        self.update_property(&[gtk::accessible::Property::Label(&label)]);
        self.imp().sets.replace(newest);
        self.queue_draw();
    }

    /// The distance from bar to bar, and the width of one.
    fn layout(&self) -> (f32, f32) {
        let count = self.imp().sets.borrow().len().max(1) as f32;
        let step = (self.width() as f32 / count).min(WIDEST_BAR + 6.0);
        let gap = (step / 4.0).min(6.0);
        (step, step - gap)
    }

    fn tooltip_at(&self, x: f32) -> Option<String> {
        let sets = self.imp().sets.borrow();
        let set = sets.get((x / self.layout().0) as usize)?;
        Some(gettext_f(
            "{date}\n{kind}, {size}",
            &[
                ("date", &words::set_date(set.time)),
                ("kind", &kind(set)),
                ("size", &words::size(set.stored_bytes)),
            ],
        ))
    }
}

/// Whether a set stands on its own, in a word.
pub fn kind(set: &SetStatus) -> String {
    if set.full { gettext("Full") } else { gettext("Incremental") }
}
