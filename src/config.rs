//! The names that this program goes by.

/// The application's id on the bus, in the desktop file and in the settings.
pub const APP_ID: &str = "io.github.souvenir_backup.Souvenir";

/// The domain of the translations.
pub const GETTEXT_DOMAIN: &str = "souvenir";

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The variable that says what the programs log, on standard error.
pub const LOG_VARIABLE: &str = "SOUVENIR_LOG";

/// The name that the monitor owns on the session bus.
pub const MONITOR_ID: &str = "io.github.souvenir_backup.Souvenir.Monitor";

/// The program that starts what is due.
pub const MONITOR_PROGRAM: &str = "souvenir-monitor";

/// The program with the window, which runs what is due.
pub const WINDOW_PROGRAM: &str = "souvenir";
