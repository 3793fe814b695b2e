//! The window's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    souvenir::ui::run()
}
