//! The program `striate`: calls [`striate::cli`], prints what went wrong in one line, sets the exit code.
#![deny(unsafe_code)]

mod headless;

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    headless::prepare();
    let (code, line) = striate::cli::guarded(|| striate::cli::run(std::env::args_os()));
    if let Some(line) = line {
        // If stderr is gone too there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
    ExitCode::from(code)
}
