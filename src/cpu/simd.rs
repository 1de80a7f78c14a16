//! Vector instructions beyond what every processor has, chosen at run time.
//!
//! The environment variable `STRIATE_SIMD` switches the widest off, for tests of what other machines run: `avx2` allows
//! no AVX-512, `none` nothing but what every processor has. Matrix products (`product`) choose for themselves.

#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

/// Whether AVX2 and AVX-512 may be used, if the processor has them.
#[cfg(target_arch = "x86_64")]
static ALLOWED: LazyLock<(bool, bool)> = LazyLock::new(|| {
    let text = std::env::var("STRIATE_SIMD").unwrap_or_default();
    (text != "none", text != "none" && text != "avx2")
});

/// AVX2 and fused multiply-adds.
#[cfg(target_arch = "x86_64")]
pub fn avx2() -> Option<pulp::x86::V3> {
    if ALLOWED.0 { pulp::x86::V3::try_new() } else { None }
}

/// AVX-512.
#[cfg(target_arch = "x86_64")]
pub fn avx512() -> Option<pulp::x86::V4> {
    if ALLOWED.1 { pulp::x86::V4::try_new() } else { None }
}

/// The name of the widest vector instructions that kernels use here: `avx512`, `avx2` or `baseline`.
pub fn level() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    return match (avx512(), avx2()) {
        (Some(_), _) => "avx512",
        (None, Some(_)) => "avx2",
        (None, None) => "baseline",
    };
    #[cfg(not(target_arch = "x86_64"))]
    "baseline"
}

/// `vectorised!(|| body)` is the value of `body`, compiled once for AVX2 and once for any processor; which of them
/// runs is decided at run time. The compiler neither reorders sums nor fuses products for either, so they have the
/// same results. What the body calls must be inlined into it to profit.
///
/// A macro rather than a function: a closure that is called in two places would not be inlined in either, and keep
/// the plain instructions in both.
macro_rules! vectorised {
    (|| $body:expr) => {{
        #[cfg(target_arch = "x86_64")]
        {
            match $crate::cpu::simd::avx2() {
                Some(simd) => pulp::Simd::vectorize(simd, || $body),
                None => $body,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            $body
        }
    }};
}
pub(super) use vectorised;
