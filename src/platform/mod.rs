//! What the desktop offers, without widgets: settings, the Secret Service, the state of the machine, and the way
//! to the network.

pub mod autostart;
pub mod calm;
pub mod folder;
#[cfg(feature = "gui")]
pub mod handover;
pub mod machine;
pub mod network;
pub mod secrets;
#[cfg(feature = "gui")]
pub mod settings;
