//! The objects that widgets bind to. They hold no widget.

mod entry_tree;
mod file_node;
mod folder_model;
mod job;
mod plan;
mod plan_store;
mod rate;
mod repository;

pub use entry_tree::EntryTree;
pub use file_node::{FileNode, display_name};
pub use folder_model::{FolderModel, SortBy};
pub use job::{JobKind, JobModel, JobState};
pub use plan::{PlanObject, PlanState};
pub use plan_store::PlanStore;
pub use repository::Repository;
