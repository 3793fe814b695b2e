//! What the desktop offers, without widgets: settings, the Secret Service, and the way to the network.

pub mod folder;
pub mod network;
pub mod secrets;
pub mod settings;
