//! Walking the source in the format's order: what is there, and what of it the rules let in.

mod links;
mod owners;
pub mod presets;
mod selection;
mod sizes;
mod tree;
mod walk;
mod xattrs;

pub use links::{Reached, reach};
pub use owners::{OwnerNames, OwnerNumbers};
pub use selection::{Candidate, CandidateKind, Filter, Rule, RuleKind, Scope, Selection, Separator, Verdict};
pub use sizes::Sizes;
pub use tree::Tree;
pub use walk::{Found, SourceEntry, Stamp, Walk};
pub(crate) use walk::{extras_of, left_out_because, reason};
pub use xattrs::{set_xattrs, xattrs};
