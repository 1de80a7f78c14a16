//! The program `striate`: runs [`striate::cli`], prints an error in one line, and sets the exit code.
#![deny(unsafe_code)]

mod headless;

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    headless::prepare();
    let (code, line) = striate::cli::guarded(|| striate::cli::run(std::env::args_os()));
    if let Some(line) = line {
        // If stderr is closed too, the error cannot be reported.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
    ExitCode::from(code)
}
