//! The window in a real desktop session, driven by keyboard and mouse as people and assistive
//! technology do. What is done is in tests/window; each file there is one test here.
#![cfg(feature = "gui")]

use std::path::Path;
use std::process::Command;

fn run(script: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("/usr/bin/python3")
        .arg(folder.join("tests/window").join(script))
        .arg(env!("CARGO_BIN_EXE_souvenir"))
        .current_dir(folder)
        .output()
        .expect("Python is there");
    let text = String::from_utf8_lossy(&output.stdout);
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} failed\n{text}\n{problems}");
}

#[test]
fn tour() {
    run("tour.py");
}
