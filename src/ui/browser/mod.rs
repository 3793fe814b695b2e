//! The browser of a place with backups, and restoring from it.

mod breadcrumb;
mod browser_page;
mod columns;
mod restore_dialog;
mod rows;
mod snapshots;

pub use browser_page::BrowserPage;
