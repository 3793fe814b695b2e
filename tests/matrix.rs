//! What duplicity's backups and ours are to each other, beyond the chains of `interop.rs`: every time and
//! part of them, what interrupted runs leave, what old versions wrote, and what goes on from where.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

mod matrix {
    mod cut_short;
    mod leftovers;
    mod old;
    mod ours;
    mod place;
    mod prefixed;
    mod remembered;
    mod theirs;
}
