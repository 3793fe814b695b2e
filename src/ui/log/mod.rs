//! What was run for a plan, and what came of it.

mod log_page;
mod run_page;
pub mod run_text;
mod salvage;

pub use log_page::LogPage;
pub use run_page::RunPage;
