//! What the desktop offers, without widgets: settings and the Secret Service.

pub mod folder;
pub mod secrets;
pub mod settings;
