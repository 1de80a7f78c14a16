//! What several tests share: a program run by the f64 oracle, and a small network with every kind of layer.

use std::collections::HashMap;
use std::sync::Arc;
use striate::ops::{Hyper, OperandKind};
use striate::program::{BufferId, Executor, Pending, Program, Span};
use striate::verify::oracle;
use striate::{Error, Result};

/// A program on f64 buffers, step by step through the oracle.
pub struct Reference {
    program: Arc<Program>,
    hyper: BufferId,
    buffers: Vec<Vec<f64>>,
    words: Vec<f32>,
    reads: HashMap<u64, Vec<f32>>,
    next_read: u64,
}

impl Reference {
    /// `hyper` is the buffer of the `Hyper` words.
    pub fn new(program: Arc<Program>, hyper: BufferId) -> Self {
        let buffers = program.buffers().iter().map(|b| vec![0.0; b.shape.len()]).collect();
        let words = vec![0.0; Hyper::WORDS];
        Reference { program, hyper, buffers, words, reads: HashMap::new(), next_read: 0 }
    }

    /// The kind of `buffer` as an operand of the first step that uses it.
    fn kind(&self, buffer: BufferId) -> OperandKind {
        let steps = self.program.steps(Span::Forward).chain(self.program.steps(Span::Train));
        let operands = steps.flat_map(|step| step.op.operands().into_iter().zip(&step.buffers));
        let first = operands.into_iter().find(|(_, id)| **id == buffer);
        first.map_or(OperandKind::Data, |(operand, _)| operand.kind)
    }

    /// The content of a buffer in full precision.
    pub fn values(&mut self, buffer: BufferId) -> &mut Vec<f64> {
        &mut self.buffers[buffer.index()]
    }
}

impl Executor for Reference {
    fn write(&mut self, buffer: BufferId, data: &[f32]) -> Result<()> {
        self.program.check_access(buffer, Some(data.len()))?;
        if buffer == self.hyper {
            self.words = data.to_vec();
        } else {
            self.buffers[buffer.index()] = oracle::operand(self.kind(buffer), data);
        }
        Ok(())
    }

    fn start_read(&mut self, buffer: BufferId) -> Result<Pending> {
        self.program.check_access(buffer, None)?;
        let values = match buffer == self.hyper {
            true => self.words.clone(),
            false => self.buffers[buffer.index()].iter().map(|&v| v as f32).collect(),
        };
        self.next_read += 1;
        self.reads.insert(self.next_read, values);
        Ok(Pending(self.next_read))
    }

    fn finish_read(&mut self, pending: Pending) -> Result<Vec<f32>> {
        self.reads.remove(&pending.0).ok_or_else(|| Error::Internal("no such read".into()))
    }

    fn run(&mut self, span: Span) -> Result<()> {
        let hyper = Hyper::from_words(&self.words);
        let program = self.program.clone();
        for step in program.steps(span) {
            let mut operands: Vec<Vec<f64>> =
                step.buffers.iter().map(|id| self.buffers[id.index()].clone()).collect();
            oracle::run(&step.op, &hyper, &mut operands);
            for (id, values) in step.buffers.iter().zip(operands) {
                self.buffers[id.index()] = values;
            }
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A network with every layer operator: a residual connection, a concatenation, two readers of one value. `last` are the
/// last layers and `recipe` lines of the recipe.
pub fn network(last: &str, recipe: &str) -> String {
    let layers = [
        ("c1", "op = \"conv2d\"\nout_channels = 6\nkernel = 3\npadding = 1\ngroups = 3\nbias = false"),
        ("bn1", "op = \"batch_norm2d\""),
        ("r1", "op = \"relu\""),
        ("lrn", "op = \"local_response_norm\"\nsize = 3\nalpha = 0.3\nk = 2"),
        ("c2", "op = \"conv2d\"\nout_channels = 6\nkernel = [3, 1]\npadding = [1, 0]"),
        ("sum", "op = \"add\"\ninputs = [\"c2\", \"lrn\"]"),
        ("r2", "op = \"relu\""),
        ("c3", "op = \"conv2d\"\nout_channels = 4\nkernel = 2\nstride = 2\ninput = \"r2\""),
        ("r3", "op = \"relu\""),
        ("pool", "op = \"max_pool2d\"\nkernel = 3\nstride = 2\npadding = 1\ninput = \"r2\""),
        ("smooth", "op = \"avg_pool2d\"\nkernel = 3\nstride = 1\npadding = 1\ninput = \"pool\""),
        ("both", "op = \"concat\"\ninputs = [\"r3\", \"smooth\"]"),
        ("drop2", "op = \"dropout2d\"\np = 0.2"),
        ("left", "op = \"slice\"\nend = 6"),
        ("right", "op = \"slice\"\nstart = 4\nend = 10\ninput = \"drop2\""),
        ("norm", "op = \"layer_norm\"\neps = 0.01"),
        ("factors", "op = \"scale\"\ninit_value = 0.7\nparameter = \"layer_scale\"\nspatial = true"),
        ("depth", "op = \"stochastic_depth\"\np = 0.3"),
        ("joined", "op = \"concat\"\ninputs = [\"depth\", \"left\"]"),
        ("shuffle", "op = \"channel_shuffle\"\ngroups = 3"),
        ("wider", "op = \"pad\"\npadding = [0, 1, 1, 0]"),
        ("larger", "op = \"upsample\"\nscale_factor = [1, 2]"),
        ("points", "op = \"linear\"\nout_features = 7\nper_position = true"),
        ("mean", "op = \"adaptive_avg_pool2d\"\noutput = [3, 2]"),
        ("flat", "op = \"flatten\""),
        ("f1", "op = \"linear\"\nout_features = 11"),
        ("t1", "op = \"tanh\""),
        ("drop", "op = \"dropout\"\np = 0.3"),
        ("f2", "op = \"linear\"\nout_features = 9"),
        ("s2", "op = \"sigmoid\""),
        ("f3", "op = \"linear\"\nout_features = 8"),
        ("r4", "op = \"leaky_relu\"\nnegative_slope = 0.2"),
        ("f4", "op = \"linear\"\nout_features = 5"),
    ];
    let layers: Vec<String> =
        layers.iter().map(|(name, text)| format!("[[layer]]\nname = \"{name}\"\n{text}\n")).collect();
    format!("name = \"small\"\ninput = [3, 10, 8]\n[recipe]\n{recipe}\n{}{last}\n", layers.concat())
}
