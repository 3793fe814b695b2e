//! Folders on SSH servers, with the real OpenSSH server.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod common;

#[path = "storage_sftp/contract.rs"]
mod contract;
#[path = "storage_sftp/host_keys.rs"]
mod host_keys;
#[path = "storage_sftp/proxy.rs"]
mod proxy;
#[path = "storage_sftp/sign_in.rs"]
mod sign_in;
#[path = "storage_sftp/throughput.rs"]
mod throughput;
#[path = "storage_sftp/trouble.rs"]
mod trouble;
#[path = "storage_sftp/whole.rs"]
mod whole;
