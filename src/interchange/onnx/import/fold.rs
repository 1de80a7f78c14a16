//! Arithmetic of nodes on constants, which exporters leave in a file: the result is a constant, too.

use super::attributes::ints;
use super::constants::Handle;
use super::draft::{Call, GraphValue, NetworkDraft, list};
use super::shape_tensor;
use crate::tensor::Tensor;

/// Operators that are computed if all of their inputs are constants.
const COMPUTED: [&str; 12] =
    ["Abs", "Add", "Concat", "Div", "Exp", "Mul", "Neg", "Pow", "Reciprocal", "Sqrt", "Sub", "Sum"];

/// True if `call` is arithmetic on floating-point constants alone.
pub(super) fn is_constant(draft: &NetworkDraft<'_>, call: &Call<'_>) -> bool {
    let is_float = |name: &String| {
        let value = draft.values.get(name.as_str());
        matches!(value, Some(GraphValue::Constant(handle)) if !draft.constants.is_integer(*handle))
    };
    COMPUTED.contains(&call.node.op_type.as_str())
        && !call.node.input.is_empty()
        && call.node.input.iter().all(is_float)
}

/// Translates arithmetic on constants.
pub(super) fn compute<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    let Some(output) = node.output.first() else { return Ok(()) };
    let mut handles = Vec::new();
    for position in 0..node.input.len() {
        handles.push(draft.weight(node, position)?);
    }
    let handle = match (node.op_type.as_str(), handles.as_slice()) {
        ("Concat", parts) => concat(draft, call, output, parts)?,
        (op @ ("Abs" | "Exp" | "Neg" | "Reciprocal" | "Sqrt"), &[x]) => {
            let f: fn(f32) -> f32 = match op {
                "Abs" => f32::abs,
                "Exp" => f32::exp,
                "Neg" => |x| -x,
                "Reciprocal" => f32::recip,
                _ => f32::sqrt,
            };
            let dims = draft.constants.dims(x)?;
            let x = draft.constants.tensor(x)?.into_data();
            draft.constants.add_computed(output, &dims, || x.into_iter().map(f).collect())?
        }
        (op, &[first, ref others @ ..]) if op == "Sum" || others.len() == 1 => {
            let f: fn(f32, f32) -> f32 = match op {
                "Add" | "Sum" => |a, b| a + b,
                "Sub" => |a, b| a - b,
                "Mul" => |a, b| a * b,
                "Div" => |a, b| a / b,
                "Pow" => f32::powf,
                _ => return Err("expected one input".into()),
            };
            let mut left = first;
            for &right in others {
                left = broadcast(draft, output, left, right, f)?;
            }
            left
        }
        (_, handles) => return Err(format!("expected other inputs, found {}", handles.len())),
    };
    draft.alias(node, GraphValue::Constant(handle));
    Ok(())
}

/// f(a, b) for each element, with the shapes of both broadcast as NumPy does.
fn broadcast<'a>(
    draft: &mut NetworkDraft<'a>,
    name: &'a str,
    a: Handle<'a>,
    b: Handle<'a>,
    f: fn(f32, f32) -> f32,
) -> Result<Handle<'a>, String> {
    let (a_dims, b_dims) = (draft.constants.dims(a)?, draft.constants.dims(b)?);
    let rank = a_dims.len().max(b_dims.len());
    let padded = |dims: &[usize]| [&vec![1; rank - dims.len()], dims].concat();
    let (wide_a, wide_b) = (padded(&a_dims), padded(&b_dims));
    let dims = wide_a.iter().zip(&wide_b).map(|(&a, &b)| match (a, b) {
        (a, b) if a == b || b == 1 => Some(a),
        (1, b) => Some(b),
        _ => None,
    });
    let dims = dims.collect::<Option<Vec<usize>>>();
    let dims = dims.ok_or_else(|| format!("[{}] and [{}] do not fit", list(&a_dims), list(&b_dims)))?;
    let (a, b) = (draft.constants.tensor(a)?, draft.constants.tensor(b)?);
    let strides = [strides(&wide_a), strides(&wide_b)];
    draft.constants.add_computed(name, &dims, || {
        places(&dims, strides).map(|[i, j]| f(a.data()[i], b.data()[j])).collect()
    })
}

/// The stride of each axis of a row-major tensor, 0 where the extent is 1.
fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; dims.len()];
    let mut stride = 1usize;
    for axis in (0..dims.len()).rev() {
        strides[axis] = if dims[axis] == 1 { 0 } else { stride };
        // Of extents whose product is too large, one is 0, and nothing is read.
        stride = stride.wrapping_mul(dims[axis]);
    }
    strides
}

/// The places in N tensors of the given strides of each element of `dims`, in row-major order.
fn places<const N: usize>(dims: &[usize], strides: [Vec<usize>; N]) -> impl Iterator<Item = [usize; N]> {
    let len: usize = dims.iter().product();
    (0..len).map(move |i| {
        let (mut rest, mut at) = (i, [0; N]);
        for axis in (0..dims.len()).rev() {
            let index = rest % dims[axis];
            rest /= dims[axis];
            for (at, strides) in at.iter_mut().zip(&strides) {
                *at += index * strides[axis];
            }
        }
        at
    })
}

/// Joins constants along an axis.
fn concat<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    output: &'a str,
    parts: &[Handle<'a>],
) -> Result<Handle<'a>, String> {
    let shapes: Vec<Vec<usize>> =
        parts.iter().map(|&part| draft.constants.dims(part)).collect::<Result<_, _>>()?;
    let mut dims = shapes.first().cloned().unwrap_or_default();
    let axis = call.attributes.int("axis", 0)?;
    let axis = if axis < 0 { axis.saturating_add(dims.len() as i64) } else { axis };
    let axis = usize::try_from(axis)
        .ok()
        .filter(|&axis| axis < dims.len())
        .ok_or("expected an axis of its inputs")?;
    for shape in &shapes {
        let mut same = shape.clone();
        if shape.len() == dims.len() {
            same[axis] = dims[axis];
        }
        if same != dims {
            return Err(format!("[{}] and [{}] do not fit", list(&dims), list(shape)));
        }
    }
    let joined = shapes.iter().try_fold(0usize, |sum, shape| sum.checked_add(shape[axis]));
    dims[axis] = joined.ok_or("is too large")?;
    let tensors: Vec<Tensor> =
        parts.iter().map(|&part| draft.constants.tensor(part)).collect::<Result<_, _>>()?;
    let rows: usize = dims[..axis].iter().product();
    draft.constants.add_computed(output, &dims, || {
        let row = |tensor: &Tensor, row: usize| {
            let len = tensor.data().len() / rows.max(1);
            tensor.data()[row * len..][..len].to_vec()
        };
        (0..rows).flat_map(|i| tensors.iter().flat_map(move |tensor| row(tensor, i))).collect()
    })
}

/// Translates the transpose of a constant.
pub(super) fn transpose<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    handle: Handle<'a>,
) -> Result<(), String> {
    let dims = draft.constants.dims(handle)?;
    let rank = dims.len();
    let order: Vec<usize> = match call.attributes.ints("perm")? {
        None => (0..rank).rev().collect(),
        Some(perm) => {
            let places: Option<Vec<usize>> = perm.iter().map(|&axis| usize::try_from(axis).ok()).collect();
            let mut sorted = places.clone().unwrap_or_default();
            sorted.sort_unstable();
            let is_order = sorted.iter().copied().eq(0..rank);
            places.filter(|_| is_order).ok_or_else(|| format!("perm {} of [{}]", ints(perm), list(&dims)))?
        }
    };
    let mut result = if order.iter().copied().eq(0..rank) {
        handle
    } else if rank == 2 {
        handle.with(!handle.transposed)
    } else {
        let name = call.node.output.first().map_or(handle.name, String::as_str);
        let made: Vec<usize> = order.iter().map(|&axis| dims[axis]).collect();
        let all = strides(&dims);
        let moved: Vec<usize> = order.iter().map(|&axis| all[axis]).collect();
        let x = draft.constants.tensor(handle)?;
        draft
            .constants
            .add_computed(name, &made, || places(&made, [moved]).map(|[i]| x.data()[i]).collect())?
    };
    // A transposed weight keeps its name, by which layers are called.
    result.name = handle.name;
    draft.alias(call.node, GraphValue::Constant(result));
    Ok(())
}

/// Translates the expansion of a constant: of one number to any shape, or to the shape that it has.
pub(super) fn expand<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    handle: Handle<'a>,
) -> Result<(), String> {
    let dims = draft.constants.dims(handle)?;
    let target = shape_tensor::read(draft, call, 1)?.known()?;
    let target: Option<Vec<usize>> = target.iter().map(|&d| usize::try_from(d).ok()).collect();
    let target = target.ok_or("expected extents of 0 or more")?;
    let result = if target == dims {
        handle
    } else if dims.iter().all(|&d| d == 1) && target.len() >= dims.len() {
        let value = draft.constants.scalar(handle)?;
        draft.constants.add_filled(handle.name, target, value)?
    } else {
        return Err(format!("[{}] to [{}]: expected one number to expand", list(&dims), list(&target)));
    };
    draft.alias(call.node, GraphValue::Constant(result));
    Ok(())
}

/// True if a ConstantOfShape repeats a floating-point number.
pub(super) fn fills_with_floats<'a>(draft: &NetworkDraft<'a>, call: &Call<'a>) -> Result<bool, String> {
    Ok(call.attributes.tensor("value")?.is_none_or(|value| !draft.constants.holds_integers(value)))
}

/// Translates ConstantOfShape of a floating-point number, 0 by default.
pub(super) fn constant_of_shape<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let Some(output) = call.node.output.first() else { return Ok(()) };
    let value = match call.attributes.tensor("value")? {
        Some(value) => draft.constants.number(value)?,
        None => 0.0,
    };
    let dims = shape_tensor::read(draft, call, 0)?.known()?;
    let dims: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let dims = dims.ok_or("expected extents of 0 or more")?;
    let handle = draft.constants.add_filled(output, dims, value)?;
    draft.alias(call.node, GraphValue::Constant(handle));
    Ok(())
}
