//! The objects that widgets bind to. They hold no widget.

mod catalog_reader;
mod diff;
mod exchange;
mod file_node;
mod folder_model;
mod folder_rows;
mod job;
mod looks;
mod nodes;
mod plan;
mod plan_damage;
mod plan_runs;
mod plan_schedule;
mod plan_store;
mod rate;
mod repository;

pub use catalog_reader::{CatalogReader, Lane};
pub use diff::{Comparison, Line, LineKind, compare};
pub use file_node::{FileNode, display_name, icon_name, kind_name};
pub use folder_model::{FRAME, FolderModel, MOST_WIDGETS};
pub use folder_rows::{Arrangement, FolderRows, SortBy};
pub use job::{JobKind, JobModel, JobState};
pub use plan::{PlanObject, PlanState};
pub use plan_store::PlanStore;
pub use repository::Repository;
