//! What a run survives, row by row: a device that is lost (`device_loss`), numbers that
//! go wrong (`non_finite`), a loaded machine (`determinism`), and long runs (`long_runs`). At full size with
//! `STRIATE_RELIABILITY=full`; each test prints its row and its numbers (`--nocapture`).

mod determinism;
mod device_loss;
mod long_runs;
mod non_finite;
#[path = "../training_support/mod.rs"]
#[allow(dead_code, reason = "shared with tests/training.rs, which uses all of it")]
mod training_support;

/// How many there are of something: `ci` in every run of the tests, `full` with `STRIATE_RELIABILITY=full`.
fn size(ci: usize, full: usize) -> usize {
    let is_full = std::env::var("STRIATE_RELIABILITY").is_ok_and(|value| value == "full");
    if is_full { full } else { ci }
}
