//! Normalisations: BatchNormalization, LRN, and local response normalisation as the elementary nodes of
//! x / (k + alpha mean(x^2))^beta, which PyTorch and our own export write (see `export::normalisation`).

use super::attributes::sizes;
use super::draft::{Call, GraphValue, NetworkDraft};
use super::{padding, shapes};
use crate::model::{LayerOp, layers};
use crate::tensor::Tensor;

/// Translates BatchNormalization.
pub fn batch_normalization<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (node, a) = (call.node, &call.attributes);
    let (from, dims) = draft.layer(node, 0)?;
    let eps = a.float("epsilon", 1e-5)?;
    // 1 - 0.9 gives the intended 0.1 only if 0.9 is read as a decimal, not as the nearest f32.
    let kept = a.float("momentum", 0.9)?;
    let kept = kept.to_string().parse::<f64>().unwrap_or(f64::from(kept));
    let momentum = (1.0 - kept) as f32;
    if !a.flag("spatial", true)? {
        return Err("spatial = 0 (statistics per position)".into());
    }
    if a.flag("training_mode", false)? {
        let what = "BatchNormalization uses batch statistics (training_mode = 1); the imported network evaluates with running statistics";
        draft.note(what);
    }
    let mut tensors = Vec::new();
    for (position, kind) in [(1, "weight"), (2, "bias"), (3, "running_mean"), (4, "running_var")] {
        let handle = draft.weight(node, position)?;
        tensors.push((kind, draft.constants.vector(handle, dims[0])?));
    }
    let name = draft.weight(node, 1)?.name;
    let layer = draft.push(
        node,
        LayerOp::BatchNorm2d(layers::BatchNorm2d { eps, momentum }),
        vec![from],
        &[&dims],
    )?;
    draft.layers[layer].weight = Some(name);
    draft.layers[layer].tensors = tensors;
    Ok(())
}

/// Translates LayerNormalization of a vector.
pub fn layer_normalization<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (from, len) = draft.flat(call.node, 0)?;
    over_channels(draft, call, from, &[len])
}

/// Translates LayerNormalization of a layer's output of shape `dims`, in whose layout in the file the channels are last.
pub(super) fn over_channels<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    from: Option<usize>,
    dims: &[usize],
) -> Result<(), String> {
    let (node, a) = (call.node, &call.attributes);
    let (axis, eps) = (a.int("axis", -1)?, a.float("epsilon", 1e-5)?);
    // Its precision inside; sums are more precise here than in f32.
    a.int("stash_type", 1)?;
    if axis != -1 && axis != dims.len() as i64 {
        return Err(format!("expected the last axis (channels), found {axis}"));
    }
    let channels = dims[0];
    let handle = draft.weight(node, 1)?;
    let weight = draft.constants.vector(handle, channels)?;
    let bias = match draft.constant(node, 2)? {
        Some(handle) => draft.constants.vector(handle, channels)?,
        None => Tensor::full([channels], 0.0),
    };
    let layer = draft.push(node, layers::LayerNorm { eps }.into(), vec![from], &[dims])?;
    draft.layers[layer].weight = Some(handle.name);
    draft.layers[layer].tensors = vec![("weight", weight), ("bias", bias)];
    Ok(())
}

/// Translates LRN.
pub fn lrn<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let a = &call.attributes;
    let [size] = sizes("size", &[a.int("size", 0)?], 1)?;
    if size % 2 == 0 {
        return Err(format!(
            "size {size}: expected an odd size, since even windows are aligned differently here"
        ));
    }
    let (alpha, beta, k) = (a.float("alpha", 1e-4)?, a.float("beta", 0.75)?, a.float("bias", 1.0)?);
    draft.push_unary(
        call.node,
        LayerOp::LocalResponseNorm(layers::LocalResponseNorm { size, alpha, beta, k, within: false }),
    )
}

/// An intermediate value in the computation of x / (k + alpha mean(x^2))^beta.
#[derive(Clone, Debug)]
pub struct PartialLrn {
    /// The layer that is x (`None`: the network's input), and its channels, height and width.
    from: Option<usize>,
    dims: [usize; 3],
    stage: LrnStage,
    /// Channels of zeros added before and after.
    padding: [usize; 2],
    size: usize,
    within: bool,
    alpha: f32,
    k: f32,
    beta: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LrnStage {
    /// x^2 `[N, C, H, W]`.
    Squares,
    /// x^2 `[N, 1, C, H, W]`; the channels may be padded.
    Raised,
    /// The means `[N, 1, C, H, W]`.
    RaisedMeans,
    /// The means `[N, C, H, W]`.
    Means,
    /// alpha times the means.
    Scaled,
    /// k + alpha means.
    Shifted,
    /// (k + alpha means)^beta.
    Power,
}

/// The layer whose squares `response` is so far; `None` if it is more.
pub(super) fn squared(response: &PartialLrn) -> Option<Option<usize>> {
    (response.stage == LrnStage::Squares).then_some(response.from)
}

/// The shape of a partial result, without the batch.
pub(super) fn dims(response: &PartialLrn) -> Vec<usize> {
    match response.stage {
        LrnStage::Raised | LrnStage::RaisedMeans => {
            let [channels, height, width] = response.dims;
            // There is one mean per channel before the padding.
            let padding: usize =
                if response.stage == LrnStage::Raised { response.padding.iter().sum() } else { 0 };
            vec![1, channels + padding, height, width]
        }
        _ => response.dims.to_vec(),
    }
}

/// True if `call` begins or continues a local response normalisation in elementary nodes.
pub(super) fn is_lrn_step(draft: &NetworkDraft<'_>, call: &Call<'_>) -> bool {
    let node = call.node;
    let value = |name: &String| draft.values.get(name.as_str());
    let begins = match (node.op_type.as_str(), node.input.as_slice()) {
        ("Mul", [a, b]) => a == b && matches!(value(a), Some(GraphValue::Layer { .. })),
        ("Pow", [a, _]) => matches!(value(a), Some(GraphValue::Layer { .. })),
        _ => false,
    };
    begins
        || node.op_type != "Shape"
            && node.input.iter().any(|name| matches!(value(name), Some(GraphValue::PartialLrn(_))))
}

/// Translates one node of the computation.
pub(super) fn step<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    let mut found = None;
    for position in 0..node.input.len() {
        if let Some(GraphValue::PartialLrn(response)) = draft.value(node, position)? {
            found = Some((position, response.clone()));
        }
    }
    let Some((position, mut r)) = found else { return squares(draft, call) };
    if matches!(node.op_type.as_str(), "Mul" | "Add") && node.input.len() != 2 {
        return Err(format!("expected two inputs, found {}", node.input.len()));
    }
    r.stage = match (node.op_type.as_str(), r.stage, position) {
        ("Identity", stage, 0) => stage,
        ("Unsqueeze", LrnStage::Squares, 0) if is_axis_1(draft, call)? => LrnStage::Raised,
        ("Reshape", LrnStage::Squares, 0)
            if shapes::target(draft, call, &r.dims)? == [&[1], &r.dims[..]].concat() =>
        {
            LrnStage::Raised
        }
        ("Pad", LrnStage::Raised, 0) => {
            pad(draft, call, &mut r)?;
            LrnStage::Raised
        }
        ("AveragePool", LrnStage::Squares | LrnStage::Raised, 0) => average(call, &mut r)?,
        ("Squeeze", LrnStage::RaisedMeans, 0) if is_axis_1(draft, call)? => LrnStage::Means,
        ("Reshape", LrnStage::RaisedMeans | LrnStage::Means, 0)
            if shapes::target(draft, call, &r.dims)? == r.dims =>
        {
            LrnStage::Means
        }
        ("Mul", LrnStage::Means, _) => {
            r.alpha = number(draft, call, 1 - position)?;
            LrnStage::Scaled
        }
        ("Add", LrnStage::Scaled, _) => {
            r.k = number(draft, call, 1 - position)?;
            LrnStage::Shifted
        }
        ("Pow", LrnStage::Shifted, 0) => {
            r.beta = number(draft, call, 1)?;
            LrnStage::Power
        }
        ("Div", LrnStage::Power, 1) if draft.layer(node, 0)?.0 == r.from => {
            let PartialLrn { size, alpha, beta, k, within, .. } = r;
            let op = LayerOp::LocalResponseNorm(layers::LocalResponseNorm { size, alpha, beta, k, within });
            return draft.push(node, op, vec![r.from], &[&r.dims]).map(|_| ());
        }
        _ => {
            return Err(
                "expected the next step of a local response normalisation, x / (k + alpha mean(x^2))^beta"
                    .into(),
            );
        }
    };
    draft.alias(node, GraphValue::PartialLrn(r));
    Ok(())
}

/// Begins a computation with x * x or x^2.
fn squares<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    if call.node.op_type == "Pow" && number(draft, call, 1)? != 2.0 {
        return Err("expected a power of 2".into());
    }
    let (from, dims) = draft.feature_map(call.node, 0)?;
    let (stage, padding, size, within) = (LrnStage::Squares, [0; 2], 0, false);
    let response = PartialLrn { from, dims, stage, padding, size, within, alpha: 0.0, k: 0.0, beta: 0.0 };
    draft.alias(call.node, GraphValue::PartialLrn(response));
    Ok(())
}

fn is_axis_1<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<bool, String> {
    Ok(shapes::axes(draft, call)?.is_some_and(|axes| axes == [1] || axes == [-4]))
}

/// The finite constant that is read at `position`.
fn number<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>, position: usize) -> Result<f32, String> {
    let handle = draft.weight(call.node, position)?;
    let number = draft.constants.scalar(handle)?;
    if number.is_finite() { Ok(number) } else { Err(format!("expected a finite number, found {number}")) }
}

/// Zeros before and after the channels.
fn pad<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>, r: &mut PartialLrn) -> Result<(), String> {
    let (axes, value) = padding::read(draft, call, 5)?;
    match axes[..] {
        [[0, 0], [0, 0], [before, after], [0, 0], [0, 0]] if value == 0.0 => {
            r.padding = [r.padding[0] + before, r.padding[1] + after];
            Ok(())
        }
        _ if value != 0.0 => Err(format!("expected a padding of zeros, found {value}")),
        _ => Err(format!("expected a padding of channels alone, found {axes:?}")),
    }
}

/// Means over windows of channels, or of positions within each map.
fn average(call: &Call<'_>, r: &mut PartialLrn) -> Result<LrnStage, String> {
    let a = &call.attributes;
    let counts_padding = a.flag("count_include_pad", false)?;
    if a.flag("ceil_mode", false)? || !["NOTSET", "VALID"].contains(&a.text("auto_pad", "NOTSET")?) {
        return Err("expected windows without ceil_mode and auto_pad".into());
    }
    r.within = r.stage == LrnStage::Squares;
    let kernel = a.ints("kernel_shape")?.ok_or("attribute kernel_shape is missing")?;
    let (reach, is_plain) = if r.within {
        let [height, width]: [usize; 2] = sizes("kernel_shape", kernel, 1)?;
        let pads: [usize; 4] = a.sizes("pads", 0, 0)?;
        let [before, _, after, _] = pads;
        r.size = height;
        let is_plain = a.sizes::<2>("strides", 1, 1)? == [1; 2] && a.sizes::<2>("dilations", 1, 1)? == [1; 2];
        ([before, after], is_plain && width == height && pads == [before, before, after, after])
    } else {
        let [depth, height, width]: [usize; 3] = sizes("kernel_shape", kernel, 1)?;
        let pads: [usize; 6] = a.sizes("pads", 0, 0)?;
        let [before, _, _, after, _, _] = pads;
        r.size = depth;
        let is_plain = a.sizes::<3>("strides", 1, 1)? == [1; 3] && a.sizes::<3>("dilations", 1, 1)? == [1; 3];
        let reach = [before + r.padding[0], after + r.padding[1]];
        (reach, is_plain && [height, width] == [1; 2] && pads == [before, 0, 0, after, 0, 0])
    };
    let pads = a.ints("pads")?.unwrap_or_default();
    if !is_plain || (!counts_padding && pads.iter().any(|&pad| pad != 0)) {
        return Err(
            "expected windows of channels, or square ones within each map, in which padding counts".into()
        );
    }
    let expected = [r.size / 2, (r.size - 1) / 2];
    if reach != expected {
        let size = r.size;
        return Err(format!(
            "expected windows of {size} with {expected:?} before and after, found {reach:?}"
        ));
    }
    Ok(if r.within { LrnStage::Means } else { LrnStage::RaisedMeans })
}
