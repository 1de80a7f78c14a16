//! Compiles a model file into a [`Program`]: forward lists for evaluation and training, the backward list (the
//! training list walked in reverse) and the update.

use super::graph::Graph;
use super::input::{augmentation, mix};
use super::layers::LayerOp;
use super::parameter::{Parameter, Start};
use super::recipe::{LossKind, Recipe};
use super::spec::Spec;
use super::update::OptimizerState;
use super::{class_weights, gradient, update};
use crate::error::{Error, Result};
use crate::ops::{GradScale, Hyper, Loss, Metrics, Op, Scaling, Target};
use crate::program::{BufferId, Program, ProgramBuilder, Role, step};
use crate::random::{Purpose, Stream};
use crate::tensor::Shape;
use std::sync::Arc;

/// The purpose of a program. [`BuildOptions::new`] is training with everything the model file asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildOptions {
    /// Rows of a batch.
    pub batch: usize,
    /// Channels, height and width of the stored images, if `augment` makes the input from them on the device; without,
    /// the host writes the input itself.
    pub pixels: Option<[usize; 3]>,
    /// Whether to build gradients and update; without, only `Span::Forward` has steps.
    pub training: bool,
    /// Whether training drops elements; without, dropout layers do nothing.
    pub dropout: bool,
    /// Whether a ReLU becomes part of the operator above it where nothing else reads that operator's output.
    pub fuse: bool,
    /// Whether every buffer may be read after a run (no memory is used twice).
    pub keep: bool,
    /// Whether to compute the gradient of the input, `grad.input`.
    pub input_gradient: bool,
    /// The content of the labels buffer; `Values` needs the loss `mse`.
    pub target: Target,
    /// Whether gradients are clipped to `Hyper::max_norm`.
    pub clip: bool,
    /// Whether gradients are summed over several runs of `Span::Gradients` before an update.
    pub accumulate: bool,
    /// Parameters whose name starts with one of these (separated by commas) are not trained.
    pub freeze: Option<String>,
    /// Factor of the loss at the start, for dynamic loss scaling; without, the loss is not scaled.
    pub loss_scale: Option<f32>,
    /// The weight of each output's class in the training loss, 0 or more (cross-entropy); without, all weigh the same.
    pub class_weights: Option<Vec<f32>>,
    /// Decay of a moving average of everything that training changes ([`crate::ops::Ema`]); without, none is kept.
    pub ema: Option<f64>,
    /// Whether training mixes the images of a batch as `Hyper` says ([`crate::ops::Mix`]); needs the loss cross-entropy.
    /// `grad.input` is then the gradient of the mixed images.
    pub mix: bool,
}

impl BuildOptions {
    /// Training at this batch size, dropout and fusion on, nothing frozen, clipped, accumulated or scaled.
    pub fn new(batch: usize) -> Self {
        BuildOptions {
            batch,
            pixels: None,
            training: true,
            dropout: true,
            fuse: true,
            keep: false,
            input_gradient: false,
            target: Target::Class,
            clip: false,
            accumulate: false,
            freeze: None,
            loss_scale: None,
            class_weights: None,
            ema: None,
            mix: false,
        }
    }

    /// Training `recipe` at this batch size: gradients are clipped and accumulated as it says. What a training step needs and
    /// how long it takes is asked of this program.
    pub fn for_recipe(recipe: &Recipe, batch: usize) -> Self {
        BuildOptions {
            clip: recipe.clip_grad_norm.is_some(),
            accumulate: recipe.grad_accum_steps > 1,
            ..BuildOptions::new(batch)
        }
    }

    /// An error if a prefix of `freeze` begins no parameter's name (a typing mistake would train a layer that was to be
    /// frozen), or if nothing is left to train.
    fn check_freeze(&self, parameters: &[Parameter]) -> Result<()> {
        let Some(freeze) = &self.freeze else { return Ok(()) };
        let unknown = |prefix: &&str| {
            prefix.is_empty() || !parameters.iter().any(|parameter| parameter.name.starts_with(*prefix))
        };
        if let Some(prefix) = freeze.split(',').map(str::trim).find(unknown) {
            let found = if prefix.is_empty() { "nothing" } else { prefix };
            return Err(Error::Usage(format!(
                "freeze: expected the beginning of a parameter's name, found {found}"
            )));
        }
        if parameters.iter().all(|parameter| self.is_frozen(&parameter.name)) {
            let what = format!("freeze: expected parameters left to train, found all frozen by {freeze}");
            return Err(Error::Usage(what));
        }
        Ok(())
    }

    pub(super) fn is_frozen(&self, parameter: &str) -> bool {
        let prefixes = self.freeze.as_deref().unwrap_or("").split(',');
        prefixes.map(str::trim).any(|p| !p.is_empty() && parameter.starts_with(p))
    }
}

/// One layer of a compiled model.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerInfo {
    pub name: String,
    /// The operator's name in model files.
    pub op: &'static str,
    /// Shape of the output, batch included.
    pub output: Shape,
    /// Number of trainable values (running statistics are not counted).
    pub parameters: usize,
    /// Multiply-adds of the forward pass for one row.
    pub macs: u64,
    /// The output in training; `None` if it exists only inside the next layer's fused operator.
    pub buffer: Option<BufferId>,
    /// The gradient of that output in training; `None` if nothing needs it, or if the layer only passes its input on. Readable only
    /// if the program was built with `keep`.
    pub gradient: Option<BufferId>,
}

/// A compiled model: its program and where its tensors are.
#[derive(Clone, Debug)]
pub struct Model {
    pub name: String,
    pub program: Arc<Program>,
    /// Weights and biases, in layer order.
    pub parameters: Vec<Parameter>,
    /// Running statistics, in layer order.
    pub state: Vec<Parameter>,
    pub layers: Vec<LayerInfo>,
    /// `[batch, channels, height, width]`. If there are `pixels`, the program writes it, and it is readable only if the
    /// program was built with `keep`.
    pub input: BufferId,
    /// `[batch, words]`, the images as [`Augment`] takes them, and `[batch, View::WORDS]`, the view of each;
    /// `None` if the host writes the input itself.
    pub pixels: Option<BufferId>,
    pub views: Option<BufferId>,
    /// `[batch]` class numbers, or `[batch, classes]` values.
    pub labels: BufferId,
    /// [`Hyper::WORDS`] words.
    pub hyper: BufferId,
    /// `[Model::SLOTS, Metrics::RECORD]`; see [`Metrics`].
    pub metrics: BufferId,
    /// `[batch, classes]`, the last layer's output.
    pub logits: BufferId,
    /// `[batch]`, the loss of each row, and `[batch]`, the rank of the right answer (see [`Loss`]).
    pub losses: BufferId,
    pub ranks: BufferId,
    /// [`Scaling::WORDS`] words; `None` if the loss is not scaled.
    pub loss_scale: Option<BufferId>,
    /// Gradient of the input, if it was asked for; that of the scaled loss, if it is scaled.
    pub input_gradient: Option<BufferId>,
    pub batch: usize,
    /// Outputs of the last layer.
    pub classes: usize,
    /// The loss scale at the start.
    first_scale: f32,
    /// Weights of the classes in the training loss, and their buffer.
    pub(super) class_weights: Option<(BufferId, Vec<f32>)>,
}

impl Model {
    /// Records of the metrics buffer: the host looks at least this often (in steps).
    pub const SLOTS: usize = 64;

    /// Most outputs of a network: each is given a name in host memory, and a file of a few bytes can ask for any number.
    pub const MOST_OUTPUTS: usize = 1 << 20;

    /// Compiles `spec`. Errors name the model file and line.
    pub fn build(spec: &Spec, options: &BuildOptions) -> Result<Self> {
        if options.batch == 0 {
            return Err(Error::Usage("batch size: expected at least 1, found 0".into()));
        }
        let loss_kind = spec.recipe.loss;
        if options.target == Target::Values && loss_kind == LossKind::CrossEntropy {
            return Err(Error::Usage(
                "loss cross-entropy needs class numbers, but the labels are values: expected loss mse".into(),
            ));
        }
        if options.mix && loss_kind != LossKind::CrossEntropy {
            let what = format!("mixed images need the loss cross-entropy, found {loss_kind}");
            return Err(Error::Usage(what));
        }
        let batch = options.batch;
        let mut builder = ProgramBuilder::default();
        let mut input_shape = vec![batch];
        input_shape.extend(spec.input);
        let role = match options.pixels {
            None => Role::Input,
            // The host reads the output, which is the input itself if no layer computes anything.
            Some(_) if spec.layers.iter().all(|l| l.op.kind().passes_on()) => Role::Output,
            Some(_) => Role::Transient,
        };
        let input = builder.buffer("input", input_shape, role)?;
        let hyper = builder.buffer("hyper", [Hyper::WORDS], Role::Hyper)?;
        let augment = match options.pixels {
            Some(shape) => Some(augmentation(&mut builder, spec, batch, shape, input)?),
            None => None,
        };

        let mut graph = Graph::new(spec, options, &mut builder, input, hyper)?;
        options.check_freeze(&graph.parameters)?;
        let last = spec.layers.last().map(|l| l.name.as_str()).unwrap_or("input");
        let [classes] = *graph.dims(last) else {
            let line = spec.layers.last().map_or(1, |l| l.line);
            return Err(Error::Model(format!(
                "{}:{line}: layer {last}: the last layer must have a flat output, found {:?}; add a flatten layer",
                spec.origin,
                graph.dims(last)
            )));
        };
        if classes > Self::MOST_OUTPUTS {
            return Err(Error::Model(format!(
                "{}: layer {last}: expected at most {} outputs, found {classes}",
                spec.origin,
                Self::MOST_OUTPUTS
            )));
        }
        if loss_kind == LossKind::CrossEntropy
            && spec.layers.last().is_some_and(|l| matches!(l.op, LayerOp::Softmax(_)))
        {
            return Err(Error::Model(format!(
                "{}: layer {last}: loss cross-entropy contains the softmax; leave the last layer out",
                spec.origin
            )));
        }
        let labels_shape = match options.target {
            Target::Class => Shape::from([batch]),
            Target::Values => Shape::from([batch, classes]),
        };
        let labels = builder.buffer("labels", labels_shape, Role::Labels)?;
        let losses = builder.buffer("losses", [batch], Role::Output)?;
        let ranks = builder.buffer("ranks", [batch], Role::Output)?;
        let metrics = builder.buffer("metrics", [Self::SLOTS, Metrics::RECORD], Role::Output)?;
        let class_weights = class_weights::buffer(&mut builder, options, loss_kind, classes)?;
        let loss = |grad| {
            let smoothing = spec.recipe.label_smoothing;
            let weighted = grad && class_weights.is_some();
            let mixed = grad && options.mix;
            let d = Loss { batch, classes, target: options.target, smoothing, weighted, grad, mixed };
            match loss_kind {
                LossKind::CrossEntropy => Op::CrossEntropy(d),
                LossKind::Mse => Op::HalfSquaredError(d),
            }
        };
        let record = Op::Metrics(Metrics { batch, slots: Self::SLOTS });
        let record = step(record, "metrics", &[losses, ranks, hyper, metrics]);

        builder.forward.extend(augment.clone());
        let logits = graph.forward(&mut builder, false)?;
        builder.forward.push(step(loss(false), "loss", &[logits, labels, hyper, losses, ranks]));
        builder.forward.push(record.clone());
        let mut input_gradient = None;
        let mut loss_scale = None;
        if options.training {
            builder.gradients.extend(augment.clone());
            if options.mix {
                graph.input = mix(&mut builder, spec, batch, input, hyper)?;
            }
            let logits = graph.forward(&mut builder, true)?;
            let gradient = builder.buffer(format!("grad.{last}.y"), [batch, classes], Role::Transient)?;
            let weights = class_weights.as_ref().map(|(buffer, _)| *buffer);
            let buffers: Vec<BufferId> =
                [logits, labels, hyper].into_iter().chain(weights).chain([losses, ranks, gradient]).collect();
            builder.gradients.push(step(loss(true), "loss", &buffers));
            builder.gradients.push(record);
            if options.loss_scale.is_some() {
                let scaling = builder.buffer("loss_scale", [Scaling::WORDS], Role::Optimizer)?;
                let op = Op::GradScale(GradScale { len: batch * classes });
                builder.gradients.push(step(op, "loss", &[scaling, gradient]));
                loss_scale = Some(scaling);
            }
            input_gradient = gradient::backward(&mut graph, &mut builder, gradient)?;
            update::emit(&mut graph, spec, &mut builder, loss_scale, metrics)?;
        }
        let (parameters, state, layers) = graph.finish();
        let program = Arc::new(builder.finish(options.keep)?);
        Ok(Model {
            name: spec.name.clone(),
            program,
            parameters,
            state,
            layers,
            input,
            pixels: augment.as_ref().map(|step| step.buffers[0]),
            views: augment.as_ref().map(|step| step.buffers[1]),
            labels,
            hyper,
            metrics,
            logits,
            losses,
            ranks,
            loss_scale,
            input_gradient,
            batch,
            classes,
            first_scale: options.loss_scale.unwrap_or(1.0),
            class_weights,
        })
    }

    /// The parameter that updates call by `number` (see [`crate::ops::Update::number`]).
    pub fn trained(&self, number: u32) -> Option<&Parameter> {
        let trained = self.parameters.iter().filter(|p| p.gradient.is_some());
        trained.zip(1u32..).find(|(_, own)| *own == number).map(|(p, _)| p)
    }

    /// The parameters and running statistics that have a moving average, with its buffer.
    pub fn averages(&self) -> impl Iterator<Item = (&Parameter, BufferId)> {
        self.parameters.iter().chain(&self.state).filter_map(|p| p.average.map(|average| (p, average)))
    }

    /// Number of trainable values.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(|p| p.shape.len()).sum()
    }

    /// Initial values of parameters and running statistics, drawn from `seed`, zeros for the optimiser's state, the first loss
    /// scale, and the class weights.
    pub fn initial(&self, seed: u64) -> Result<Vec<(BufferId, Vec<f32>)>> {
        let mut values = Vec::new();
        for (number, p) in self.parameters.iter().chain(&self.state).enumerate() {
            let random = Stream::new(seed, Purpose::Initialise, number as u32);
            let len = p.shape.len();
            let data = match &p.start {
                Start::Weight { init, fan_in, fan_out } => init.weight(len, *fan_in, *fan_out, random),
                Start::Bias { init, fan_in } => init.bias(len, *fan_in, random),
                Start::Fill(value) => vec![*value; len],
            };
            if data.len() != len {
                return Err(Error::Model(format!(
                    "{}: init: expected {len} values, found {}",
                    p.name,
                    data.len()
                )));
            }
            if let Some(average) = p.average {
                values.push((average, data.clone()));
            }
            values.push((p.buffer, data));
        }
        for (number, buffer) in self.program.buffers().iter().enumerate() {
            let id = BufferId(number as u32);
            if self.loss_scale == Some(id) {
                values.push((id, Scaling::new(self.first_scale).as_words().to_vec()));
            } else if buffer.role == Role::Optimizer {
                values.push((id, vec![0.0; buffer.shape.len()]));
            }
        }
        values.extend(self.class_weights.clone());
        Ok(values)
    }

    /// Names of the optimiser's buffers of one parameter, as the update built them.
    pub fn optimizer_state(&self, parameter: &str) -> Vec<(String, BufferId)> {
        OptimizerState::NAMES
            .iter()
            .filter_map(|kind| {
                let name = format!("{kind}.{parameter}");
                self.program.find(&name).map(|id| (name, id))
            })
            .collect()
    }
}
