//! The network under construction during an import: the meaning of each graph value, and the layers so far.

use super::super::schema::NodeProto;
use super::attributes::{Attributes, short};
use super::averages::{FullWindowAverages, PartialMean};
use super::channels::GroupedChannels;
use super::constants::{Constants, Handle};
use super::expressions::Expression;
use super::graph::ReachableGraph;
use super::normalisation::PartialLrn;
use super::padding::Padded;
use super::pixels::{Affine, Pixels};
use super::shape_tensor::ShapeTensor;
use crate::model::LayerOp;
use crate::tensor::Tensor;
use std::collections::HashMap;

/// Most layers of a network.
const MOST_LAYERS: usize = 10_000;

/// Most values of a layer's output per sample.
const MOST_VALUES: usize = 1 << 31;

/// The meaning of a value of the graph.
#[derive(Clone, Debug)]
pub enum GraphValue<'a> {
    /// The output of a layer (`None`: the network's input), with its shape without the batch.
    Layer {
        from: Option<usize>,
        dims: Vec<usize>,
    },
    Constant(Handle<'a>),
    /// A small tensor of computed integers.
    ShapeTensor(ShapeTensor),
    /// Images on their way to the network's input.
    Pixels(Pixels),
    /// An intermediate value of a local response normalisation that takes several nodes.
    PartialLrn(PartialLrn),
    /// A layer's output with its rows averaged, which is half an adaptive pooling.
    AveragedRows {
        from: Option<usize>,
        dims: [usize; 3],
        rows: usize,
    },
    /// A layer's output whose channels form rows of groups, on its way to a channel shuffle.
    GroupedChannels(GroupedChannels),
    /// A layer's output with padding around it.
    Padded(Padded),
    /// The mean of a layer's output over its height or width.
    PartialMean(PartialMean),
    /// A formula of a layer's output that is no operator so far.
    Expression(Expression),
    /// A value `[N, H, W, C]`, as the same value `[N, C, H, W]`: a layer's output, a formula or padding.
    ChannelsLast(Box<GraphValue<'a>>),
    /// A layer's flat output, in the order of a value `[N, H, W, C]` of which it was `[N, C, H, W]`.
    FlatChannelsLast {
        from: Option<usize>,
        /// Channels, height, width.
        dims: [usize; 3],
    },
    /// A layer's flat output `[N, len]`, seen as `[N, len, 1, 1]` or `[N, 1, 1, len]`.
    Vector {
        from: Option<usize>,
        len: usize,
    },
    /// Averages over full windows, which the next node rescales.
    FullWindowAverages(FullWindowAverages),
    /// The output of an unsupported node.
    Unknown,
}

/// A layer of the future network.
#[derive(Debug)]
pub struct DraftLayer<'a> {
    pub op: LayerOp,
    /// Channels (or features) of its output.
    pub channels: usize,
    /// Layers that it reads; `None` is the network's input.
    pub inputs: Vec<Option<usize>>,
    /// Its tensors: `weight`, `bias`, ...
    pub tensors: Vec<(&'static str, Tensor)>,
    /// The file's name for its weights.
    pub weight: Option<&'a str>,
    /// Whether its tensors are numbers of the graph, which training must not change.
    pub is_fixed: bool,
    /// The names of its node and of the node's output.
    pub node: &'a str,
    pub output: &'a str,
}

/// The state of an import.
pub struct NetworkDraft<'a> {
    pub graph: &'a ReachableGraph<'a>,
    /// Version of the standard operator set.
    pub opset: i64,
    /// Whether the file has a model file of ours in its metadata.
    pub is_ours: bool,
    /// Batch size, if the file fixes it.
    pub batch: Option<usize>,
    pub constants: Constants<'a>,
    pub values: HashMap<&'a str, GraphValue<'a>>,
    pub layers: Vec<DraftLayer<'a>>,
    /// The arithmetic of the graph on its input, which becomes preprocessing.
    pub affine: Option<Affine>,
    /// Remarks for the user, one line each.
    pub notes: Vec<String>,
}

impl<'a> NetworkDraft<'a> {
    /// The value that `node` reads at `position`; `None` if the input is omitted.
    pub fn value(&self, node: &'a NodeProto, position: usize) -> Result<Option<&GraphValue<'a>>, String> {
        match node.input.get(position).map(String::as_str) {
            None | Some("") => Ok(None),
            Some(name) => match self.values.get(name) {
                Some(value) => Ok(Some(value)),
                None => Err(format!("reads {}, which no earlier node produces", short(name))),
            },
        }
    }

    /// The layer that `node` reads at `position`, and its output shape.
    pub fn layer(&self, node: &'a NodeProto, position: usize) -> Result<(Option<usize>, Vec<usize>), String> {
        match self.value(node, position)? {
            Some(GraphValue::Layer { from, dims }) => Ok((*from, dims.clone())),
            Some(GraphValue::Constant(handle)) => Err(format!(
                "expected a computed input {position}, found the constant {}",
                short(handle.name)
            )),
            Some(GraphValue::Padded(_)) => {
                Err("padding is supported only directly before a Conv or a pool".into())
            }
            Some(GraphValue::GroupedChannels(_)) => Err(
                "[N, groups, C / groups, H, W] is supported only between the two Reshapes of a channel shuffle".into(),
            ),
            Some(GraphValue::Expression(_)) => {
                Err("reads arithmetic on a layer's output that is no operator of Striate".into())
            }
            Some(GraphValue::Vector { .. }) => {
                Err("[N, K, 1, 1] of a flat value is supported only as a factor for each channel".into())
            }
            Some(GraphValue::PartialMean(_)) => Err(
                "the mean over height or width alone is supported only if the mean over the other follows"
                    .into(),
            ),
            _ => Err(format!("expected a layer's output as input {position}")),
        }
    }

    /// The layer that `node` reads at `position`, whose output shape must be `[channels, height, width]`.
    pub fn feature_map(
        &self,
        node: &'a NodeProto,
        position: usize,
    ) -> Result<(Option<usize>, [usize; 3]), String> {
        let (from, dims) = self.layer(node, position)?;
        let shape = <[usize; 3]>::try_from(dims);
        shape
            .map(|dims| (from, dims))
            .map_err(|dims| format!("expected an input [N, C, H, W], found [N, {}]", list(&dims)))
    }

    /// The layer that `node` reads at `position`, whose output must be a vector, and its length.
    pub fn flat(&self, node: &'a NodeProto, position: usize) -> Result<(Option<usize>, usize), String> {
        match self.layer(node, position)? {
            (from, dims) if dims.len() == 1 => Ok((from, dims[0])),
            (_, dims) => Err(format!("expected an input [N, K], found [N, {}]", list(&dims))),
        }
    }

    /// The constant that `node` reads at `position`, if there is one.
    pub fn constant(&self, node: &'a NodeProto, position: usize) -> Result<Option<Handle<'a>>, String> {
        match self.value(node, position)? {
            None => Ok(None),
            Some(GraphValue::Constant(handle)) => Ok(Some(*handle)),
            Some(_) => Err(format!("expected a constant as input {position}, found a computed value")),
        }
    }

    /// The values of a constant as a layer's own weights; a note reports shared ones.
    pub fn own_weights(&mut self, handle: Handle<'a>) -> Result<Tensor, String> {
        let (weights, is_shared) = self.constants.weight(handle)?;
        if is_shared {
            let name = short(handle.name);
            self.note(&format!(
                "the weights {name} are shared by several layers; each layer gets a copy, and training makes the copies differ"
            ));
        }
        Ok(weights)
    }

    /// The constant that `node` reads at `position`, which is required.
    pub fn weight(&self, node: &'a NodeProto, position: usize) -> Result<Handle<'a>, String> {
        self.constant(node, position)?
            .ok_or_else(|| format!("expected a constant as input {position}, found none"))
    }

    /// Adds a layer whose output is that of `node`, and returns its position. `dims` are the shapes of its inputs.
    pub fn push(
        &mut self,
        node: &'a NodeProto,
        op: LayerOp,
        inputs: Vec<Option<usize>>,
        dims: &[&[usize]],
    ) -> Result<usize, String> {
        let output = node.output.first().map_or("", String::as_str);
        let position = self.append(&node.name, output, op, inputs, dims)?;
        Ok(position)
    }

    /// Adds a layer that produces the value `output`, and returns its position. `dims` are the shapes of its inputs.
    pub fn append(
        &mut self,
        node: &'a str,
        output: &'a str,
        op: LayerOp,
        inputs: Vec<Option<usize>>,
        dims: &[&[usize]],
    ) -> Result<usize, String> {
        if self.layers.len() >= MOST_LAYERS {
            return Err(format!("expected at most {MOST_LAYERS} layers"));
        }
        let dims = op.output_dims(dims)?;
        let size = dims.iter().try_fold(1usize, |size, &d| size.checked_mul(d));
        if size.is_none_or(|size| size > MOST_VALUES) {
            return Err(format!("its output [N, {}] is too large", list(&dims)));
        }
        let (position, channels) = (self.layers.len(), dims.first().copied().unwrap_or_default());
        self.values.insert(output, GraphValue::Layer { from: Some(position), dims });
        self.layers.push(DraftLayer {
            op,
            channels,
            inputs,
            tensors: Vec::new(),
            weight: None,
            is_fixed: false,
            node,
            output,
        });
        Ok(position)
    }

    /// Makes `value` the meaning of the output of `node`, without a layer.
    pub fn alias(&mut self, node: &'a NodeProto, value: GraphValue<'a>) {
        if let Some(output) = node.output.first() {
            self.values.insert(output, value);
        }
    }

    /// Adds a remark for the user, unless it is there already.
    pub fn note(&mut self, what: &str) {
        if !self.notes.iter().any(|note| note == what) {
            self.notes.push(what.to_string());
        }
    }

    /// Adds a layer that reads only the first input of `node`.
    pub fn push_unary(&mut self, node: &'a NodeProto, op: LayerOp) -> Result<(), String> {
        let (from, dims) = self.layer(node, 0)?;
        self.push(node, op, vec![from], &[&dims]).map(|_| ())
    }
}

/// Formats dimensions for a message.
pub(super) fn list(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

/// A node and its attributes.
pub struct Call<'a> {
    pub node: &'a NodeProto,
    pub attributes: Attributes<'a>,
}
