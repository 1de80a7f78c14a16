//! Vector instructions beyond what every processor has, chosen at run time. The only file that names pulp.

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
            match pulp::x86::V3::try_new() {
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
