//! Operators that only change a shape.

use super::attributes::ints;
use super::channels::GroupedChannels;
use super::constants::Handle;
use super::draft::{Call, GraphValue, NetworkDraft, list};
use super::shape_tensor::{self, Dim};
use super::vectors;
use crate::model::{LayerOp, layers};

/// The axes of a node: an attribute before operator set 13 (18 for reductions), since then the second input.
pub(super) fn axes<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<Option<Vec<i64>>, String> {
    if let Some(axes) = call.attributes.ints("axes")? {
        return Ok(Some(axes.to_vec()));
    }
    match draft.value(call.node, 1)? {
        None => Ok(None),
        Some(_) => shape_tensor::read(draft, call, 1)?.known().map(Some),
    }
}

pub fn flatten<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (from, dims) = draft.layer(call.node, 0)?;
    let axis = call.attributes.int("axis", 1)?;
    if axis != 1 && axis != -(dims.len() as i64) {
        return Err(format!("expected axis 1 (all but the batch), found {axis}"));
    }
    to_flat(draft, call, from, dims)
}

fn to_flat<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    from: Option<usize>,
    dims: Vec<usize>,
) -> Result<(), String> {
    if dims.len() == 1 {
        draft.alias(call.node, GraphValue::Layer { from, dims });
        return Ok(());
    }
    draft.push(call.node, LayerOp::Flatten(layers::Flatten), vec![from], &[&dims]).map(|_| ())
}

/// Translates Squeeze of features, which is supported if a vector remains.
pub(super) fn squeeze<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (from, dims) = draft.layer(call.node, 0)?;
    let axes = axes(draft, call)?.ok_or("expected axes")?;
    let rank = dims.len() as i64 + 1;
    let gone = |axis: i64| axes.iter().any(|&a| a == axis || a + rank == axis);
    let left: Vec<usize> =
        dims.iter().enumerate().filter(|(i, _)| !gone(*i as i64 + 1)).map(|(_, d)| *d).collect();
    if gone(0) || left.iter().product::<usize>() != dims.iter().product::<usize>() || left.len() != 1 {
        return Err(format!("axes {} of [N, {}]: expected axes that leave [N, K]", ints(&axes), list(&dims)));
    }
    to_flat(draft, call, from, dims)
}

pub(super) fn reshape<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (from, dims) = draft.layer(call.node, 0)?;
    let target = target(draft, call, &dims)?;
    match target.as_slice() {
        same if *same == dims => {
            draft.alias(call.node, GraphValue::Layer { from, dims });
            Ok(())
        }
        [_] => to_flat(draft, call, from, dims),
        [k, 1, 1] | [1, 1, k] if *dims == [*k] => {
            vectors::raise(draft, call, from, *k);
            Ok(())
        }
        [1, 1, k] if *dims == [*k, 1, 1] => {
            let value = GraphValue::ChannelsLast(Box::new(GraphValue::Layer { from, dims }));
            draft.alias(call.node, value);
            Ok(())
        }
        &[groups, columns, ref rest @ ..] if groups * columns == dims[0] && *rest == dims[1..] => {
            draft.alias(call.node, GraphValue::GroupedChannels(GroupedChannels::new(from, dims, groups)));
            Ok(())
        }
        _ => Err(format!("[N, {}] to [N, {}]: expected [N, K]", list(&dims), list(&target))),
    }
}

/// The shape, without the batch, that a Reshape gives a value of the shape `dims`.
pub(super) fn target<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    dims: &[usize],
) -> Result<Vec<usize>, String> {
    let mut target = shape_tensor::read(draft, call, 1)?.list;
    if !call.attributes.flag("allowzero", false)? {
        for (axis, extent) in target.iter_mut().enumerate().filter(|(_, extent)| **extent == Dim::Known(0)) {
            *extent = match axis.checked_sub(1) {
                None => Dim::Batch,
                Some(i) => Dim::Known(*dims.get(i).ok_or("its 0 copies an axis that does not exist")? as i64),
            };
        }
    }
    let wrong = || {
        let target: Vec<String> = target
            .iter()
            .take(8)
            .map(|extent| match extent {
                Dim::Batch => "N".to_string(),
                Dim::Known(n) => n.to_string(),
            })
            .collect();
        format!("[N, {}] to [{}]: expected [N, K]", list(dims), target.join(", "))
    };
    let total: usize = dims.iter().product();
    let Some((first, rest)) = target.split_first() else { return Err(wrong()) };
    // The first axis must stay the batch: symbolically, as the open rest (-1), or as the number that the file fixes.
    let rest_is_open = match first {
        Dim::Batch => true,
        Dim::Known(-1) => false,
        Dim::Known(n) if *n == draft.batch.unwrap_or(1) as i64 => true,
        Dim::Known(_) => return Err(wrong()),
    };
    let mut out = Vec::new();
    let mut known = rest.iter().filter_map(|e| match e {
        Dim::Known(n) if *n > 0 => usize::try_from(*n).ok(),
        _ => None,
    });
    let known = known.try_fold(1usize, usize::checked_mul).ok_or_else(wrong)?;
    for extent in rest {
        out.push(match extent {
            Dim::Known(-1) if rest_is_open && known > 0 => total / known,
            Dim::Known(n) if *n > 0 => *n as usize,
            _ => return Err(wrong()),
        });
    }
    let open = rest.iter().filter(|e| **e == Dim::Known(-1)).count();
    let size = out.iter().try_fold(1usize, |size, &d| size.checked_mul(d));
    if open > 1 || size != Some(total) {
        return Err(wrong());
    }
    Ok(out)
}

/// Translates a reshape of a constant.
pub(super) fn reshape_constant<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    handle: Handle<'a>,
) -> Result<(), String> {
    let dims = draft.constants.dims(handle)?;
    let a = &call.attributes;
    let place = |axis: i64, rank: usize| {
        let axis = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
        usize::try_from(axis)
            .ok()
            .filter(|&axis| axis < rank)
            .ok_or_else(|| format!("no axis {axis} of {rank}"))
    };
    let made: Vec<usize> = match call.node.op_type.as_str() {
        "Reshape" => {
            let copies = !a.flag("allowzero", false)?;
            let target = shape_tensor::read(draft, call, 1)?.known()?;
            let mut made = Vec::new();
            for (axis, &extent) in target.iter().enumerate() {
                made.push(match extent {
                    0 if copies => dims.get(axis).copied(),
                    // Filled in below.
                    -1 => Some(1),
                    _ => usize::try_from(extent).ok(),
                });
            }
            let made = made.into_iter().collect::<Option<Vec<usize>>>();
            let mut made = made.ok_or_else(|| format!("[{}] to {}", list(&dims), ints(&target)))?;
            if let Some(open) = target.iter().position(|&extent| extent == -1) {
                if target.iter().filter(|&&extent| extent == -1).count() > 1 {
                    return Err(format!("expected one open extent, found {}", ints(&target)));
                }
                let product = |dims: &[usize]| dims.iter().try_fold(1usize, |size, &d| size.checked_mul(d));
                let known = product(&made).filter(|&known| known > 0);
                made[open] = product(&dims).zip(known).map_or(0, |(all, known)| all / known);
            }
            made
        }
        "Flatten" => {
            let axis = a.int("axis", 1)?;
            let axis = if axis == dims.len() as i64 { dims.len() } else { place(axis, dims.len())? };
            let size = |dims: &[usize]| dims.iter().try_fold(1usize, |size, &d| size.checked_mul(d));
            [size(&dims[..axis]), size(&dims[axis..])]
                .into_iter()
                .collect::<Option<_>>()
                .ok_or("is too large")?
        }
        "Squeeze" => {
            let gone = match axes(draft, call)? {
                Some(axes) => {
                    axes.iter().map(|&axis| place(axis, dims.len())).collect::<Result<Vec<_>, _>>()?
                }
                None => (0..dims.len()).filter(|&axis| dims[axis] == 1).collect(),
            };
            dims.iter().enumerate().filter(|(axis, _)| !gone.contains(axis)).map(|(_, d)| *d).collect()
        }
        _ => {
            let axes = axes(draft, call)?.ok_or("expected axes")?;
            let rank = dims.len() + axes.len();
            let new = axes.iter().map(|&axis| place(axis, rank)).collect::<Result<Vec<_>, _>>()?;
            let mut old = dims.iter().copied();
            (0..rank)
                .map(|axis| if new.contains(&axis) { Some(1) } else { old.next() })
                .collect::<Option<_>>()
                .ok_or("expected other axes")?
        }
    };
    let handle = draft.constants.reshaped(handle, made)?;
    draft.alias(call.node, GraphValue::Constant(handle));
    Ok(())
}
