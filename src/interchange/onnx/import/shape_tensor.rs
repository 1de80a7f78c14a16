//! Arithmetic on the small integer tensors that exporters compute: shapes, axes and paddings that end in a Reshape, a Pad or
//! the condition of an If. The batch size stays symbolic.

use super::attributes::short;
use super::draft::{Call, GraphValue, NetworkDraft};
use super::{layouts, normalisation, shapes};
use std::iter::repeat_n;

/// Most numbers in a shape tensor.
const MOST: usize = 64;

/// Most axes of a shape tensor.
const RANK: usize = 8;

/// A number in a shape tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// The batch size, which is not known.
    Batch,
    Known(i64),
}

/// An integer tensor: its numbers, row-major, and its own shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeTensor {
    pub list: Vec<Dim>,
    dims: Vec<usize>,
}

impl ShapeTensor {
    fn new(list: Vec<Dim>, dims: Vec<usize>) -> Result<Self, String> {
        // With one dimension of 0 the others are unlimited by the number of elements, and so would be loops over them.
        if list.len() > MOST || dims.len() > RANK || dims.iter().any(|&d| d > MOST) {
            return Err(format!("expected at most {MOST} numbers in a shape tensor"));
        }
        Ok(ShapeTensor { list, dims })
    }

    fn of_list(list: Vec<Dim>) -> Result<Self, String> {
        let len = list.len();
        ShapeTensor::new(list, vec![len])
    }

    /// The numbers, if all of them are known.
    pub fn known(&self) -> Result<Vec<i64>, String> {
        let known = self.list.iter().map(|extent| match extent {
            Dim::Known(n) => Ok(*n),
            Dim::Batch => Err("expected numbers, found the batch size".to_string()),
        });
        known.collect()
    }
}

/// The shape tensor that the node reads at `position`, computed or constant.
pub(super) fn read<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    position: usize,
) -> Result<ShapeTensor, String> {
    match draft.value(call.node, position)? {
        Some(GraphValue::ShapeTensor(extents)) => Ok(extents.clone()),
        Some(GraphValue::Constant(handle)) => {
            let (values, scalar) = draft.constants.ints(*handle)?;
            let dims = if scalar { vec![] } else { vec![values.len()] };
            ShapeTensor::new(values.into_iter().map(Dim::Known).collect(), dims)
        }
        _ => Err(format!("expected a shape tensor as input {position}")),
    }
}

/// True if `call` computes on shape tensors: its operator can, and its first input is one or an integer constant.
pub(super) fn is_shape_arithmetic(draft: &NetworkDraft<'_>, call: &Call<'_>) -> bool {
    const COMPUTE: [&str; 16] = [
        "Add",
        "Cast",
        "CastLike",
        "Concat",
        "ConstantOfShape",
        "Div",
        "Equal",
        "Expand",
        "Gather",
        "Mul",
        "Reshape",
        "Slice",
        "Squeeze",
        "Sub",
        "Transpose",
        "Unsqueeze",
    ];
    if !COMPUTE.contains(&call.node.op_type.as_str()) {
        return false;
    }
    match call.node.input.first().and_then(|name| draft.values.get(name.as_str())) {
        Some(GraphValue::ShapeTensor(_)) => true,
        Some(GraphValue::Constant(handle)) => draft.constants.is_integer(*handle),
        _ => false,
    }
}

/// Translates Shape.
pub(super) fn shape<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let known = |d: &usize| Dim::Known(*d as i64);
    let behind = |dims: &[usize]| [Dim::Batch].into_iter().chain(dims.iter().map(known)).collect();
    let all: Vec<Dim> = match draft.value(call.node, 0)? {
        Some(GraphValue::Constant(handle)) => draft.constants.dims(*handle)?.iter().map(known).collect(),
        Some(GraphValue::ShapeTensor(extents)) => extents.dims.iter().map(known).collect(),
        Some(GraphValue::PartialLrn(response)) => behind(&normalisation::dims(response)),
        Some(GraphValue::Expression(expression)) => behind(&expression.dims),
        Some(GraphValue::Vector { len, .. }) => behind(&[*len, 1, 1]),
        Some(GraphValue::FlatChannelsLast { dims, .. }) => behind(&[dims.iter().product::<usize>()]),
        Some(GraphValue::ChannelsLast(inner)) => {
            let [channels, height, width] = layouts::dims_of(inner)?;
            behind(&[height, width, channels])
        }
        _ => behind(&draft.layer(call.node, 0)?.1),
    };
    let rank = all.len() as i64;
    let place = |n: i64| (if n < 0 { n.saturating_add(rank) } else { n }).clamp(0, rank) as usize;
    let (start, end) = (place(call.attributes.int("start", 0)?), place(call.attributes.int("end", rank)?));
    let list = all.get(start..end).unwrap_or_default().to_vec();
    draft.alias(call.node, GraphValue::ShapeTensor(ShapeTensor::of_list(list)?));
    Ok(())
}

/// Translates a node that computes on shape tensors.
pub(super) fn compute<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (node, a) = (call.node, &call.attributes);
    let x = read(draft, call, 0)?;
    let made = match node.op_type.as_str() {
        "Gather" => {
            if a.int("axis", 0)? != 0 || x.dims.len() != 1 {
                return Err("expected axis 0 of a list".into());
            }
            let indices = read(draft, call, 1)?;
            let picked = indices.known()?.into_iter().map(|n| x.list.get(index(n, x.list.len())?).copied());
            let list = picked.collect::<Option<_>>().ok_or("its indices are outside of the list")?;
            ShapeTensor::new(list, indices.dims)
        }
        "Unsqueeze" => {
            let axes = shapes::axes(draft, call)?.ok_or("expected axes")?;
            let mut dims = x.dims;
            let mut places: Vec<usize> =
                axes.iter().filter_map(|&n| index(n, dims.len() + axes.len())).collect();
            places.sort_unstable();
            for &place in &places {
                dims.insert(place.min(dims.len()), 1);
            }
            ShapeTensor::new(x.list, dims)
        }
        "Squeeze" => {
            let axes = shapes::axes(draft, call)?;
            let gone: Option<Vec<usize>> =
                axes.map(|axes| axes.iter().filter_map(|&n| index(n, x.dims.len())).collect());
            let stays =
                |(i, d): &(usize, usize)| *d != 1 || gone.as_ref().is_some_and(|gone| !gone.contains(i));
            let dims = x.dims.iter().copied().enumerate().filter(stays).map(|(_, d)| d).collect();
            ShapeTensor::new(x.list, dims)
        }
        "Concat" => {
            let mut list = Vec::new();
            for position in 0..node.input.len() {
                let part = read(draft, call, position)?;
                if a.int("axis", 0)? != 0 || part.dims.len() != 1 {
                    return Err("expected lists to join along axis 0".into());
                }
                list.extend(part.list);
                if list.len() > MOST {
                    break;
                }
            }
            ShapeTensor::of_list(list)
        }
        "Cast" | "CastLike" => {
            a.int("to", 0)?;
            a.int("saturate", 1)?;
            Ok(x)
        }
        "Slice" => slice(draft, call, x),
        "Reshape" => {
            let target = read(draft, call, 1)?.known()?;
            a.flag("allowzero", false)?;
            reshaped(x, &target)
        }
        "Transpose" => match (x.dims.as_slice(), a.ints("perm")?) {
            (&[rows, columns], None | Some([1, 0])) => {
                let list = (0..rows * columns).map(|i| x.list[i % rows * columns + i / rows]).collect();
                ShapeTensor::new(list, vec![columns, rows])
            }
            _ => Err("expected a matrix whose axes are swapped".into()),
        },
        "ConstantOfShape" => {
            let value = match a.tensor("value")? {
                Some(tensor) => draft.constants.integer(tensor)?,
                None => return Err("expected a value, a whole number".into()),
            };
            filled(Dim::Known(value), &x.known()?)
        }
        "Expand" => match (x.list.as_slice(), read(draft, call, 1)?.known()?.as_slice()) {
            (_, [] | [1]) => Ok(x),
            (&[one], target) => filled(one, target),
            _ => Err("expected one number to expand".into()),
        },
        "Add" | "Sub" | "Mul" | "Div" | "Equal" => {
            let y = read(draft, call, 1)?;
            let (&[a], &[b]) = (x.known()?.as_slice(), y.known()?.as_slice()) else {
                return Err("expected two numbers".into());
            };
            let made = match node.op_type.as_str() {
                "Add" => a.checked_add(b),
                "Sub" => a.checked_sub(b),
                "Mul" => a.checked_mul(b),
                // Rounded towards zero.
                "Div" => a.checked_div(b),
                _ => Some((a == b).into()),
            };
            let dims = if x.dims.len() < y.dims.len() { y.dims } else { x.dims };
            ShapeTensor::new(
                vec![Dim::Known(made.ok_or("expected smaller numbers, and no division by zero")?)],
                dims,
            )
        }
        _ => Err("is not supported on shape tensors".into()),
    };
    draft.alias(node, GraphValue::ShapeTensor(made?));
    Ok(())
}

/// The index `n` into `len` elements, counted from the end if it is negative.
fn index(n: i64, len: usize) -> Option<usize> {
    let n = if n < 0 { n.checked_add(len as i64)? } else { n };
    usize::try_from(n).ok().filter(|&n| n < len)
}

/// A shape tensor of shape `dims` filled with `one`.
fn filled(one: Dim, dims: &[i64]) -> Result<ShapeTensor, String> {
    let dims: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let len = dims.as_ref().and_then(|dims| dims.iter().try_fold(1usize, |len, &d| len.checked_mul(d)));
    match (dims, len) {
        (Some(dims), Some(len)) if len <= MOST => ShapeTensor::new(repeat_n(one, len).collect(), dims),
        _ => Err(format!("expected at most {MOST} numbers in a shape tensor")),
    }
}

/// The same numbers with the shape `target`, of which one dimension may be -1.
fn reshaped(x: ShapeTensor, target: &[i64]) -> Result<ShapeTensor, String> {
    let wrong = || format!("{} numbers do not fit {target:?}", x.list.len());
    let known = target.iter().filter(|&&d| d != -1).map(|&d| usize::try_from(d).ok());
    let known = known.collect::<Option<Vec<usize>>>().ok_or_else(wrong)?;
    let known = known.iter().try_fold(1usize, |size, &d| size.checked_mul(d)).ok_or_else(wrong)?;
    let open = x.list.len().checked_div(known).unwrap_or(0);
    let dims: Vec<usize> = target.iter().map(|&d| usize::try_from(d).unwrap_or(open)).collect();
    let size = dims.iter().try_fold(1usize, |size, &d| size.checked_mul(d));
    if size != Some(x.list.len()) {
        return Err(wrong());
    }
    ShapeTensor::new(x.list, dims)
}

/// Translates Slice along axis 0.
fn slice<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>, x: ShapeTensor) -> Result<ShapeTensor, String> {
    let mut numbers = [0, i64::MAX, 0, 1];
    for (position, number) in numbers.iter_mut().enumerate() {
        if call.node.input.get(position + 1).is_some_and(|name| !name.is_empty()) {
            match read(draft, call, position + 1)?.list.as_slice() {
                [Dim::Known(n)] => *number = *n,
                _ => return Err("expected one start, end, axis and step".into()),
            }
        }
    }
    let [start, end, axis, step] = numbers;
    let Some((&len, rest)) = x.dims.split_first().filter(|_| axis == 0 && (step == 1 || step == -1)) else {
        return Err("expected axis 0 and a step of 1 or -1".into());
    };
    let rows = len as i64;
    let from_end = |n: i64| if n < 0 { n.saturating_add(rows) } else { n };
    let (start, end) = (from_end(start), from_end(end));
    let places: Vec<i64> = match step {
        1 => (start.clamp(0, rows)..end.clamp(0, rows)).collect(),
        _ => (end.clamp(-1, rows - 1) + 1..start.clamp(-1, rows - 1) + 1).rev().collect(),
    };
    let row: usize = rest.iter().product();
    let list = places.iter().flat_map(|&place| x.list[place as usize * row..][..row].to_vec()).collect();
    ShapeTensor::new(list, [&[places.len()], rest].concat())
}

/// Translates an If whose condition is constant by translating the nodes of the selected branch in its place.
pub(super) fn branch<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (yes, no) = (call.attributes.graph("then_branch")?, call.attributes.graph("else_branch")?);
    let condition = match read(draft, call, 0)?.list.as_slice() {
        [Dim::Known(n)] => *n != 0,
        _ => return Err("expected a constant condition".into()),
    };
    let graph = if condition { yes } else { no }.ok_or("expected two branches")?;
    if !graph.initializer.is_empty() {
        return Err("expected a branch without initializers".into());
    }
    for node in &graph.node {
        if let Some(output) = node.output.iter().find(|output| draft.values.contains_key(output.as_str())) {
            return Err(format!("the value {} is produced twice", short(output)));
        }
        super::operators::translate_branch_node(draft, node)?;
    }
    let made = graph.output.first().and_then(|output| draft.values.get(output.name.as_str())).cloned();
    draft.alias(call.node, made.ok_or("expected a branch with an output")?);
    Ok(())
}
