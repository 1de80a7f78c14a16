//! Whether a run survives what happens to runs: each module is a row or two of the table in `README.md` beside this file, at a
//! size for every day; at full size with `STRIATE_RELIABILITY=full`. Every test prints one line with its row and its
//! numbers (`--nocapture` shows it).

// What is killed, signalled and traced are processes of Linux.
#[cfg(target_os = "linux")]
mod crash_states;
#[cfg(target_os = "linux")]
mod damage;
mod determinism;
mod device_loss;
#[cfg(target_os = "linux")]
mod disk;
#[cfg(target_os = "linux")]
mod disk_full;
#[cfg(target_os = "linux")]
mod golden;
#[cfg(target_os = "linux")]
mod io_failures;
#[cfg(target_os = "linux")]
mod kill_points;
#[cfg(target_os = "linux")]
mod kills;
#[cfg(target_os = "linux")]
mod locks;
mod long_runs;
#[cfg(target_os = "linux")]
mod matrix;
mod non_finite;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(target_os = "linux")]
mod strace;
mod supply_chain;
#[path = "../support/training.rs"]
#[allow(dead_code, reason = "shared with tests/train, which uses all of it")]
mod training_support;

/// How often something is done: `ci`, or `full` with `STRIATE_RELIABILITY=full`.
fn size(ci: usize, full: usize) -> usize {
    if std::env::var("STRIATE_RELIABILITY").is_ok_and(|value| value == "full") { full } else { ci }
}
