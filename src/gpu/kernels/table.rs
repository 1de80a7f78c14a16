//! Dispatches that treat many tensors at once: updates of parameters, and sums of partial sums. The tensors lie in one
//! buffer, and a table says which elements each workgroup treats.

use super::dispatch::{Dispatch, DispatchKind, Source, fold};
use super::elements::{constants, thread_rounds};
use super::limits::Limits;
use super::rounds::rounds;
use super::shader::{Shader, shader};
use super::update::update_shaders;
use crate::ops::{Op, Update};

/// Elements of a chunk of an update: THREADS * PER_THREAD of `update_table.wgsl`.
const UPDATED: usize = 1024;
/// Elements of a chunk of a sum: THREADS of `sum_partials_table.wgsl`.
const SUMMED: usize = 256;
/// Words of a chunk of either.
const WORDS: usize = 5;

/// A dispatch without its bindings, and the words of its table.
pub(in crate::gpu) struct TableDispatch {
    pub shader: Shader,
    pub constants: Vec<(&'static str, f64)>,
    pub groups: [u32; 3],
    pub rounds: u64,
    pub table: Vec<u32>,
}

/// Partial sums of one tensor that wait to be added up. Places are in elements of the buffers they lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gpu) struct Reduction {
    /// Where the partial sums begin.
    pub source: usize,
    /// Where their sums go.
    pub sum: usize,
    pub pieces: usize,
    pub len: usize,
}

impl Dispatch {
    /// If all that this dispatch does is to add up scratch buffer 0 into an operand: pieces, and the operand's number.
    pub(in crate::gpu) fn adds_up(&self) -> Option<(usize, usize)> {
        match (self.kind, self.bindings.last()?.source) {
            (DispatchKind::SumPartials(pieces), Source::Operand(i)) => Some((pieces, i)),
            _ => None,
        }
    }
}

/// One dispatch for all of `sums`. Bindings: partial sums, table, sums.
pub(in crate::gpu) fn reductions(sums: &[Reduction], limits: &Limits) -> TableDispatch {
    let mut table = Vec::new();
    for r in sums {
        for first in (0..r.len).step_by(SUMMED) {
            let count = SUMMED.min(r.len - first);
            table.extend([r.source + first, r.sum + first, count, r.pieces, r.len].map(|n| n as u32));
        }
    }
    let most = sums.iter().map(|r| r.pieces).max().unwrap_or(0);
    entry(shader!("shared/sum_partials_table"), Vec::new(), table, rounds(most, 0), limits)
}

/// One dispatch for updates of the kind of `op`: of each tensor its first element and its update. Bindings: those of
/// `op`, the table after hyper. `None` if `op` is no update.
pub(in crate::gpu) fn update_table(
    op: &Op,
    tensors: &[(usize, Update)],
    limits: &Limits,
) -> Option<TableDispatch> {
    let (Op::Sgd(d) | Op::Adam(d) | Op::AdamW(d) | Op::RmsProp(d)) = op else { return None };
    let mut table = Vec::new();
    for (place, update) in tensors {
        for first in (0..update.len).step_by(UPDATED) {
            let end = (first + UPDATED).min(update.len);
            table.extend([place + first, place + end].map(|n| n as u32));
            table.extend([update.lr_mult.to_bits(), update.decay_mult.to_bits(), update.number]);
        }
    }
    let (shader, all) = update_shaders(op, d).1;
    Some(entry(shader, all, table, thread_rounds(0), limits))
}

fn entry(
    shader: Shader,
    mut all: Vec<(&'static str, f64)>,
    table: Vec<u32>,
    rounds: u64,
    limits: &Limits,
) -> TableDispatch {
    let chunks = table.len() / WORDS;
    all.extend(constants([("chunks", chunks)]));
    TableDispatch { shader, constants: all, groups: fold(chunks, limits), rounds, table }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_element_of_every_tensor_once() {
        let limits = Limits::default();
        let update = |len| Update {
            len,
            lr_mult: 2.0,
            decay_mult: 0.0,
            momentum: true,
            nesterov: false,
            clip: false,
            scaled: false,
            number: 7,
            slots: 1,
        };
        let tensors = [(0, update(1)), (64, update(1024)), (1088, update(1025)), (2176, update(3))];
        let entry = update_table(&Op::Sgd(update(1)), &tensors, &limits).unwrap();
        let mut seen = vec![0; 2200];
        for chunk in entry.table.chunks(5) {
            assert!(chunk[1] > chunk[0] && chunk[1] - chunk[0] <= UPDATED as u32);
            assert_eq!((f32::from_bits(chunk[2]), f32::from_bits(chunk[3]), chunk[4]), (2.0, 0.0, 7));
            (chunk[0]..chunk[1]).for_each(|i| seen[i as usize] += 1);
        }
        for (i, seen) in seen.iter().enumerate() {
            let inside = tensors.iter().any(|(first, d)| (*first..first + d.len).contains(&i));
            assert_eq!(*seen, usize::from(inside), "{i}");
        }
        assert_eq!(entry.groups, [5, 1, 1]);
        let sums = [Reduction { source: 7, sum: 64, pieces: 3, len: 257 }];
        let entry = reductions(&sums, &limits);
        assert_eq!(entry.table, [7, 64, 256, 3, 257, 263, 320, 1, 3, 257]);
    }
}
