//! What graphs mean: small ones are put together here, imported, run on the CPU path and compared with loops of their own; and networks go out and in
//! again.

mod activations;
mod channels;
mod exporters;
mod extents;
mod forms;
mod linear;
mod normalisation;
mod padding;
mod patterns;
mod pytorch;
mod resize;
mod round_trip;
#[path = "../../../src/interchange/onnx/schema.rs"]
#[allow(dead_code, reason = "the tests write less than the importer reads")]
mod schema;
mod windows;

use prost::Message;
use schema::{
    AttributeProto, AttributeType, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, data_type,
};
use std::collections::BTreeMap;
use std::path::Path;
use striate::cpu;
use striate::interchange::onnx::{ImportOptions, Imported, decode};
use striate::model::{self, BuildOptions, LayerOp, layers};
use striate::program::{Executor, Span};

/// Numbers between -1 and 1 without a pattern, exact in f32.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 48) as f32 - 32_768.0) / 32_768.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn node(op_type: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|name| (*name).to_string()).collect(),
        output: vec![output.into()],
        name: format!("node of {output}"),
        op_type: op_type.into(),
        attribute,
        ..NodeProto::default()
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, r#type: AttributeType::Int.into(), ..AttributeProto::default() }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    let r#type = AttributeType::Ints.into();
    AttributeProto { name: name.into(), ints: ints.to_vec(), r#type, ..AttributeProto::default() }
}

fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f, r#type: AttributeType::Float.into(), ..AttributeProto::default() }
}

fn text(name: &str, s: &'static str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        s: s.into(),
        r#type: AttributeType::String.into(),
        ..AttributeProto::default()
    }
}

/// A tensor of f32.
fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    assert_eq!(dims.iter().product::<i64>(), values.len() as i64);
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: data_type::FLOAT,
        float_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// A list of i64.
fn whole(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: data_type::INT64,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// An input or output; an extent of -1 is open.
fn info(name: &str, dims: &[i64]) -> ValueInfoProto {
    let extent = |&d: &i64| match d {
        -1 => Dimension { dim_param: Some("batch".into()), dim_value: None },
        _ => Dimension { dim_value: Some(d), dim_param: None },
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(extent).collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: data_type::FLOAT, shape });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}

/// A file of operator set 17 whose input is `x` with an open batch and the extents `dims`, and whose output is `y`.
fn file(dims: &[i64], node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let dims: Vec<i64> = [-1].into_iter().chain(dims.iter().copied()).collect();
    let graph = GraphProto {
        node,
        name: "g".into(),
        initializer,
        input: vec![info("x", &dims)],
        output: vec![ValueInfoProto { name: "y".into(), r#type: None }],
    };
    ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..ModelProto::default()
    }
}

fn import(model: &ModelProto) -> Result<Imported, String> {
    let decoded = decode(model.encode_to_vec(), Path::new("g.onnx"), &ImportOptions::default());
    decoded.map_err(|error| error.to_string())
}

/// The layers that a file becomes.
fn layers(model: &ModelProto) -> Vec<LayerOp> {
    import(model).unwrap().spec.layers.into_iter().map(|layer| layer.op).collect()
}

/// Why a file is refused.
fn refusal(model: &ModelProto) -> String {
    let message = import(model).expect_err("refused");
    assert!(!message.contains('\n'), "{message}");
    message
}

/// The imported network's output for the rows `x`, on the CPU path.
fn answer(imported: Imported, x: &[f32]) -> Vec<f32> {
    let rows = x.len() / imported.spec.input.iter().product::<usize>();
    let options = BuildOptions { training: false, ..BuildOptions::new(rows) };
    let model = model::Model::build(&imported.spec, &options).unwrap();
    let mut executor = cpu::Executor::new(model.program.clone()).unwrap();
    let tensors: BTreeMap<_, _> = imported.tensors.into_iter().collect();
    for parameter in model.parameters.iter().chain(&model.state) {
        executor.write(parameter.buffer, tensors[&parameter.name].data()).unwrap();
    }
    executor.write(model.input, x).unwrap();
    executor.run(Span::Forward).unwrap();
    executor.read(model.logits).unwrap()
}

/// Fails unless a file's network answers `x` with `expected`.
#[track_caller]
fn assert_answers(model: &ModelProto, x: &[f32], expected: &[f64]) {
    let found = answer(import(model).unwrap(), x);
    assert_eq!(found.len(), expected.len(), "number of values");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        // Sums of at most a hundred products of numbers of about 1.
        assert!(error <= 1e-5 * expected.abs().max(1.0), "value {i}: expected {expected}, found {found}");
    }
}
