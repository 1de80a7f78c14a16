//! Tensors larger than a binding, cut along their outermost extent into parts that can be bound one after another.
//!
//! An *item* is what a kernel treats independently of the others: an element, a plane, an image, a row. The cuts
//! depend on the adapter's limits, the value of each output does not.

use super::dispatch::Binding;
use super::limits::Limits;
use crate::error::{Error, Result};
use crate::ops::Op;

/// A run of items that one dispatch treats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// Number of the first item.
    pub first: usize,
    /// Number of items.
    pub count: usize,
    /// Whether these are all items there are.
    whole: bool,
}

impl Slice {
    /// The part of operand `i` that belongs to these items; one item has `size` elements in it.
    pub fn bind(&self, i: usize, size: usize) -> Binding {
        if self.whole { Binding::operand(i) } else { Binding::slice(i, self.first * size, self.count * size) }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Cuts `items` into the fewest slices such that every operand, with `sizes` elements for one item, can be bound.
///
/// Every slice begins at a multiple of `unit` items, for kernels that process this many together.
///
/// # Errors
/// [`Error::Memory`] if the smallest possible slice is larger than a binding.
pub(super) fn slices(
    op: &Op,
    items: usize,
    unit: usize,
    sizes: &[usize],
    limits: &Limits,
) -> Result<Vec<Slice>> {
    let largest = sizes.iter().copied().max().unwrap_or(0).max(1);
    if items.saturating_mul(largest) <= limits.binding {
        return Ok(vec![Slice { first: 0, count: items, whole: true }]);
    }
    // The smallest number of items after which every operand is at an offset that can be bound.
    let step = sizes.iter().filter(|&&size| size > 0).fold(unit.max(1), |step, &size| {
        let aligned = limits.align / gcd(limits.align, size);
        step / gcd(step, aligned) * aligned
    });
    let count = limits.binding / largest / step * step;
    if count == 0 {
        return Err(too_large(op, limits));
    }
    Ok((0..items)
        .step_by(count)
        .map(|first| Slice { first, count: count.min(items - first), whole: false })
        .collect())
}

/// The error for an operator with a tensor that cannot be bound, whole or in parts.
pub(super) fn too_large(op: &Op, limits: &Limits) -> Error {
    let operands = op.operands();
    let largest = operands.iter().max_by_key(|operand| operand.shape.len());
    let (name, bytes) = largest.map_or(("operand", 0), |o| (o.name, o.shape.bytes()));
    Error::Memory(format!(
        "{}: operand {name} has {bytes} bytes, but the adapter binds at most {} at once and the operator cannot be \
         cut finely enough; try a smaller batch or smaller images",
        op.name(),
        limits.binding as u64 * 4
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Pointwise;

    fn limits() -> Limits {
        Limits { binding: 1000, align: 64, ..Limits::default() }
    }

    fn cut(items: usize, unit: usize, sizes: &[usize]) -> Result<Vec<Slice>> {
        slices(&Op::Add(Pointwise { len: items }), items, unit, sizes, &limits())
    }

    #[test]
    fn what_fits_is_not_cut() {
        let whole = cut(10, 1, &[100, 7]).unwrap();
        assert_eq!(whole, [Slice { first: 0, count: 10, whole: true }]);
        assert_eq!(whole[0].bind(3, 100), Binding::operand(3));
    }

    #[test]
    fn slices_are_aligned_fit_a_binding_and_cover_every_item_once() {
        for (items, unit, sizes) in
            [(5000, 1, vec![1, 1]), (5000, 4, vec![1]), (999, 1, vec![12, 3]), (77, 6, vec![32, 64])]
        {
            let parts = cut(items, unit, &sizes).unwrap();
            assert!(parts.len() > 1);
            let mut next = 0;
            for part in &parts {
                assert_eq!((part.first, part.first % unit), (next, 0));
                next += part.count;
                for &size in &sizes {
                    assert_eq!(part.first * size % limits().align, 0);
                    assert!(part.count * size <= limits().binding);
                }
            }
            assert_eq!(next, items);
        }
    }

    #[test]
    fn an_item_larger_than_a_binding_is_an_error_that_names_operator_and_limit() {
        let message = cut(2, 1, &[1001]).unwrap_err().to_string();
        assert!(message.contains("add") && message.contains("4000"), "{message}");
        // 15 elements fit 66 times, but are aligned only every 64 items.
        assert!(cut(100, 1, &[15]).is_ok());
        assert!(cut(100, 1, &[17]).is_err());
    }
}
