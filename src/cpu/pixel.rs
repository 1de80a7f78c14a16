//! Vectors of the channels of a block at one pixel. They are explicit, because the compiler would rather vectorise
//! along the pixels, with a gather for every channel.

use super::layout::BLOCK;
use super::vector::{multiply_add, relu};
use pulp::Simd;

/// The channels of a block at one pixel.
pub type Pixel = [f32; BLOCK];

/// Arithmetic on pixels that lie in `L` vectors each.
#[derive(Clone, Copy)]
pub struct Vectors<S, const L: usize>(pub S);

/// `pixelwise!(|v| body)` is the value of `body`, where `v` are the widest [`Vectors`] of this processor. All widths
/// have the same results but for [`Vectors::multiply_add`]. Functions that the body calls must be inlined into it.
///
/// `pixelwise!(narrow, |v| body)` leaves out vectors of 16. Loops that load the values they have just stored take twice
/// the time where such a vector crosses the border of a cache line, and loops that memory holds up gain nothing by them.
macro_rules! pixelwise {
    // Nothing but the vectors' type differs between the copies of the body.
    (@run $simd:expr, $lanes:literal, $v:ident, $body:expr) => {{
        let simd = $simd;
        pulp::Simd::vectorize(simd, || {
            let $v = $crate::cpu::pixel::Vectors::<_, $lanes>(simd);
            $body
        })
    }};
    (|$v:ident| $body:expr) => {{
        #[cfg(target_arch = "x86_64")]
        {
            match $crate::cpu::simd::avx512() {
                Some(simd) => pixelwise!(@run simd, 1, $v, $body),
                None => pixelwise!(narrow, |$v| $body),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            pixelwise!(narrow, |$v| $body)
        }
    }};
    (narrow, |$v:ident| $body:expr) => {{
        #[cfg(target_arch = "x86_64")]
        {
            match $crate::cpu::simd::avx2() {
                Some(simd) => pixelwise!(@run simd, 2, $v, $body),
                None => pixelwise!(@run pulp::Scalar128b, 4, $v, $body),
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            match pulp::aarch64::Neon::try_new() {
                Some(simd) => pixelwise!(@run simd, 4, $v, $body),
                None => pixelwise!(@run pulp::Scalar128b, 4, $v, $body),
            }
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        {
            pixelwise!(@run pulp::Scalar128b, 4, $v, $body)
        }
    }};
}
pub(super) use pixelwise;

impl<S: Simd, const L: usize> Vectors<S, L> {
    #[inline(always)]
    pub fn splat(self, value: f32) -> [S::f32s; L] {
        [self.0.splat_f32s(value); L]
    }

    #[inline(always)]
    pub fn load(self, pixel: &Pixel) -> [S::f32s; L] {
        let mut a = self.splat(0.0);
        a.copy_from_slice(S::as_simd_f32s(pixel).0);
        a
    }

    #[inline(always)]
    pub fn store(self, a: [S::f32s; L], pixel: &mut Pixel) {
        S::as_mut_simd_f32s(pixel).0.copy_from_slice(&a);
    }

    #[inline(always)]
    fn map2(
        self,
        a: [S::f32s; L],
        b: [S::f32s; L],
        f: impl Fn(S, S::f32s, S::f32s) -> S::f32s,
    ) -> [S::f32s; L] {
        let mut result = a;
        for l in 0..L {
            result[l] = f(self.0, a[l], b[l]);
        }
        result
    }

    #[inline(always)]
    pub fn add(self, a: [S::f32s; L], b: [S::f32s; L]) -> [S::f32s; L] {
        self.map2(a, b, S::add_f32s)
    }

    #[inline(always)]
    pub fn sub(self, a: [S::f32s; L], b: [S::f32s; L]) -> [S::f32s; L] {
        self.map2(a, b, S::sub_f32s)
    }

    #[inline(always)]
    pub fn mul(self, a: [S::f32s; L], b: [S::f32s; L]) -> [S::f32s; L] {
        self.map2(a, b, S::mul_f32s)
    }

    #[inline(always)]
    pub fn div(self, a: [S::f32s; L], b: [S::f32s; L]) -> [S::f32s; L] {
        self.map2(a, b, S::div_f32s)
    }

    #[inline(always)]
    pub fn sqrt(self, a: [S::f32s; L]) -> [S::f32s; L] {
        self.map2(a, a, |simd, a, _| simd.sqrt_f32s(a))
    }

    /// a b + c, fused as in [`multiply_add`]: this alone may differ with the width.
    #[inline(always)]
    pub fn multiply_add(self, a: [S::f32s; L], b: [S::f32s; L], c: [S::f32s; L]) -> [S::f32s; L] {
        let mut result = c;
        for l in 0..L {
            result[l] = multiply_add(self.0, a[l], b[l], c[l]);
        }
        result
    }

    /// a, or 0 where a is negative.
    #[inline(always)]
    pub fn relu(self, a: [S::f32s; L]) -> [S::f32s; L] {
        self.map2(a, a, |simd, a, _| relu(simd, a))
    }

    /// a where key is equal to `wanted`, else 0.
    #[inline(always)]
    pub fn where_equal(self, key: [S::f32s; L], wanted: f32, a: [S::f32s; L]) -> [S::f32s; L] {
        let (zero, wanted) = (self.0.splat_f32s(0.0), self.0.splat_f32s(wanted));
        self.map2(key, a, |simd, key, a| simd.select_f32s(simd.equal_f32s(key, wanted), a, zero))
    }

    /// a, or 0 where key is above 0; a NaN is not.
    #[inline(always)]
    pub fn where_not_positive(self, key: [S::f32s; L], a: [S::f32s; L]) -> [S::f32s; L] {
        let zero = self.0.splat_f32s(0.0);
        self.map2(key, a, |simd, key, a| simd.select_f32s(simd.less_than_f32s(zero, key), zero, a))
    }

    /// Replaces `best` by `values` and `winner` by `place`, where a value is greater or the first NaN.
    #[inline(always)]
    pub fn take_greater(
        self,
        values: [S::f32s; L],
        place: f32,
        best: &mut [S::f32s; L],
        winner: &mut [S::f32s; L],
    ) {
        let simd = self.0;
        let place = simd.splat_f32s(place);
        for l in 0..L {
            // Neither less nor equal is greater, or a NaN on either side.
            let loses = simd.less_than_or_equal_f32s(values[l], best[l]);
            let wins = simd.and_m32s(simd.not_m32s(loses), simd.equal_f32s(best[l], best[l]));
            best[l] = simd.select_f32s(wins, values[l], best[l]);
            winner[l] = simd.select_f32s(wins, place, winner[l]);
        }
    }
}
