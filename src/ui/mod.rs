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
//!    ├─ BrowserPage                                SnapshotBar, Breadcrumb, folder │ SearchView │ LoadingView
//!    │  └─ FilePane                                PreviewView, versions; a page of its own when narrow
//!    └─ LogPage → RunPage → WarningsPage
//! Assistant      FoldersPage → DestinationPage → ProtectionPage (→ NewKeyPage) → KeepKeyPage → SchedulePage → SummaryPage
//! PlanSettings   SettingsPage → FoldersPage │ DestinationPage → ChangePage │ ProtectionPage → ChangePage │ SchedulePage
//! KeysDialog     the keys → KeyPage │ NewKeyPage │ ImportPage
//! RestoreDialog  where to, at what cost → JobProgress → what was restored
//! CompareDialog  two versions of a text
//! RestoreFromDialog (→ ImportPage), PassphraseDialog
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
mod help;
mod keys;
mod log;
mod model;
mod mounting;
mod overview;
mod plan_row;
mod plan_settings;
mod questions;
mod restore_from;
mod safekeeping;
mod scheduled;
mod tick;
mod widgets;
mod window;
mod words;

use std::process::ExitCode;

use adw::prelude::*;
pub use application::Application;

use crate::config::LOG_VARIABLE;
use crate::engine::crypto::end_own_agent;
use crate::i18n;
use crate::platform::settings;

/// Shows the window and runs until it is closed and no job is left.
pub fn run() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env(LOG_VARIABLE))
        .with_writer(std::io::stderr)
        .init();
    i18n::init(&settings::locale_folder());
    if let Err(error) = gio::resources_register_include!("souvenir.gresource") {
        // The window works without: it only looks a little plainer.
        tracing::warn!(%error, "the resources could not be loaded");
    }
    glib::set_application_name("Souvenir");
    tick::watch();
    let status = Application::default().run();
    end_own_agent();
    status.into()
}
