//! One `[[layer]]` of a model file: its operator, what it reads, and how its parameters start and learn.

use super::expansion::Frame;
use super::init::Init;
use super::layers::LayerOp;
use super::reader::Table;
use crate::error::{Result, printable};

/// Most bytes of a layer's name.
pub(super) const LONGEST_NAME: usize = 200;

/// One layer of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    pub name: String,
    pub op: LayerOp,
    /// Names of the layers it reads; `input` is the network's input.
    pub inputs: Vec<String>,
    pub init: Init,
    /// Factors of the learning rate for weight and bias.
    pub lr_mult: [f32; 2],
    /// Factors of the weight decay for weight and bias.
    pub decay_mult: [f32; 2],
    /// Line of the model file, for messages.
    pub line: usize,
}

impl Layer {
    /// Reads the layer `name` from a table in the list `frame`.
    pub(super) fn read<'t>(t: &Table<'t>, name: String, frame: &Frame<'t>, init: &Init) -> Result<Self> {
        let op = LayerOp::read(t)?;
        if name.is_empty() || name == "input" || name.len() > LONGEST_NAME || printable(&name) != name {
            return Err(
                t.error("name", "expected a printable name of 1 to 200 characters other than `input`")
            );
        }
        let inputs = if op.kind().reads_several() {
            let inputs = frame.inputs(t)?;
            if inputs.len() < 2 {
                return Err(t.error("inputs", format!("expected at least 2 layers, found {}", inputs.len())));
            }
            inputs
        } else {
            vec![frame.input(t)?]
        };
        let has_parameters = op.has_parameters();
        let init = if op.kind().inherits_init() { init } else { &Init::default() };
        let mut layer = Layer {
            name,
            op,
            inputs,
            init: init.clone(),
            lr_mult: [1.0; 2],
            decay_mult: [1.0; 2],
            line: t.line,
        };
        if has_parameters {
            if t.has("init") && !layer.op.kind().takes_init() {
                let what = format!("expected none: the initial values of {} are fixed", layer.op.name());
                return Err(t.error("init", what));
            }
            if let Some(table) = t.table("init", format!("layer {}: init", layer.name))? {
                layer.init = Init::read(&table, init)?;
            }
            layer.lr_mult = factors(t, "lr_mult", &layer.name)?;
            layer.decay_mult = factors(t, "decay_mult", &layer.name)?;
        }
        t.finish()?;
        Ok(layer)
    }
}

/// `key = 2.0` for both weight and bias, or `key = { weight = 1.0, bias = 2.0 }`.
fn factors(t: &Table<'_>, key: &'static str, layer: &str) -> Result<[f32; 2]> {
    let both = match t.get::<f32>(key) {
        Ok(Some(both)) => [both; 2],
        Ok(None) => [1.0; 2],
        Err(_) => {
            let table = t.table(key, format!("layer {layer}: {key}"))?;
            let Some(table) = table else { return Ok([1.0; 2]) };
            let pair = [table.or("weight", 1.0)?, table.or("bias", 1.0)?];
            table.finish()?;
            pair
        }
    };
    if both.iter().any(|f| *f < 0.0) {
        return Err(t.error(key, "expected 0 or more"));
    }
    Ok(both)
}
