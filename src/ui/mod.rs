//! The window.
//!
//! # The widget tree
//!
//! ```text
//! Window
//! └─ NavigationView
//!    ├─ welcome │ NavigationSplitView
//!    │            ├─ PlanRow …                     several plans only
//!    │            └─ OverviewPage                  JobProgress, ProblemView, SnapshotChart
//!    ├─ BrowserPage                                a snapshot's folders and files
//!    └─ WarningsPage
//! Assistant      FoldersPage → DestinationPage → ProtectionPage (→ NewKeyPage) → SummaryPage
//! RestoreDialog  where to → JobProgress → what was restored
//! RestoreFromDialog, PassphraseDialog
//! ```
//!
//! Widgets bind to the objects in [`model`]; `model::JobModel` is the only receiver of an engine job's
//! events. Nothing here reads a file, waits for gpg or the network on the main loop.

mod accelerators;
mod application;
mod assistant;
mod browser;
mod describe;
mod dialogs;
mod error_text;
mod model;
mod overview;
mod plan_row;
mod questions;
mod restore_from;
mod widgets;
mod window;
mod words;

use std::process::ExitCode;

use adw::prelude::*;
pub use application::Application;

use crate::i18n;
use crate::platform::settings;

/// Shows the window and runs until it is closed and no job is left.
pub fn run() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("SOUVENIR_LOG"))
        .with_writer(std::io::stderr)
        .init();
    i18n::init(&settings::locale_folder());
    if let Err(error) = gio::resources_register_include!("souvenir.gresource") {
        // The window works without: it only looks a little plainer.
        tracing::warn!(%error, "the resources could not be loaded");
    }
    glib::set_application_name("Souvenir");
    Application::default().run().into()
}
