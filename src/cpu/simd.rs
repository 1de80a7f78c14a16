//! Vector instructions beyond what every processor has, chosen at run time. The only file that names pulp.

use pulp::Arch;

/// Calls `f`, compiled for the widest vectors that this build knows and this processor has (AVX2 beyond the SSE2 of
/// every x86-64). The compiler neither reorders sums nor fuses products for it, so results are the same on all. What
/// `f` calls must be inlined into it to profit.
#[inline(always)]
pub fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(f)
}
