//! Operators that only move channels: Slice, Split, and the channel shuffle that a Reshape, a Transpose and a Reshape form.

use super::attributes::ints;
use super::draft::{Call, GraphValue, NetworkDraft, list};
use super::{shape_tensor, shapes};
use crate::model::{LayerOp, layers};

/// A layer's output whose channels form rows of groups.
#[derive(Clone, Debug)]
pub struct GroupedChannels {
    from: Option<usize>,
    /// Shape of the layer's output, without the batch.
    dims: Vec<usize>,
    groups: usize,
    /// Whether groups and channels of a group have changed places.
    is_transposed: bool,
}

impl GroupedChannels {
    /// Channels of an output of shape `dims` in `groups` rows, which divide them.
    pub fn new(from: Option<usize>, dims: Vec<usize>, groups: usize) -> Self {
        GroupedChannels { from, dims, groups, is_transposed: false }
    }

    /// Its shape without the batch: two axes of channels, and the others.
    fn shape(&self) -> Vec<usize> {
        let mut rows = [self.groups, self.dims[0] / self.groups];
        if self.is_transposed {
            rows.reverse();
        }
        [&rows[..], &self.dims[1..]].concat()
    }
}

/// Translates the Transpose in a channel shuffle.
pub(super) fn transpose<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    mut grouped: GroupedChannels,
) -> Result<(), String> {
    let expected: Vec<i64> = [0, 2, 1].into_iter().chain(3..grouped.dims.len() as i64 + 2).collect();
    let found = call.attributes.ints("perm")?.unwrap_or_default();
    if found != expected {
        return Err(format!("expected perm {} (a channel shuffle), found {}", ints(&expected), ints(found)));
    }
    grouped.is_transposed = !grouped.is_transposed;
    draft.alias(call.node, GraphValue::GroupedChannels(grouped));
    Ok(())
}

/// Translates the second Reshape of a channel shuffle.
pub(super) fn ungroup<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    grouped: &GroupedChannels,
) -> Result<(), String> {
    let GroupedChannels { from, dims, groups, is_transposed } = grouped;
    let target = shapes::target(draft, call, &grouped.shape())?;
    if target != *dims {
        let (dims, target) = (list(dims), list(&target));
        return Err(format!("[N, {target}] after a channel shuffle: expected [N, {dims}]"));
    }
    if !is_transposed {
        draft.alias(call.node, GraphValue::Layer { from: *from, dims: dims.clone() });
        return Ok(());
    }
    let op = LayerOp::ChannelShuffle(layers::ChannelShuffle { groups: *groups });
    draft.push(call.node, op, vec![*from], &[dims]).map(|_| ())
}

/// A list of numbers: an attribute in early operator sets, since then input number `position`. `None` if it is omitted.
fn numbers<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    name: &'static str,
    position: usize,
) -> Result<Option<Vec<i64>>, String> {
    if let Some(found) = call.attributes.ints(name)? {
        return Ok(Some(found.to_vec()));
    }
    match draft.value(call.node, position)? {
        None => Ok(None),
        Some(_) => shape_tensor::read(draft, call, position)?.known().map(Some),
    }
}

/// The axis of a value of rank `rank` without the batch; the first axis, 1, is that of the channels.
fn place(axis: i64, rank: usize) -> Option<usize> {
    let rank = rank as i64 + 1;
    usize::try_from(if axis < 0 { axis.checked_add(rank)? } else { axis }).ok().filter(|&n| (n as i64) < rank)
}

/// Translates Slice of features along the channels.
pub fn slice<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (from, dims) = draft.layer(call.node, 0)?;
    let starts = numbers(draft, call, "starts", 1)?.ok_or("expected starts")?;
    let ends = numbers(draft, call, "ends", 2)?.ok_or("expected ends")?;
    let axes = numbers(draft, call, "axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = match draft.value(call.node, 4)? {
        None => vec![1; starts.len()],
        Some(_) => shape_tensor::read(draft, call, 4)?.known()?,
    };
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err("expected as many starts as ends, axes and steps".into());
    }
    let mut range = None;
    let mut seen = Vec::new();
    for (((start, end), axis), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
        let wrong = || {
            format!(
                "{start} to {end} in steps of {step} along axis {axis}: expected a run of channels (axis 1)"
            )
        };
        let axis = place(axis, dims.len()).ok_or_else(wrong)?;
        if seen.contains(&axis) || step != 1 {
            return Err(wrong());
        }
        seen.push(axis);
        // Of the batch only all rows can be taken, even if their number is not known.
        let Some(extent) = axis.checked_sub(1).map(|axis| dims[axis]) else {
            if start == 0 && end >= draft.batch.map_or(i64::from(i32::MAX), |batch| batch as i64) {
                continue;
            }
            return Err(wrong());
        };
        let len = extent as i64;
        let clamped = |n: i64| (if n < 0 { n.saturating_add(len) } else { n }).clamp(0, len) as usize;
        let (first, last) = (clamped(start), clamped(end));
        match axis {
            _ if (first, last) == (0, extent) => {}
            1 if first < last => range = Some((first, last)),
            _ => return Err(wrong()),
        }
    }
    match range {
        None => {
            draft.alias(call.node, GraphValue::Layer { from, dims });
            Ok(())
        }
        Some((start, end)) => draft.push_unary(call.node, layers::Slice { start, end }.into()),
    }
}

/// Translates Split of features along the channels: a slice for each output that is read.
pub fn split<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (node, a) = (call.node, &call.attributes);
    let (from, dims) = draft.layer(node, 0)?;
    let axis = a.int("axis", 0)?;
    if place(axis, dims.len()) != Some(1) {
        return Err(format!("expected axis 1 (channels), found {axis}"));
    }
    let (total, parts) = (dims[0], node.output.len());
    let given = a.int("num_outputs", parts as i64)?;
    if given != parts as i64 {
        return Err(format!("expected num_outputs {parts}, the number of its outputs, found {given}"));
    }
    let lengths: Vec<usize> = match numbers(draft, call, "split", 1)? {
        Some(lengths) => {
            let known = lengths.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<_>>();
            known.ok_or_else(|| format!("expected lengths of 0 or more, found {}", ints(&lengths)))?
        }
        // Equal parts; since operator set 18 the last one may be shorter.
        None => {
            let len = total.div_ceil(parts.max(1));
            (0..parts).map(|i| len.min(total.saturating_sub(i * len))).collect()
        }
    };
    let sum = lengths.iter().try_fold(0usize, |sum, &n| sum.checked_add(n));
    if lengths.len() != parts || sum != Some(total) || lengths.contains(&0) {
        return Err(format!("expected {parts} lengths that add up to {total} channels, found {lengths:?}"));
    }
    let mut start = 0;
    for (output, len) in node.output.iter().zip(lengths) {
        let end = start + len;
        if draft.graph.readers(output) > 0 {
            if len == total {
                draft.values.insert(output, GraphValue::Layer { from, dims: dims.clone() });
            } else {
                let op = layers::Slice { start, end }.into();
                draft.append(&node.name, output, op, vec![from], &[&dims])?;
            }
        }
        start = end;
    }
    Ok(())
}
