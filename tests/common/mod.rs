//! What several of the whole-program tests need.

#![allow(dead_code)]

pub mod cases;
pub mod catalog;
pub mod contract;
pub mod deleting;
pub mod duplicity;
pub mod engine;
pub mod faults;
pub mod gpg;
pub mod hooked;
pub mod odd;
pub mod program;
pub mod proxy;
pub mod sealing;
pub mod sshd;
pub mod synthetic;
pub mod tree;
