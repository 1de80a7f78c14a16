//! What in an image speaks for an answer: Grad-CAM and saliency, from the gradient of one output of the network.

use super::batches::BatchSource;
use super::evaluate::send;
use super::metrics::first;
use super::weights::load;
use crate::data::{Batch, Dataset};
use crate::error::{Error, Result};
use crate::interchange::File;
use crate::model::{BuildOptions, Conv2d, LayerOp, LossKind, Model, Optimizer, Recipe, Spec};
use crate::ops::{Hyper, Target};
use crate::program::{BufferId, Executor, Span};
use crate::tensor::Tensor;
use std::sync::Arc;

/// How an answer is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Explanation {
    /// Grad-CAM (Selvaraju et al. 2017, equations 1 and 2): ReLU(sum over k of a_k A_k), where A_k is the k-th map of a layer and
    /// a_k the mean over the map of the gradient of the output.
    GradCam,
    /// Saliency (Simonyan et al. 2014, section 3): the greatest absolute value, over the channels, of the gradient of the output
    /// with respect to the network's input.
    Saliency,
}

/// The explanation of one answer.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainedAnswer {
    /// Its number in the data set.
    pub sample: usize,
    /// The network's outputs.
    pub outputs: Vec<f64>,
    /// The output that is explained: the greatest.
    pub class: usize,
    /// Height and width of the map, and its values, 0 or more, row by row.
    pub size: [usize; 2],
    pub map: Vec<f32>,
}

/// A program that computes the gradient of one output.
#[derive(Debug)]
pub struct Explainer {
    pub model: Model,
    /// How the program was built, and for which network: what the memory is checked for.
    pub build: BuildOptions,
    pub spec: Spec,
    explanation: Explanation,
    /// Values and gradients of the layer, or of the input.
    buffers: [BufferId; 2],
    /// Channels, height and width of both.
    shape: [usize; 3],
    file: File,
}

impl Explainer {
    /// For the network `spec` with the weights in `file`, whose images are stored as `pixels` if they are. `layer` is the
    /// number of the layer that [`Explanation::GradCam`] looks at.
    ///
    /// # Errors
    /// [`Error::Usage`] if that layer has no maps, or if the network normalises flat values.
    pub fn new(
        spec: &Spec,
        mut file: File,
        explanation: Explanation,
        layer: Option<usize>,
        pixels: Option<[usize; 3]>,
    ) -> Result<Explainer> {
        let spec = differentiable(spec, &mut file)?;
        let mut build = BuildOptions {
            dropout: false,
            fuse: false,
            keep: true,
            input_gradient: explanation == Explanation::Saliency,
            target: Target::Values,
            pixels,
            ..BuildOptions::new(1)
        };
        // Every gradient is computed that any parameter needs: all but those of the first one are left out.
        let plain = Model::build(&spec, &BuildOptions { training: false, ..build.clone() })?;
        let names: Vec<&str> =
            plain.parameters.iter().skip(1).map(|parameter| parameter.name.as_str()).collect();
        let first_name = plain.parameters.first().map_or("", |parameter| parameter.name.as_str());
        // Names with a comma, and those that begin as the first one does, cannot be told from it.
        let is_clear = |name: &&str| !name.contains(',') && !first_name.starts_with(*name);
        if names.iter().all(is_clear) && !names.is_empty() {
            build.freeze = Some(names.join(","));
        }
        let model = Model::build(&spec, &build)?;
        let (values, gradient, dims) = match (explanation, layer) {
            (Explanation::Saliency, _) => (Some(model.input), model.input_gradient, spec.input.to_vec()),
            (Explanation::GradCam, layer) => {
                let info = layer.and_then(|layer| model.layers.get(layer));
                let info = info.ok_or_else(|| Error::Internal("Grad-CAM without a layer".into()))?;
                (info.buffer, info.gradient, info.output.dims()[1..].to_vec())
            }
        };
        let (Some(values), Some(gradient), &[channels, height, width]) = (values, gradient, &dims[..]) else {
            let what = "expected a layer whose output is maps (channels, height and width) and that computes something";
            return Err(Error::Usage(format!("layer: {what}, found an output of {dims:?}")));
        };
        let (buffers, shape) = ([values, gradient], [channels, height, width]);
        Ok(Explainer { model, build, spec, explanation, buffers, shape, file })
    }

    /// Writes the weights into `executor`, which must be one of the model's program.
    pub fn load(&self, executor: &mut dyn Executor) -> Result<()> {
        for (buffer, values) in self.model.initial(0)? {
            executor.write(buffer, &values)?;
        }
        load(&self.model, executor, self.file.clone(), None)
    }

    /// Explains the answer to every sample of `data`, in order; `source` must be one of the model. Samples that cannot be read are
    /// left out, as `source` says.
    pub fn explain(
        &self,
        executor: &mut dyn Executor,
        data: &Arc<Dataset>,
        source: &BatchSource,
        each: &mut dyn FnMut(ExplainedAnswer) -> Result<()>,
    ) -> Result<()> {
        let mut batches = source.in_order(data)?;
        while let Some(batch) = batches.next() {
            let mut batch = batch?;
            if batch.rows > 0 {
                each(self.one(executor, &mut batch)?)?;
            }
            batches.recycle(batch);
        }
        Ok(())
    }

    /// Explains the answer to the only row of `batch`.
    fn one(&self, executor: &mut dyn Executor, batch: &mut Batch) -> Result<ExplainedAnswer> {
        let model = &self.model;
        let hyper = Hyper { rows: 1, loss_scale: 1.0, ..Hyper::default() };
        batch.labels = vec![0.0; model.classes];
        send(model, executor, batch, &hyper)?;
        executor.run(Span::Forward)?;
        let outputs = executor.read(model.logits)?;
        let wide: Vec<f64> = outputs.iter().map(|&value| f64::from(value)).collect();
        let class = first(&wide);
        // The gradient of half the squared error is output - label: with these labels it is 1 for the class, and else 0.
        let mut labels = outputs;
        labels[class] -= 1.0;
        executor.write(model.labels, &labels)?;
        executor.run(Span::Gradients)?;
        let [values, gradients] = self.buffers;
        let (values, gradients) = (executor.read(values)?, executor.read(gradients)?);
        let [_, height, width] = self.shape;
        let map = match self.explanation {
            Explanation::GradCam => grad_cam(&values, &gradients, height * width),
            Explanation::Saliency => saliency(&gradients, height * width),
        };
        let sample = batch.samples.first().map_or(0, |&sample| sample as usize);
        Ok(ExplainedAnswer { sample, outputs: wide, class, size: [height, width], map })
    }
}

/// ReLU(sum over k of mean(gradient k) * map k); maps of `plane` values.
fn grad_cam(values: &[f32], gradients: &[f32], plane: usize) -> Vec<f32> {
    let mut map = vec![0.0f64; plane];
    for (values, gradients) in values.chunks_exact(plane).zip(gradients.chunks_exact(plane)) {
        let weight = gradients.iter().map(|&gradient| f64::from(gradient)).sum::<f64>() / plane as f64;
        map.iter_mut().zip(values).for_each(|(sum, &value)| *sum += weight * f64::from(value));
    }
    map.into_iter().map(|value| value.max(0.0) as f32).collect()
}

/// The greatest |gradient| over the channels.
fn saliency(gradients: &[f32], plane: usize) -> Vec<f32> {
    let mut map = vec![0.0f32; plane];
    for gradients in gradients.chunks_exact(plane) {
        map.iter_mut().zip(gradients).for_each(|(most, gradient)| *most = most.max(gradient.abs()));
    }
    map
}

/// `spec` so that its training steps compute what evaluation does, with the loss whose gradient is output - label: each batch norm
/// becomes the convolution of 1 x 1, channel by channel, that its running statistics make of it.
fn differentiable(spec: &Spec, file: &mut File) -> Result<Spec> {
    let mut spec = spec.clone();
    let names: Vec<String> = spec.layers.iter().map(|layer| format!("{}.weight", layer.name)).collect();
    file.unwrap_names(names.iter().map(String::as_str));
    let mut recipe = Recipe::for_optimizer(Optimizer::Sgd);
    (recipe.loss, recipe.momentum, recipe.batch_size) = (LossKind::Mse, 0.0, 1);
    spec.recipe = recipe;
    let dims = shapes(&spec)?;
    for (layer, dims) in spec.layers.iter_mut().zip(dims) {
        let LayerOp::BatchNorm2d(norm) = &layer.op else { continue };
        if dims.len() != 3 {
            let what = format!("{}: expected batch norms of maps, found one of flat values", layer.name);
            return Err(Error::Usage(what));
        }
        let missing = |part: &str| {
            Error::data(
                &file.path,
                format!("{}.{part}: expected {} values, found none or others", layer.name, dims[0]),
            )
        };
        let take = |part: &str| {
            let tensor = file.tensors.get(&format!("{}.{part}", layer.name));
            tensor
                .map(|tensor| tensor.data().to_vec())
                .filter(|values| values.len() == dims[0])
                .ok_or_else(|| missing(part))
        };
        let [weight, bias, mean, variance] =
            [take("weight")?, take("bias")?, take("running_mean")?, take("running_var")?];
        let scales: Vec<f64> = weight
            .iter()
            .zip(&variance)
            .map(|(&weight, &variance)| {
                f64::from(weight) / (f64::from(variance) + f64::from(norm.eps)).sqrt()
            })
            .collect();
        let shifts = bias
            .iter()
            .zip(&mean)
            .zip(&scales)
            .map(|((&bias, &mean), scale)| (f64::from(bias) - f64::from(mean) * scale) as f32);
        let shifts = Tensor::new([dims[0]], shifts.collect())?;
        let kernel = Tensor::new([dims[0], 1, 1, 1], scales.iter().map(|&scale| scale as f32).collect())?;
        for part in ["running_mean", "running_var", "num_batches_tracked"] {
            file.tensors.remove(&format!("{}.{part}", layer.name));
        }
        file.tensors.insert(format!("{}.weight", layer.name), kernel);
        file.tensors.insert(format!("{}.bias", layer.name), shifts);
        layer.op = LayerOp::Conv2d(Conv2d {
            out_channels: dims[0],
            kernel: [1, 1],
            stride: [1, 1],
            padding: [0; 4],
            dilation: [1, 1],
            groups: dims[0],
            bias: true,
        });
    }
    Ok(spec)
}

/// The extents of the output of each layer, without the batch.
fn shapes(spec: &Spec) -> Result<Vec<Vec<usize>>> {
    let smallest = BuildOptions { training: false, ..BuildOptions::new(1) };
    let layers = Model::build(spec, &smallest)?.layers;
    Ok(layers.iter().map(|layer| layer.output.dims()[1..].to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_those_of_the_formulas() {
        // Two maps of 1 x 2: mean gradients 1 and -2.
        let (values, gradients) = ([3.0, 1.0, 1.0, 1.0], [0.5, 1.5, -3.0, -1.0]);
        assert_eq!(grad_cam(&values, &gradients, 2), [1.0, 0.0]);
        assert_eq!(saliency(&gradients, 2), [3.0, 1.5]);
    }
}
