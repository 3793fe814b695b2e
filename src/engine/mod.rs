//! The backup engine: everything that reads and writes backups, and nothing that draws.
//!
//! No GTK, GLib or gettext in here; `cargo test --no-default-features` builds and tests this room on
//! a machine that has none of them. The verbs ([`backup`], [`restore`], [`discover`], [`list`], [`status`], [`verify`],
//! [`prune`], [`copy`]) are synchronous functions that take what they work on and a [`job::Job`]; the caller owns
//! the thread.
//!
//! One foreign library, one folder: [`crypto`] is the only place that knows gpgme, [`delta`] the only
//! one that knows librsync, [`catalog`] the only one that knows SQLite.

pub mod backup;
pub mod catalog;
pub mod chain;
pub mod copies;
pub mod copy;
pub mod crypto;
pub mod delta;
pub mod discover;
pub mod drill;
pub mod error;
pub mod format;
pub mod job;
pub mod known;
pub mod list;
pub mod origin;
pub mod path;
pub mod prune;
pub mod restore;
pub mod sandbox;
pub mod scan;
pub mod status;
pub mod storage;
pub mod stored;
pub mod verify;

pub use error::{Error, Result};
