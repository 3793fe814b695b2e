//! The command line as a program of its own.

use std::process::{Command, Output};

/// Runs it. It must end with that code; gives what it printed and what it said beside that.
pub fn expect(code: i32, mut command: Command) -> (String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(code), "{command:?}\n{stdout}\n{stderr}");
    (stdout, stderr)
}
