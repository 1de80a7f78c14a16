//! The model file embedded in the metadata of an exported ONNX file. It holds more than a graph can: dropout, the recipe,
//! and names of layers without parameters. If it describes the same network as the graph, the import uses it; otherwise
//! the import uses the graph.

use super::export::uniform_windows;
use super::import::Imported;
use crate::model::{LayerOp, Preprocess, Spec, layers};
use std::collections::HashMap;

/// Replaces the network of `imported` with the embedded model file if both are the same network, and adds a note if they
/// are not.
pub(super) fn prefer_embedded(mut imported: Imported) -> Imported {
    let Some(text) = imported.metadata.get("model") else { return imported };
    match same_network(text, &imported.spec) {
        Some(spec) => imported.spec = spec,
        None => imported.notes.push(
            "the model file in the metadata describes another network than the graph; the graph is imported, without a recipe".into(),
        ),
    }
    imported
}

/// Parses the model file `text`, with the number of outputs and the preprocessing of `graph`, if it computes the same
/// function as `graph`.
fn same_network(text: &str, graph: &Spec) -> Option<Spec> {
    let read = Spec::parse(text, &graph.origin).ok()?;
    let mut embedded = read.clone();
    let outputs = |spec: &Spec| spec.layer_shapes().ok()?.last().cloned();
    let wanted = outputs(graph)?;
    if outputs(&embedded)? != wanted {
        embedded.replace_outputs(*wanted.first()?).ok()?;
    }
    let (from_graph, plain) = (&graph.preprocess, Preprocess::plain(graph.input[0]));
    // Preprocessing that graph and metadata leave at its default comes from the model file.
    if from_graph.scale != plain.scale || from_graph.mean != plain.mean || from_graph.std != plain.std {
        adjust(&mut embedded.preprocess, from_graph);
    }
    let is_same = embedded.input == graph.input && steps(&embedded)? == steps(graph)?;
    match is_same {
        false => None,
        true if embedded == read => Some(read),
        // Outputs or preprocessing changed, so the text is written again.
        true => Spec::parse(&embedded.to_toml(), &graph.origin).ok(),
    }
}

/// Copies scale, mean and standard deviation of `from_graph` to `embedded`, unless both map pixels to the same values up
/// to rounding.
fn adjust(embedded: &mut Preprocess, from_graph: &Preprocess) {
    let ends = |p: &Preprocess| -> Vec<f32> {
        let of = |(mean, std): (&f32, &f32)| [0.0, 255.0].map(|pixel| (pixel * p.scale - mean) / std);
        p.mean.iter().zip(&p.std).flat_map(of).collect()
    };
    let (ours, theirs) = (ends(embedded), ends(from_graph));
    let largest = theirs.iter().fold(0f32, |most, value| most.max(value.abs()));
    let is_close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * largest;
    if ours.len() != theirs.len() || !ours.iter().zip(&theirs).all(is_close) {
        *embedded = Preprocess {
            resize: embedded.resize,
            crop: embedded.crop,
            principal: embedded.principal,
            ..from_graph.clone()
        };
    }
}

/// The computation of a network in evaluation: its layers without those that do nothing, referring to each other by
/// position.
#[derive(Debug, PartialEq)]
struct EvaluationSteps<'a> {
    steps: Vec<EvaluationStep<'a>>,
    /// The step whose value is the output; `None` is the network's input.
    last: Option<usize>,
}

#[derive(Debug, PartialEq)]
struct EvaluationStep<'a> {
    kind: StepKind,
    /// The layer's name if it has parameters, whose names contain it.
    name: Option<&'a str>,
    /// Positions of the steps it reads; `None` is the network's input.
    inputs: Vec<Option<usize>>,
    /// Shape of its value, without the batch.
    shape: Vec<usize>,
}

#[derive(Debug, PartialEq)]
enum StepKind {
    Op(LayerOp),
    /// A pool, by its windows: different attributes can describe the same ones.
    Pool {
        is_average: bool,
        /// Whether there is padding that does not count in the average.
        leaves_out_padding: bool,
        windows: [PoolWindows; 2],
    },
}

/// The windows of a pool along one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
struct PoolWindows {
    length: usize,
    stride: usize,
    /// Padding before the input, and behind it as far as windows reach into it and it counts.
    before: usize,
    after: usize,
}

fn steps(spec: &Spec) -> Option<EvaluationSteps<'_>> {
    let shapes = spec.layer_shapes().ok()?;
    let mut extents: HashMap<&str, Vec<usize>> = HashMap::from([("input", spec.input.to_vec())]);
    let mut places: HashMap<&str, Option<usize>> = HashMap::from([("input", None)]);
    let mut found = Vec::new();
    for (layer, shape) in spec.layers.iter().zip(shapes) {
        let inputs: Vec<Option<usize>> =
            layer.inputs.iter().map(|name| places.get(name.as_str()).copied()).collect::<Option<_>>()?;
        let x = extents.get(layer.inputs.first()?.as_str())?;
        let place = match step_kind(&layer.op, x, &shape) {
            None => *inputs.first()?,
            Some(kind) => {
                let name = layer.op.has_parameters().then_some(layer.name.as_str());
                found.push(EvaluationStep { kind, name, inputs, shape: shape.clone() });
                Some(found.len() - 1)
            }
        };
        places.insert(&layer.name, place);
        extents.insert(&layer.name, shape);
    }
    let last = *places.get(spec.layers.last()?.name.as_str())?;
    Some(EvaluationSteps { steps: found, last })
}

/// The step of a layer with input shape `x` and output shape `y` in evaluation; `None` if it does nothing.
fn step_kind(op: &LayerOp, x: &[usize], y: &[usize]) -> Option<StepKind> {
    let axis = |axis: usize, kernel: [usize; 2], stride: [usize; 2], padding: [usize; 4]| {
        let (length, before) = (kernel[axis], padding[axis]);
        // The stride of a single window has no effect.
        let stride = if y[axis + 1] == 1 { 1 } else { stride[axis] };
        let end = (y[axis + 1] - 1) * stride + length;
        let reach = end.saturating_sub(before + x[axis + 1]);
        PoolWindows { length, stride, before, after: reach.min(padding[axis + 2]) }
    };
    if op.is_dropout() {
        return None;
    }
    let kind = match *op {
        // Padding never is the maximum, so its size behind the input has no effect.
        LayerOp::MaxPool2d(layers::MaxPool2d { kernel, stride, padding: [top, left, ..], .. }) => {
            StepKind::Pool {
                is_average: false,
                leaves_out_padding: false,
                windows: [0, 1].map(|at| axis(at, kernel, stride, [top, left, 0, 0])),
            }
        }
        LayerOp::GlobalMaxPool2d(_) => {
            let whole = |at: usize| PoolWindows { length: x[at], stride: 1, before: 0, after: 0 };
            StepKind::Pool { is_average: false, leaves_out_padding: false, windows: [1, 2].map(whole) }
        }
        LayerOp::AvgPool2d(layers::AvgPool2d { kernel, stride, padding, count_include_pad, .. }) => {
            // Padding that does not count is like what lies beyond it.
            let counted = |[top, left, bottom, right]: [usize; 4]| match count_include_pad {
                true => [top, left, bottom, right],
                false => [top, left, 0, 0],
            };
            let windows = [0, 1].map(|at| axis(at, kernel, stride, counted(padding)));
            let leaves_out_padding = !count_include_pad && windows.iter().any(|window| window.before > 0);
            StepKind::Pool { is_average: true, leaves_out_padding, windows }
        }
        LayerOp::AdaptiveAvgPool2d(_) => match [1, 2].map(|at| uniform_windows(x[at], y[at])) {
            [Some(rows), Some(columns)] => StepKind::Pool {
                is_average: true,
                leaves_out_padding: false,
                windows: [rows, columns].map(|[length, stride]| PoolWindows {
                    length,
                    stride,
                    before: 0,
                    after: 0,
                }),
            },
            _ => StepKind::Op(op.clone()),
        },
        // ONNX stores 1 - momentum, so this is the value that returns, rounded.
        LayerOp::BatchNorm2d(layers::BatchNorm2d { eps, momentum }) => {
            StepKind::Op(LayerOp::BatchNorm2d(layers::BatchNorm2d { eps, momentum: 1.0 - (1.0 - momentum) }))
        }
        _ => StepKind::Op(op.clone()),
    };
    let same = PoolWindows { length: 1, stride: 1, before: 0, after: 0 };
    (kind != StepKind::Pool { is_average: true, leaves_out_padding: false, windows: [same; 2] })
        .then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::super::{Export, ImportOptions, decode, encode};
    use super::*;
    use crate::model::{BuildOptions, Model};
    use crate::tensor::Tensor;
    use std::collections::BTreeMap;
    use std::path::Path;

    /// Imports a file with the graph of `graph` and `model` as its embedded model file.
    fn imported(graph: &Spec, model: &str) -> Imported {
        let built = Model::build(graph, &BuildOptions { training: false, ..BuildOptions::new(1) }).unwrap();
        let all = built.parameters.iter().chain(&built.state);
        let tensors: Vec<_> = all.map(|p| (p.name.clone(), Tensor::full(p.shape.clone(), 0.5))).collect();
        let metadata = BTreeMap::from([("model".to_string(), model.to_string())]);
        let export = Export { spec: graph, tensors: &tensors, metadata: &metadata, with_preprocess: true };
        let imported =
            decode(encode(&export).unwrap(), Path::new("x.onnx"), &ImportOptions::default()).unwrap();
        let spec = &imported.spec;
        assert_eq!(*spec, Spec::parse(&spec.source, &spec.origin).unwrap(), "a complete model file");
        imported
    }

    fn parse(text: &str) -> Spec {
        Spec::parse(text, "x.onnx").unwrap()
    }

    #[track_caller]
    fn assert_adopted(model: &str) {
        let imported = imported(&parse(model), model);
        assert_eq!(imported.spec, parse(model));
        assert_eq!(imported.spec.source, model);
        assert!(!imported.notes.iter().any(|note| note.contains("another network")), "{:?}", imported.notes);
    }

    #[test]
    fn exported_networks_come_back_with_dropout_recipe_and_names() {
        for name in ["alexnet-mini", "alexnet-64", "lenet5", "mlp-784-15-10", "neuron", "squeezenet1_1"] {
            assert_adopted(&Spec::load(name).unwrap().source);
        }
    }

    const NET: &str = "name = \"n\"\ninput = [4, 9, 11]\n[preprocess]\nmean = [0.1, 0.2, 0.3, 0.4]\n[recipe]\nlr = 0.5
        [[layer]]\nname = \"drop\"\nop = \"dropout\"\n[[layer]]\nname = \"c\"\nop = \"conv2d\"\nout_channels = 4\nkernel = 3\npadding = 1
        [[layer]]\nname = \"b\"\nop = \"batch_norm2d\"\nmomentum = 0.3\n[[layer]]\nname = \"r\"\nop = \"relu\"
        [[layer]]\nname = \"s\"\nop = \"add\"\ninputs = [\"r\", \"drop\"]
        [[layer]]\nname = \"p\"\nop = \"max_pool2d\"\nkernel = 3\nstride = 2\nceil = true
        [[layer]]\nname = \"a\"\nop = \"avg_pool2d\"\nkernel = 2\nstride = 2\npadding = 1\nceil = true
        [[layer]]\nname = \"m\"\nop = \"adaptive_avg_pool2d\"\noutput = [3, 1]
        [[layer]]\nname = \"f\"\nop = \"flatten\"\n[[layer]]\nname = \"d\"\nop = \"dropout\"\np = 0.25
        [[layer]]\nname = \"l\"\nop = \"linear\"\nout_features = 5\n";

    #[test]
    fn the_same_windows_are_the_same_however_they_are_written() {
        assert_adopted(NET);
        assert_adopted(&NET.replace("output = [3, 1]", "output = [3, 3]"));
        let average = "op = \"avg_pool2d\"\nkernel = 2\nstride = 2\npadding = 1\nceil = true";
        assert_adopted(&NET.replace(average, "op = \"relu\"").replace("[3, 1]", "[2, 1]"));
    }

    #[test]
    fn a_graph_that_differs_from_the_embedded_model_file_wins_with_a_note() {
        for (what, other) in [
            ("momentum = 0.3", "momentum = 0.2"),
            ("kernel = 3\npadding = 1", "kernel = 1"),
            ("name = \"c\"", "name = \"conv\""),
            ("[\"r\", \"drop\"]", "[\"drop\", \"r\"]"),
            ("op = \"relu\"", "op = \"tanh\""),
            ("kernel = 3\nstride = 2\nceil = true", "kernel = 2\nstride = 2\nceil = true"),
            ("op = \"max_pool2d\"", "op = \"avg_pool2d\""),
            ("input = [4, 9, 11]", "input = [4, 10, 11]"),
            ("name = \"n\"", "nome = \"n\""),
        ] {
            let model = NET.replacen(what, other, 1);
            assert_ne!(model, NET, "{what}");
            let imported = imported(&parse(NET), &model);
            assert!(imported.notes.iter().any(|note| note.contains("another network")), "{other}");
            assert_eq!(
                (imported.spec.recipe.lr, imported.spec.layers[0].name.as_str()),
                (0.01, "c"),
                "{other}"
            );
        }
    }

    #[test]
    fn outputs_and_preprocessing_are_those_of_the_graph() {
        let graph = NET.replace("out_features = 5", "out_features = 7").replace("0.4]", "0.5]");
        let spec = imported(&parse(&graph), NET).spec;
        assert_eq!(
            spec.layers.last().unwrap().op,
            LayerOp::Linear(layers::Linear { out_features: 7, bias: true, per_position: false })
        );
        assert_eq!((spec.recipe.lr, spec.layers.len()), (0.5, parse(NET).layers.len()));
        assert!((spec.preprocess.mean[3] - 0.5).abs() < 1e-6, "{:?}", spec.preprocess);
    }
}
