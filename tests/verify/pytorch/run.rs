//! Evaluates and trains a fixture's network on an executor, and compares everything with PyTorch.

use super::comparison::Comparison;
use super::fixture::{Fixture, STEPS};
use std::sync::Arc;
use striate::Result;
use striate::inference;
use striate::model::{BuildOptions, LayerOp, Model, Optimizer};
use striate::ops::Hyper;
use striate::program::{BufferId, Executor, Program, Span};

/// Makes an executor of a program.
pub type Make<'a> = dyn Fn(Arc<Program>) -> Result<Box<dyn Executor>> + 'a;

/// Relative error that logits, losses and gradients of the first batch may have.
const TOLERANCE: f64 = 2e-5;
/// The same for the losses of ten steps and the parameters after them.
const TOLERANCE_TRAINED: f64 = 1e-4;

/// How a network is compiled and run. All must give the same numbers.
#[derive(Clone, Debug)]
pub struct Variant {
    pub name: &'static str,
    /// Every buffer is its own, and the gradient of the input is computed.
    keep: bool,
    fuse: bool,
    /// Rows of the batch beyond the real ones, full of numbers that must not matter.
    padding: usize,
    /// Parts that a batch is cut into, whose gradients are accumulated.
    parts: usize,
}

impl Variant {
    /// Everything visible.
    pub fn plain() -> Self {
        Variant { name: "plain", keep: true, fuse: true, padding: 0, parts: 1 }
    }

    /// The variants to run of a fixture. Those that differ from another one in their optimiser alone (and compile
    /// the same kernels again) are run as they are and accumulated.
    pub fn all(fixture: &Fixture) -> Vec<Variant> {
        let plain = Self::plain();
        let accumulated = Variant { name: "accumulated", parts: 2, ..plain.clone() };
        if fixture.spec.recipe.optimizer != Optimizer::Sgd {
            return vec![plain, accumulated];
        }
        let mut variants = vec![
            plain.clone(),
            Variant { name: "unfused", fuse: false, ..plain.clone() },
            Variant { name: "shared memory", keep: false, ..plain.clone() },
            Variant { name: "padded batch", padding: 3, ..plain },
        ];
        // The statistics of a part are not those of the whole batch.
        if !fixture.spec.layers.iter().any(|l| matches!(l.op, LayerOp::BatchNorm2d(_))) {
            variants.push(accumulated);
        }
        variants
    }
}

/// A model on an executor.
struct Session<'f> {
    fixture: &'f Fixture,
    variant: &'f Variant,
    model: Model,
    executor: Box<dyn Executor>,
}

/// Evaluation, the gradients of one batch, and ten training steps.
pub fn run(fixture: &Fixture, variant: &Variant, make: &Make<'_>) -> Result<Comparison> {
    let rows = fixture.rows();
    let options = BuildOptions {
        dropout: false,
        keep: variant.keep,
        fuse: variant.fuse,
        input_gradient: variant.keep,
        clip: fixture.spec.recipe.clip_grad_norm.is_some(),
        accumulate: variant.parts > 1,
        class_weights: fixture.class_weights(),
        ..BuildOptions::new(rows.div_ceil(variant.parts) + variant.padding)
    };
    let model = Model::build(&fixture.spec, &options)?;
    let mut executor = make(model.program.clone())?;
    // For the optimiser's state; parameters follow.
    for (buffer, values) in model.initial(0)? {
        executor.write(buffer, &values)?;
    }
    for p in model.parameters.iter().chain(&model.state) {
        executor.write(p.buffer, fixture.get(&format!("parameter.{}", p.name)))?;
    }
    Session { fixture, variant, model, executor }.compare()
}

impl Session<'_> {
    fn compare(mut self) -> Result<Comparison> {
        let mut comparison = Comparison::default();
        let fixture = self.fixture;
        let (mut evaluation, mut logits, mut input_gradient) = (Vec::new(), Vec::new(), Vec::new());
        for part in 0..self.variant.parts {
            let part_rows = self.send(0, part)?;
            self.executor.run(Span::Forward)?;
            evaluation.extend(self.first_rows(self.model.logits, part_rows)?);
        }
        comparison.add("evaluation", &evaluation, fixture.get("evaluation"), TOLERANCE);

        let mut losses = Vec::new();
        for step in 0..STEPS {
            let mut loss = 0.0;
            for part in 0..self.variant.parts {
                let part_rows = self.send(step, part)?;
                let is_last = part + 1 == self.variant.parts;
                let span = if is_last && step > 0 { Span::Train } else { Span::Gradients };
                self.executor.run(span)?;
                let row_losses = self.first_rows(self.model.losses, part_rows)?;
                loss += row_losses.iter().map(|&l| f64::from(l)).sum::<f64>();
                if step == 0 {
                    logits.extend(self.first_rows(self.model.logits, part_rows)?);
                    if let Some(gradient) = self.model.input_gradient.filter(|_| self.variant.keep) {
                        input_gradient.extend(self.first_rows(gradient, part_rows)?);
                    }
                }
            }
            losses.push((loss / self.weight(step)) as f32);
            if step == 0 {
                self.compare_gradients(&mut comparison)?;
                self.executor.run(Span::Update)?;
            }
        }
        comparison.add("logits", &logits, fixture.get("logits"), TOLERANCE);
        comparison.add("loss", &losses[..1], fixture.get("loss"), TOLERANCE);
        if self.variant.keep {
            comparison.add("grad.input", &input_gradient, fixture.get("grad.input"), TOLERANCE);
        }
        for (step, (found, expected)) in losses.iter().zip(fixture.get("losses")).enumerate() {
            comparison.add(&format!("losses.{step}"), &[*found], &[*expected], TOLERANCE_TRAINED);
        }
        for p in self.model.parameters.iter().chain(&self.model.state) {
            let found = self.executor.read(p.buffer)?;
            let name = format!("final.{}", p.name);
            comparison.add(&name, &found, fixture.get(&name), TOLERANCE_TRAINED);
        }
        Ok(comparison)
    }

    /// The weight of the batch of `step` in the loss.
    fn weight(&self, step: usize) -> f64 {
        let rows = self.fixture.rows();
        let labels: Vec<f32> = (0..rows).map(|row| self.fixture.row(step, row).1).collect();
        self.model.loss_weight(&labels, rows)
    }

    /// Writes part number `part` of a batch and its hyper words; returns its number of rows.
    fn send(&mut self, step: usize, part: usize) -> Result<usize> {
        let (fixture, rows) = (self.fixture, self.fixture.rows());
        let part_len = rows.div_ceil(self.variant.parts);
        let range = part * part_len..((part + 1) * part_len).min(rows);
        let part_rows = range.len();
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for row in range {
            let (image, label) = fixture.row(step, row);
            images.extend_from_slice(image);
            labels.push(label);
        }
        let image_len = images.len() / part_rows;
        images.extend((images.len()..self.model.batch * image_len).map(|i| 3.0 + (i as f32).sin()));
        labels.resize(self.model.batch, 1.0);
        self.executor.write(self.model.input, &images)?;
        self.executor.write(self.model.labels, &labels)?;
        let hyper = Hyper {
            rows: part_rows as u32,
            loss_scale: (1.0 / self.weight(step)) as f32,
            accumulate: u32::from(part > 0),
            ..inference::hyper(&fixture.spec.recipe, 0, step, fixture.spec.recipe.lr)
        };
        self.executor.write(self.model.hyper, hyper.as_words())?;
        Ok(part_rows)
    }

    fn compare_gradients(&mut self, comparison: &mut Comparison) -> Result<()> {
        for p in &self.model.parameters {
            let name = format!("grad.{}", p.name);
            let gradient = p.gradient.unwrap_or_else(|| panic!("{} has no gradient", p.name));
            let found = self.executor.read(gradient)?;
            comparison.add(&name, &found, self.fixture.get(&name), TOLERANCE);
        }
        Ok(())
    }

    /// The real rows of a buffer whose first extent is the batch.
    fn first_rows(&mut self, buffer: BufferId, rows: usize) -> Result<Vec<f32>> {
        let mut values = self.executor.read(buffer)?;
        values.truncate(values.len() / self.model.batch * rows);
        Ok(values)
    }
}
