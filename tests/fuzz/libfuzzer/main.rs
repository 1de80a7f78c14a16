//! libFuzzer on the target that STRIATE_FUZZ names; one program for all, since linking is what takes time.

#![no_main]

#[path = "../targets.rs"]
mod targets;

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let name = std::env::var("STRIATE_FUZZ").expect("STRIATE_FUZZ names the target");
    let found = targets::TARGETS.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("STRIATE_FUZZ: no target {name}")).1
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
