//! How far a job is.

use crate::engine::path::EntryPath;

/// What a job is doing, in the order in which a person sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Looking at the destination.
    #[default]
    Preparing,
    /// Doing nothing until another job has ended.
    Waiting,
    /// Reading the source and storing volumes.
    BackingUp,
    /// Storing signatures and manifest.
    Finishing,
    /// Writing files to their place.
    Restoring,
    /// Reading what the destination holds.
    Listing,
    /// Reading stored files to see whether they are as they were written.
    Verifying,
    /// Deleting stored files.
    Deleting,
    /// Copying stored files from one place to another.
    Copying,
}

/// How far the phase of a job is. Totals are valid once `total_known` is set.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Files done, and what else there is beside them, such as links; in a backup and a restore not folders.
    pub done_files: u64,
    /// Those to do.
    pub total_files: u64,
    /// Bytes of file contents done.
    pub done_bytes: u64,
    /// Bytes of file contents to do.
    pub total_bytes: u64,
    /// Whether the totals are final.
    pub total_known: bool,
    /// Bytes written to, or read from, the destination.
    pub stored_bytes: u64,
    /// The entry that was worked on last.
    pub current_path: EntryPath,
    /// Whether the destination has failed more than once in a row and is tried again.
    pub trying_again: bool,
}
