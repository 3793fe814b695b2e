//! Souvenir: backups in the duplicity format, with a window and a command line.
//!
//! # The rooms, and who may import whom
//!
//! ```text
//! main.rs            the window's program: locale, then ui::run
//! bin/souvenir-cli   the command line
//!
//! ui  ──────►  platform  ──────►  engine
//!  │              ▲                  ▲
//!  └──► plan ─────┘                  │
//!        └───────────────────────────┘
//! ```
//!
//! - [`engine`] reads and writes backups. It knows no GTK, GLib or gettext, and imports nothing else
//!   of this crate.
//! - [`plan`] is one backup plan: folders, destination, protection; and the file the plans are kept in.
//!   [`preferences`] is what holds for all of them.
//! - [`kit`] is a key on paper, and its way back; for the window and the command line.
//! - `platform` is GIO, portals, the network and the Secret Service without widgets; `ui` is the window.
//!   The one exists with the feature `desktop`, the other with `gui`. A plan uses `platform` only to open its
//!   destination.
//! - [`i18n`] is the translation of what people read; [`config`] the names that this program goes by.
//!
//! # A backup as data flowing
//!
//! `engine::scan` walks the source in the format's order and cuts it into volumes; workers make the
//! volumes side by side (`engine::format` writes the tar, `engine::delta` the signatures,
//! `engine::stored` compresses, seals and hashes, `engine::storage` keeps); the signatures follow in
//! order, and the manifest is stored last. Restoring is the same way back.

pub mod config;
pub mod engine;
pub mod i18n;
pub mod kit;
pub mod plan;
#[cfg(feature = "desktop")]
pub mod platform;
pub mod preferences;
#[cfg(feature = "gui")]
pub mod ui;
