//! The duplicity format: names, times, manifests, tars. Pure readers and writers; docs/format.md
//! has the rules they follow.

pub mod difftar;
pub mod entry;
mod extras;
pub mod manifest;
pub mod moment;
pub mod name;
pub mod quote;
pub mod tar;
pub mod time;
