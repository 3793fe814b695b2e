//! Staying out of the way of whoever uses the machine.

/// The lowest priority that a thread can have.
const LOWEST: i32 = 19;

/// Gives this thread, and those that it makes from now on, the least of the processor. What it reads and writes then
/// comes last too, as the kernel derives that from this (see ioprio_set(2)).
pub fn lower_priority() {
    // Of Linux each thread has a priority of its own (see setpriority(2), "C library/kernel differences").
    if let Err(error) = rustix::process::setpriority_process(None, LOWEST) {
        tracing::info!(%error, "the priority stays as it is");
    }
}
