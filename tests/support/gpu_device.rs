//! The device that the GPU tests run on: the best GPU, else a software adapter (Mesa's llvmpipe).

use striate::gpu::{AdapterSelector, Gpu, LimitOverrides, adapters};

/// A device with this limits. `None` (and a loud line) if this machine has no adapter at all, which is a
/// failure if `STRIATE_REQUIRE_GPU=1`.
pub fn open(limits: &LimitOverrides) -> Option<Gpu> {
    if adapters().is_empty() {
        let required = std::env::var("STRIATE_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(!required, "STRIATE_REQUIRE_GPU=1, but there is no adapter");
        eprintln!("skipped: no adapter");
        return None;
    }
    let gpu = Gpu::open_limited(&AdapterSelector::Best, limits)
        .or_else(|_| Gpu::open_limited(&AdapterSelector::Index(0), limits));
    Some(gpu.expect("an adapter that is listed can be opened"))
}
