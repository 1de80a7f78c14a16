//! How many rounds the loops of a kernel take, and how many they may take.
//!
//! Mesa's llvmpipe gives an invocation one budget of 65,535 loop rounds, which all its loops share, nested ones too
//! (`LP_MAX_TGSI_LOOP_ITERATIONS` in Mesa's `src/gallium/auxiliary/gallivm/lp_bld_limits.h`; seen with 22.3.6), and leaves every
//! loop silently when it is used up. So each dispatch states an upper bound of its rounds ([`Dispatch::rounds`]), and
//! [`check`] rejects one that a software adapter might cut short. Sums and windows that grow with the data are cut into
//! parts so that this does not happen; where, depends on the shape alone, so that all adapters get the same bits.
//!
//! `shaders/README.md` has the table of all loops.

use super::dispatch::{Dispatch, Kernels};
use super::limits::Limits;
use super::shader::Shader;
use crate::error::{Error, Result};

/// The most rounds of one invocation: three quarters of llvmpipe's budget. The bounds count the test that ends a loop as a
/// round, as llvmpipe does (`findings/llvmpipe_loop_budget.sh`).
pub const MAX_ROUNDS: u64 = 49_152;

/// The longest sum of products in one dispatch. A longer one is cut into parts of [`PART`] products, which begin at zero
/// each and are added up in order.
pub const LONGEST: usize = 32_768;

/// Products of one part of a sum that is longer than [`LONGEST`]. Adding 0.1 70,001 times errs by 1.4e-4 in such parts, by
/// 6.4e-4 in one chain; shorter parts would be rounded better still, but each needs a separate pipeline.
const PART: usize = 16_384;

/// The most partial sums that one invocation adds up.
pub(super) const MOST_PIECES: usize = 4096;

/// Elements of one image that a workgroup sums; an image with more is cut into runs of [`RUN`].
const LONGEST_RUN: usize = 1 << 21;
const RUN: usize = 1 << 20;

/// Terms of one dispatch of a kernel that has a workgroup for each element, and threads of the workgroup: TERMS and THREADS of
/// `shaders/shared/gather.wgsl`.
pub(super) const GATHER_TERMS: usize = 1 << 18;
pub(super) const GATHER_THREADS: usize = 256;

/// Rounds of a loop with `times` rounds, each of which takes `body` rounds in loops inside.
pub(super) const fn rounds(times: usize, body: u64) -> u64 {
    (times as u64).saturating_mul(body.saturating_add(1)).saturating_add(1)
}

/// Rounds of a reduction over this many threads (`shaders/shared/reduce.wgsl`).
pub(super) const fn reduction(threads: usize) -> u64 {
    rounds(threads.ilog2() as usize, 0)
}

/// Rounds of one thread that takes every `threads`-th of `len` elements, each with `body` rounds.
pub(super) const fn strided(len: usize, threads: usize, body: u64) -> u64 {
    rounds(len.div_ceil(threads), body)
}

/// A part of each sum of a product: `len` products from number `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SumPart {
    pub first: usize,
    pub len: usize,
    /// Whether no other part comes after it.
    pub last: bool,
}

/// The parts of a sum of `depth` products; one if it is not too long.
pub(super) fn parts(depth: usize) -> Vec<SumPart> {
    let len = if depth > LONGEST { PART } else { depth.max(1) };
    let part = |first| SumPart { first, len: len.min(depth - first), last: first + len >= depth };
    if depth == 0 { vec![part(0)] } else { (0..depth).step_by(len).map(part).collect() }
}

/// How many elements of an image of `inner` elements go into one partial sum, and how many partial sums that makes.
pub(super) fn runs(inner: usize) -> (usize, usize) {
    if inner > LONGEST_RUN { (RUN, inner.div_ceil(RUN)) } else { (inner, 1) }
}

/// # Errors
/// `Error::Device` if a dispatch of `shader` with this many rounds could be cut short on the adapter of `limits`.
pub(in crate::gpu) fn check(shader: Shader, rounds: u64, limits: &Limits) -> Result<()> {
    if rounds <= limits.rounds {
        return Ok(());
    }
    Err(Error::Device(format!(
        "{}: up to {rounds} loop rounds for this shape, but a software adapter is given at most {} (Mesa's llvmpipe \
         leaves loops silently after 65535); use the CPU path or a GPU",
        shader.label(),
        limits.rounds
    )))
}

/// `kernels`, if the adapter of `limits` runs all their loops to the end.
pub(super) fn checked(kernels: Kernels, limits: &Limits) -> Result<Kernels> {
    for Dispatch { shader, rounds, .. } in &kernels.dispatches {
        check(*shader, *rounds, limits)?;
    }
    Ok(kernels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_a_sum_once_and_short_sums_are_not_cut() {
        for depth in [0, 1, 9216, LONGEST] {
            assert_eq!(parts(depth), [SumPart { first: 0, len: depth, last: true }]);
        }
        for depth in [LONGEST + 1, 65_536, 70_001, 1 << 20] {
            let parts = parts(depth);
            let mut next = 0;
            for part in &parts {
                assert_eq!((part.first, part.last), (next, next + part.len == depth));
                assert!(
                    part.len <= PART && part.first % 64 == 0,
                    "parts begin where four elements are loaded at once"
                );
                next += part.len;
            }
            assert_eq!(next, depth);
        }
    }

    #[test]
    fn nested_loops_count_all_their_rounds() {
        assert_eq!(rounds(0, 0), 1);
        assert_eq!(rounds(40_000, 0) + rounds(25_534, 0), 65_536);
        assert_eq!(rounds(256, rounds(255, 0)), 256 * 257 + 1);
        assert_eq!(rounds(usize::MAX, rounds(usize::MAX, 0)), u64::MAX);
        assert_eq!((reduction(64), strided(257, 256, 0)), (7, 3));
    }

    #[test]
    fn only_a_limit_refuses() {
        let shader = crate::gpu::kernels::NOOP;
        assert!(check(shader, u64::MAX, &Limits::default()).is_ok());
        let software = Limits { rounds: MAX_ROUNDS, ..Limits::default() };
        assert!(check(shader, MAX_ROUNDS, &software).is_ok());
        let error = check(shader, MAX_ROUNDS + 1, &software).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("noop: up to 49153 loop rounds"), "{error}");
    }
}
