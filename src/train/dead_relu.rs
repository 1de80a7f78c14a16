//! Finds dead ReLUs: channels whose output is 0 for every image, so that no gradient reaches the layers before them. A few
//! images run through a small program beside the training program, with the weights at the end of an epoch.

use super::task::ExecutorFactory;
use crate::data::Splits;
use crate::error::Result;
use crate::inference::{BatchSource, restore, send, target};
use crate::model::{BuildOptions, Model, Spec};
use crate::ops::Hyper;
use crate::program::Span;
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Images that are examined.
const IMAGES: usize = 32;
/// Share of dead channels from which a layer is reported. A network that learns may have dead channels too; with nine of ten
/// dead, almost nothing passes through the layer.
const DEAD: f64 = 0.9;
/// Bytes that the program may take.
const MEMORY: u64 = 512 << 20;
/// Training time between two checks, in multiples of the time that a check takes.
const PAUSE: u32 = 100;

/// The check, with what it has found in a run so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct DeadReluCheck {
    /// Layers that have been reported.
    #[serde(rename = "said")]
    reported: BTreeSet<String>,
    /// Duration of the last check.
    took: Option<Duration>,
    /// Training time since then.
    trained: Duration,
}

impl DeadReluCheck {
    /// Whether a check is due at the end of an epoch that took `trained`: after the first one, and whenever a check takes a
    /// hundredth of the training time since the last one.
    pub fn is_due(&mut self, trained: Duration) -> bool {
        self.trained += trained;
        self.took.is_none_or(|took| self.trained >= took * PAUSE)
    }

    /// One line for each layer that is found dead for the first time, with the weights `tensors`.
    pub fn check(
        &mut self,
        spec: &Spec,
        data: &Splits,
        source: &BatchSource,
        tensors: &[(String, Tensor)],
        executors: &ExecutorFactory<'_>,
    ) -> Result<Vec<String>> {
        let began = Instant::now();
        let data = if data.val.is_empty() { &data.train } else { &data.val };
        let images = Arc::new(data.spread(IMAGES));
        let build = BuildOptions {
            pixels: source.takes_pixels().then_some(data.shape),
            training: false,
            fuse: false,
            keep: true,
            target: target(data, spec.recipe.loss)?,
            ..BuildOptions::new(images.len())
        };
        let model = within(spec, build, MEMORY)?;
        let relus: Vec<_> = model
            .layers
            .iter()
            .filter(|l| matches!(l.op, "relu" | "relu6") && !self.reported.contains(&l.name))
            .collect();
        let mut alive: Vec<Vec<bool>> = relus.iter().map(|l| vec![false; l.output.dims()[1]]).collect();
        let mut rows = 0;
        if !relus.is_empty() {
            let mut executor = executors(Arc::clone(&model.program))?;
            restore(&model, executor.as_mut(), tensors)?;
            for batch in source.of_size(model.batch).in_order(&images)? {
                let batch = batch?;
                send(
                    &model,
                    executor.as_mut(),
                    &batch,
                    &Hyper { rows: batch.rows as u32, ..Hyper::default() },
                )?;
                executor.run(Span::Forward)?;
                rows += batch.rows;
                for (layer, alive) in relus.iter().zip(&mut alive) {
                    let Some(buffer) = layer.buffer else { continue };
                    let y = executor.read(buffer)?;
                    let plane = layer.output.dims()[2..].iter().product::<usize>();
                    let planes = y.chunks(plane.max(1)).take(batch.rows * alive.len());
                    for (number, plane) in planes.enumerate() {
                        let channel = number % alive.len();
                        alive[channel] = alive[channel] || plane.iter().any(|&y| y != 0.0);
                    }
                }
            }
        }
        let mut lines = Vec::new();
        for (layer, alive) in relus.iter().zip(&alive) {
            let (all, dead) = (alive.len(), alive.iter().filter(|&&alive| !alive).count());
            if rows > 0 && dead as f64 >= DEAD * all as f64 {
                let what = if layer.output.dims().len() > 2 { "channels" } else { "units" };
                lines.push(format!(
                    "{}: {dead} of {all} {what} are 0 for all {rows} images (dead ReLUs); try a lower learning rate, or biases that start above 0",
                    layer.name
                ));
                self.reported.insert(layer.name.clone());
            }
        }
        (self.took, self.trained) = (Some(began.elapsed()), Duration::ZERO);
        Ok(lines)
    }
}

/// The model of `spec` built with `build`, with fewer rows (at least 1) if it would take more than `bytes`.
pub(super) fn within(spec: &Spec, mut build: BuildOptions, bytes: u64) -> Result<Model> {
    loop {
        let model = Model::build(spec, &build)?;
        if build.batch <= 1 || model.program.plan().bytes() <= bytes {
            return Ok(model);
        }
        build.batch = build.batch.div_ceil(2);
    }
}
