//! Times as people type them mean to Souvenir what they mean to the real duplicity.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

use std::io::Write;
use std::process::{Command, Stdio};

use jiff::tz::TimeZone;
use souvenir::engine::format::moment;
use souvenir::engine::format::time::SetTime;

const NOW: i64 = 1_700_000_000;

/// What duplicity's own parser makes of each line; `None` where it gives up.
fn duplicity(zone: &str, texts: &[&str]) -> Vec<Option<i64>> {
    const SCRIPT: &str = "
import sys
from duplicity import config, dup_time
config.time_separator = ':'
dup_time.setcurtime(int(sys.argv[1]))
for line in sys.stdin:
    try:
        print(dup_time.genstrtotime(line[:-1]))
    except dup_time.TimeException:
        print('-')
";
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", SCRIPT, &NOW.to_string()])
        .env("TZ", zone)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{}\n", texts.join("\n")).as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().ok()).collect()
}

const TEXTS: [&str; 44] = [
    "now",
    "0",
    "1700000000",
    "20231114",
    "20231114T221320Z",
    "2023-11-14T22:13:20Z",
    "2023-11-15T00:13:20+02:00",
    "2023-11-14T15:13:20-07:00",
    "2023-11-14T22:13:20+05:30",
    "2023-11-14T22:13:20",
    "2023-07-14T22:13:20",
    "1s",
    "90m",
    "1h78m",
    "3D64s",
    "2W",
    "1M1D",
    "1Y",
    "0D",
    "2023/11/14",
    "2023-7-4",
    "7/4/2023",
    "11-14-2023",
    "2023-7/4",
    "20230704Z",
    "2023-02-31",
    "2023-02-31T01:02:03Z",
    "20230231T010203Z",
    "2023-12-31T23:59:60Z",
    // What neither of us takes.
    "3d",
    "1.5h",
    "1h30",
    "2023-11-14T22:13",
    "2023-11-14 22:13:20",
    "2023-13-01",
    "13/13/2023",
    "2023-11-32",
    "1899-01-01",
    "2100-01-01",
    "2023-11-14T24:00:00Z",
    "23-11-14",
    "yesterday",
    "-3D",
    "Now",
];

#[test]
fn texts_mean_what_they_mean_to_duplicity() {
    let now = SetTime::from_epoch(NOW).unwrap();
    for zone in ["UTC", "Europe/Berlin", "America/New_York", "Australia/Sydney", "Asia/Kolkata"] {
        let ours = TimeZone::get(zone).unwrap();
        for (text, theirs) in TEXTS.iter().zip(duplicity(zone, &TEXTS)) {
            let read = moment::parse(text, now, &ours);
            assert_eq!(read.clone().ok().map(SetTime::epoch), theirs, "{text} in {zone}: {read:?}");
        }
    }
}
