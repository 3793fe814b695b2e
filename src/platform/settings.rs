//! The state of the window, in GSettings.

use std::path::Path;

use crate::config::APP_ID;

/// Where the build left what an uninstalled window needs.
const BUILD_FOLDER: &str = env!("OUT_DIR");

/// The settings of this application: with the installed schema, else with the one of the build. None
/// where neither is there; the window then starts with its defaults.
pub fn open() -> Option<gio::Settings> {
    let installed = gio::SettingsSchemaSource::default();
    let schema = installed.as_ref().and_then(|source| source.lookup(APP_ID, true)).or_else(|| {
        let folder = Path::new(BUILD_FOLDER).join("schemas");
        gio::SettingsSchemaSource::from_directory(folder, installed.as_ref(), false)
            .ok()?
            .lookup(APP_ID, true)
    })?;
    Some(gio::Settings::new_full(&schema, gio::SettingsBackend::NONE, None))
}

/// The folder with the translations: the installed one beside the program, else the build's.
pub fn locale_folder() -> std::path::PathBuf {
    std::env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.parent()?.join("share/locale")))
        .filter(|folder| folder.is_dir())
        .unwrap_or_else(|| Path::new(BUILD_FOLDER).join("locale"))
}
