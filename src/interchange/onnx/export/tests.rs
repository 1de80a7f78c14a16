//! Tests of the decoded bytes of exported networks.

use super::super::schema::{AttributeProto, AttributeType, GraphProto, ModelProto, NodeProto, TensorProto};
use super::{Export, encode};
use crate::error::Result;
use crate::model::{self, BuildOptions, Spec};
use crate::tensor::Tensor;
use prost::Message;
use std::collections::{BTreeMap, HashSet};

/// A distinct tensor for each parameter and statistic of the compiled network.
fn tensors(spec: &Spec) -> Vec<(String, Tensor)> {
    let options = BuildOptions { training: false, ..BuildOptions::new(1) };
    let model = model::Model::build(spec, &options).unwrap();
    let made = model.parameters.iter().chain(&model.state).enumerate().map(|(i, p)| {
        let data = (0..p.shape.len()).map(|j| 0.5 + (i * 31 + j % 97) as f32 / 128.0).collect();
        (p.name.clone(), Tensor::new(p.shape.clone(), data).unwrap())
    });
    made.collect()
}

fn bytes(spec: &Spec, tensors: &[(String, Tensor)], with_preprocess: bool) -> Result<Vec<u8>> {
    let metadata = BTreeMap::from([("classes".to_string(), "[\"a\", \"b\"]".to_string())]);
    encode(&Export { spec, tensors, metadata: &metadata, with_preprocess })
}

fn exported(spec: &Spec, with_preprocess: bool) -> ModelProto {
    ModelProto::decode(bytes(spec, &tensors(spec), with_preprocess).unwrap().as_slice()).unwrap()
}

/// Layers over an input `[4, 7, 9]`, as TOML.
fn spec(layers: &str) -> Spec {
    Spec::parse(&format!("name = \"t\"\ninput = [4, 7, 9]\n{layers}"), "t.toml").unwrap()
}

/// The graph of one layer `a` with `attributes` and a flatten below it.
fn graph_of(attributes: &str) -> GraphProto {
    let text = format!("[[layer]]\nname = \"a\"\n{attributes}\n[[layer]]\nname = \"f\"\nop = \"flatten\"");
    exported(&spec(&text), false).graph.unwrap()
}

fn node<'g>(graph: &'g GraphProto, name: &str) -> &'g NodeProto {
    graph.node.iter().find(|node| node.name == name).unwrap_or_else(|| panic!("no node {name}"))
}

fn attribute<'g>(node: &'g NodeProto, name: &str) -> &'g AttributeProto {
    let found = node.attribute.iter().find(|attribute| attribute.name == name);
    found.unwrap_or_else(|| panic!("node {} has no {name}", node.name))
}

fn ints<'g>(node: &'g NodeProto, name: &str) -> &'g [i64] {
    let attribute = attribute(node, name);
    assert_eq!(attribute.r#type(), AttributeType::Ints);
    &attribute.ints
}

fn operators(graph: &GraphProto) -> Vec<&str> {
    graph.node.iter().map(|node| node.op_type.as_str()).collect()
}

fn constant(graph: &GraphProto, name: &str) -> Vec<f32> {
    let found = graph.initializer.iter().find(|tensor| tensor.name == name);
    values(found.unwrap_or_else(|| panic!("no initializer {name}")))
}

fn values(tensor: &TensorProto) -> Vec<f32> {
    let (elements, rest) = tensor.raw_data.as_chunks::<4>();
    assert!(rest.is_empty());
    elements.iter().map(|element| f32::from_le_bytes(*element)).collect()
}

/// Fails unless every value is written once, before it is read, and the output is written.
fn assert_well_formed(graph: &GraphProto) {
    let inputs = graph.input.iter().map(|input| input.name.as_str());
    let mut known = HashSet::new();
    for name in inputs.chain(graph.initializer.iter().map(|tensor| tensor.name.as_str())) {
        assert!(known.insert(name), "{name} twice");
    }
    let mut nodes = HashSet::new();
    for node in &graph.node {
        assert!(nodes.insert(&node.name), "two nodes {}", node.name);
        for input in &node.input {
            assert!(known.contains(input.as_str()), "{} reads {input}, which nothing wrote", node.name);
        }
        for output in &node.output {
            assert!(known.insert(output), "{} writes {output}, which is taken", node.name);
        }
    }
    assert!(known.contains(graph.output[0].name.as_str()));
}

fn dims(value: &super::super::schema::ValueInfoProto) -> Vec<String> {
    let tensor = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
    let dim = &tensor.shape.as_ref().unwrap().dim;
    let text = |d: &super::Dimension| d.dim_param.clone().unwrap_or_else(|| d.dim_value.unwrap().to_string());
    dim.iter().map(text).chain([format!("type {}", tensor.elem_type)]).collect()
}

#[test]
fn built_in_networks_keep_their_names_and_values() {
    for (name, classes) in [
        ("lenet5", "10"),
        ("squeezenet1_1", "1000"),
        ("resnet18", "1000"),
        ("alexnet-64", "17"),
        ("neuron", "1"),
    ] {
        let spec = Spec::load(name).unwrap();
        let model = exported(&spec, false);
        assert_eq!((model.ir_version, model.producer_name.as_str()), (8, "striate"), "{name}");
        let opset: Vec<_> = model.opset_import.iter().map(|o| (o.domain.as_str(), o.version)).collect();
        assert_eq!(opset, [("", 17)]);
        assert_eq!(model.metadata_props[0].key, "classes");
        assert_eq!(model.metadata_props[0].value, "[\"a\", \"b\"]");
        let graph = model.graph.unwrap();
        assert_well_formed(&graph);
        assert!(!operators(&graph).contains(&"Dropout"));
        let [c, h, w] = spec.input.map(|n| n.to_string());
        assert_eq!(graph.input[0].name, "input");
        assert_eq!(dims(&graph.input[0]), ["batch", &c, &h, &w, "type 1"]);
        assert_eq!(graph.output[0].name, "logits");
        assert_eq!(dims(&graph.output[0]), ["batch", classes, "type 1"]);
        // Every layer but dropout has its node; there are no constants but the parameters, bit for bit.
        for layer in spec.layers.iter().filter(|layer| layer.op.name() != "dropout") {
            node(&graph, &layer.name);
        }
        let expected = tensors(&spec);
        assert_eq!(graph.initializer.len(), expected.len(), "{name}");
        for (name, tensor) in expected {
            let found = graph.initializer.iter().find(|t| t.name == name).unwrap();
            let dims: Vec<i64> = tensor.shape().dims().iter().map(|&n| n as i64).collect();
            assert_eq!(found.dims, dims, "{name}");
            assert_eq!(values(found), tensor.data(), "{name}");
        }
    }
}

#[test]
fn layers_have_their_attributes() {
    let graph = graph_of(
        "op = \"conv2d\"\nout_channels = 6\nkernel = [3, 2]\nstride = [2, 1]\npadding = [1, 0, 2, 3]
         dilation = [1, 2]\ngroups = 2\nbias = false",
    );
    let conv = node(&graph, "a");
    assert_eq!((conv.op_type.as_str(), &conv.input[..]), ("Conv", &["input".into(), "a.weight".into()][..]));
    assert_eq!(ints(conv, "kernel_shape"), [3, 2]);
    assert_eq!(ints(conv, "strides"), [2, 1]);
    assert_eq!(ints(conv, "pads"), [1, 0, 2, 3]);
    assert_eq!(ints(conv, "dilations"), [1, 2]);
    assert_eq!(attribute(conv, "group").i, 2);
    assert_eq!(conv.output, ["a"]);
    let graph = graph_of("op = \"batch_norm2d\"\neps = 0.001\nmomentum = 0.25");
    let norm = node(&graph, "a");
    assert_eq!(norm.input, ["input", "a.weight", "a.bias", "a.running_mean", "a.running_var"]);
    assert_eq!((attribute(norm, "epsilon").f, attribute(norm, "momentum").f), (0.001, 0.75));
}

/// Expected pads by hand from PyTorch's rule: the last window starts in the input or its left padding.
#[test]
fn rounding_up_becomes_padding_of_max_pool() {
    let pads = |attributes: &str| {
        let graph = graph_of(&format!("op = \"max_pool2d\"\n{attributes}"));
        assert!(node(&graph, "a").attribute.iter().all(|a| a.name != "ceil_mode"));
        ints(node(&graph, "a"), "pads").to_vec()
    };
    // Height 7: windows of 2 at 0, 2, 4, 6; width 9: at 0, 2, 4, 6, 8.
    assert_eq!(pads("kernel = 2\nceil = true"), [0, 0, 1, 1]);
    assert_eq!(pads("kernel = 2"), [0, 0, 0, 0]);
    // Height with padding 1: -1, 2, 5 and no window at 8; width: -1, 2, 5, 8.
    assert_eq!(pads("kernel = 2\nstride = 3\npadding = 1\nceil = true"), [1, 1, 1, 1]);
    // Windows of 3 at -1, 2, 5 (to 8): one beyond the input.
    assert_eq!(pads("kernel = 3\npadding = [1, 0, 0, 0]\nceil = true"), [1, 0, 1, 0]);
}

/// Expected scales by hand: the kernel's size over the number of elements that count.
#[test]
fn cut_off_averages_are_whole_windows_with_scales() {
    // Height 7: windows of 2 at 0, 2, 4 and 6, of which the last has one row; width 9: the last has one column.
    let cut = graph_of("op = \"avg_pool2d\"\nkernel = 2\nceil = true");
    assert_well_formed(&cut);
    assert_eq!(operators(&cut), ["AveragePool", "Mul", "Flatten"]);
    assert_eq!(ints(node(&cut, "a.whole"), "pads"), [0, 0, 1, 1]);
    assert_eq!(attribute(node(&cut, "a.whole"), "count_include_pad").i, 1);
    let scales = constant(&cut, "a.scales");
    assert_eq!(scales.len(), 4 * 5);
    assert_eq!(scales[..5], [1.0, 1.0, 1.0, 1.0, 2.0]);
    assert_eq!(scales[15..], [2.0, 2.0, 2.0, 2.0, 4.0]);
    // None is cut off.
    let whole = graph_of("op = \"avg_pool2d\"\nkernel = 3\nstride = 2\nceil = true");
    assert_eq!(operators(&whole), ["AveragePool", "Flatten"]);
    // Height: windows of 4 at -2, 1, 4 (to 8, within the padding to 9) and none at 7; width: cut off at 9.
    let shorter = graph_of(
        "op = \"avg_pool2d\"\nkernel = [4, 2]\nstride = [3, 2]\npadding = [2, 0, 2, 0]\nceil = true",
    );
    assert_eq!(ints(node(&shorter, "a.whole"), "pads"), [2, 0, 2, 1]);
    assert_eq!(constant(&shorter, "a.scales"), [1.0, 1.0, 1.0, 1.0, 2.0]);
    // Height: windows at -1 and 3, and none at 7; width: padding counts, so the last window has 2 of 3 columns.
    let mixed = graph_of(
        "op = \"avg_pool2d\"\nkernel = [2, 3]\nstride = [4, 4]\npadding = [1, 0, 1, 1]\nceil = true",
    );
    assert_eq!(ints(node(&mixed, "a.whole"), "pads"), [1, 0, 1, 2]);
    assert_eq!(constant(&mixed, "a.scales"), [1.0, 1.0, 1.5]);
    for graph in [cut, whole, shorter, mixed] {
        assert!(graph.node.iter().flat_map(|n| &n.attribute).all(|a| a.name != "ceil_mode"));
    }
}

#[test]
fn adaptive_averages_are_uniform_windows_where_possible() {
    let adaptive = |output: &str| graph_of(&format!("op = \"adaptive_avg_pool2d\"\noutput = {output}"));
    assert_eq!(operators(&adaptive("1")), ["GlobalAveragePool", "Flatten"]);
    let graph = adaptive("[7, 3]");
    assert_eq!(ints(node(&graph, "a"), "kernel_shape"), [1, 3]);
    assert_eq!(ints(node(&graph, "a"), "strides"), [1, 3]);
    // 7 to 3: rows 0..3, 2..5, 4..7.
    let graph = adaptive("[3, 1]");
    assert_eq!(ints(node(&graph, "a"), "kernel_shape"), [3, 9]);
    assert_eq!(ints(node(&graph, "a"), "strides")[0], 2);
    // 9 to 5: columns 0..2, 1..4, 3..6, 5..8, 7..9.
    let graph = adaptive("[3, 5]");
    assert_eq!(operators(&graph), ["MatMul", "MatMul", "Flatten"]);
    let (columns, third) = (constant(&graph, "a.columns"), 1.0 / 3.0);
    let column = |o: usize| columns.iter().skip(o).step_by(5).copied().collect::<Vec<f32>>();
    assert_eq!(column(0), [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(column(1), [0.0, third, third, third, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(constant(&graph, "a.rows")[..7], [third, third, third, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn normalisation_is_written_out() {
    let graph = graph_of("op = \"local_response_norm\"\nsize = 5\nalpha = 0.5\nbeta = 0.25\nk = 2.0");
    assert_well_formed(&graph);
    assert_eq!(ints(node(&graph, "a.raised_mean"), "pads"), [2, 0, 0, 2, 0, 0]);
    let constants = ["a.alpha", "a.beta", "a.k"].map(|name| constant(&graph, name)[0]);
    assert_eq!(constants, [0.5, 0.25, 2.0]);
    let graph = graph_of("op = \"local_response_norm\"\nsize = 4\nalpha = 0.5");
    assert_well_formed(&graph);
    assert_eq!(ints(node(&graph, "a.raised_mean"), "pads"), [2, 0, 0, 1, 0, 0]);
    assert_eq!(node(&graph, "a").op_type, "Div");
    let graph = graph_of("op = \"local_response_norm\"\nsize = 4\nalpha = 0.5\nregion = \"within\"");
    assert_well_formed(&graph);
    assert_eq!(ints(node(&graph, "a.mean"), "pads"), [2, 2, 1, 1]);
    assert_eq!(attribute(node(&graph, "a.mean"), "count_include_pad").i, 1);
    assert_eq!(constant(&graph, "a.alpha"), [0.5]);
}

/// Layers may have the names of the graph's own values or of parameters; readers of dropout read its input.
#[test]
fn no_two_values_share_a_name() {
    let text = "[[layer]]\nname = \"logits\"\nop = \"conv2d\"\nout_channels = 4\nkernel = 1
        [[layer]]\nname = \"logits.weight\"\nop = \"add\"\ninputs = [\"logits\", \"input\", \"logits\"]
        [[layer]]\nname = \"logits.weight.sum0\"\nop = \"dropout\"
        [[layer]]\nname = \"preprocess.mul\"\nop = \"flatten\"
        [[layer]]\nname = \"probabilities\"\nop = \"dropout\"";
    let spec = spec(text);
    for with_preprocess in [false, true] {
        let graph = exported(&spec, with_preprocess).graph.unwrap();
        assert_well_formed(&graph);
        let own = node(&graph, "logits.weight");
        assert_eq!(node(&graph, "logits").output, ["logits_1"]);
        assert_eq!(own.input[1], "logits_1");
        let last = graph.node.iter().find(|node| node.op_type == "Flatten").unwrap();
        assert_eq!(last.name, "preprocess.mul");
        assert_eq!(last.output, ["logits"]);
        assert_eq!(last.input, own.output);
    }
}

#[test]
fn preprocessing_takes_images_and_returns_probabilities() {
    let mut spec = spec("[[layer]]\nname = \"f\"\nop = \"flatten\"");
    spec.preprocess.scale = 0.5;
    spec.preprocess.mean = vec![1.0, 2.0, 3.0, 4.0];
    spec.preprocess.std = vec![0.25, 0.5, 2.0, 4.0];
    let graph = exported(&spec, true).graph.unwrap();
    assert_well_formed(&graph);
    assert_eq!(operators(&graph), ["Cast", "Transpose", "Mul", "Add", "Flatten", "Softmax"]);
    assert_eq!(dims(&graph.input[0]), ["batch", "7", "9", "4", "type 2"]);
    assert_eq!(graph.output.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["probabilities"]);
    // (pixel * scale - mean) / std.
    assert_eq!(constant(&graph, "preprocess.scale"), [2.0, 1.0, 0.25, 0.125]);
    assert_eq!(constant(&graph, "preprocess.offset"), [-4.0, -4.0, -1.5, -1.0]);
    spec.recipe.loss = crate::model::LossKind::Mse;
    let graph = exported(&spec, true).graph.unwrap();
    assert_eq!(graph.output[0].name, "logits");
    assert!(!operators(&graph).contains(&"Softmax"));
}

#[test]
fn errors_name_what_cannot_be_exported() {
    let net = spec("[[layer]]\nname = \"c\"\nop = \"conv2d\"\nout_channels = 3\nkernel = 1");
    let error = |tensors: &[(String, Tensor)]| bytes(&net, tensors, false).unwrap_err().to_string();
    let weight = ("c.weight".to_string(), Tensor::full([3, 4, 1, 1], 1.0));
    let bias = ("c.bias".to_string(), Tensor::full([4], 1.0));
    assert_eq!(error(&[]), "t: tensor c.weight: expected [3, 4, 1, 1], found none");
    assert_eq!(error(&[bias, weight]), "t: tensor c.bias: expected [3], found [4]");
    // The system only reserves these 2 GiB of zeros; they are never touched.
    let text = "name = \"big\"\ninput = [1, 256, 256]\n[[layer]]\nop = \"flatten\"\n[[layer]]\nname = \"l\"
        op = \"linear\"\nout_features = 8192\nbias = false";
    let big = Spec::parse(text, "big.toml").unwrap();
    let tensors = [("l.weight".to_string(), Tensor::full([8192, 65536], 0.0))];
    let error = bytes(&big, &tensors, false).unwrap_err().to_string();
    assert!(error.starts_with("big: expected an ONNX file shorter than 2 GiB"), "{error}");
    assert!(error.contains("safetensors"), "{error}");
}
