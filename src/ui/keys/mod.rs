//! The keys that protect backups: all of them in a dialog, one of them on a page, and on their way in and
//! out of this computer.

mod import_page;
mod key_page;
mod keys_dialog;
mod uses;
mod work;

pub use import_page::{ImportPage, imported_text};
pub use keys_dialog::KeysDialog;
pub use uses::places_of;
pub use work::{Stopped, run};
