//! Looking into snapshots, searching them, and bringing files back.

mod arrival;
mod breadcrumb;
mod browser_page;
mod columns;
mod compare_dialog;
mod dragging;
mod file_pane;
mod loading_view;
mod pane;
mod place;
mod preview_view;
mod restore_cost;
mod restore_dialog;
mod restore_result;
mod rows;
mod search;
mod search_view;
mod sight;
mod snapshot_bar;
mod snapshots;
mod versions;

pub use browser_page::BrowserPage;
