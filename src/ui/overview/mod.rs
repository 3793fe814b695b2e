//! The overview of a plan.

mod actions;
mod health;
mod outcome;
mod overview_page;
mod proofs;
mod snapshot_chart;
mod snapshots;
mod warnings_page;

pub use actions::remove;
pub use overview_page::{OverviewPage, state_icon};
pub use proofs::verify;
pub use warnings_page::WarningsPage;
