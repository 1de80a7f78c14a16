//! The identity of a run as checkpoints of format 1 hold it. Those programs printed their values with `{:?}`; this module keeps
//! that text for the types of that time, independently of later changes. Nothing here may change: numbers, strings, and
//! lists and options of them are printed as the standard library prints them, everything else is spelled out.

use super::identity::{Identity, classes, images, imbalance, labels};
use crate::data::Splits;
use crate::model::{Fan, Init, Layer, LayerOp, LossKind, Optimizer, Recipe, Scheduler, Spec, WeightInit};
use crate::train::Options;
use crate::view::{Augment, Crop};
use std::fmt::Debug;

/// The lines of a run of `spec` on `data` under `options`.
pub fn identity(spec: &Spec, data: &Splits, options: &Options) -> Identity {
    let mut lines = Identity::new();
    recipe(&spec.recipe, &mut lines);
    let mut put = |key: &str, value: String| {
        lines.insert(key.to_string(), value);
    };
    put("seed", options.seed.to_string());
    put("shuffle", options.shuffle.to_string());
    put("augment", options.augment.to_string());
    put("dropout", options.dropout.to_string());
    put("overfit-batch", options.overfit_batch.to_string());
    put("freeze", text(&options.freeze));
    if let Some(scale) = options.loss_scale {
        put("amp", text(&scale));
    }
    // Runs of that time had none of these.
    let model_erasing = Some(spec.augment.random_erasing);
    for (key, value) in [
        ("ema", options.ema),
        ("mixup", options.mixup),
        ("cutmix", options.cutmix),
        ("random-erasing", options.random_erasing.or(model_erasing).filter(|&probability| probability > 0.0)),
    ] {
        if let Some(value) = value {
            put(key, text(&value));
        }
    }
    if options.trivial_augment || spec.augment.trivial_augment {
        put("trivial-augment", "true".into());
    }
    put("input", text(&spec.input));
    put("preprocess", preprocess(spec));
    if spec.preprocess.square {
        put("square", "true".into());
    }
    if let Some(version) = spec.geometry.rules.version() {
        put("geometry", text(&version));
    }
    if spec.geometry.ignore_exif {
        put("ignore-exif", "true".into());
    }
    put("changes of pictures", augment(&spec.augment));
    for (number, layer) in spec.layers.iter().enumerate() {
        put(&format!("layer {number:03} {}", layer.name), self::layer(layer));
    }
    for (which, dataset) in [("training", &data.train), ("validation", &data.val)] {
        put(&format!("{which} samples"), dataset.len().to_string());
        put(&format!("{which} shape"), text(&dataset.shape));
        put(&format!("{which} classes"), text(&classes(dataset)));
        put(&format!("{which} labels"), text(&labels(dataset)));
        put(&format!("{which} images"), text(&images(dataset)));
    }
    imbalance(spec, options, &mut lines);
    lines
}

/// A number, a string, or a list or option of them.
fn text(value: &dyn Debug) -> String {
    format!("{value:?}")
}

fn recipe(recipe: &Recipe, lines: &mut Identity) {
    let mut put = |key: &str, value: String| {
        lines.insert(key.to_string(), value);
    };
    put("epochs", recipe.epochs.to_string());
    put("batch-size", recipe.batch_size.to_string());
    put("opt", optimizer(recipe.optimizer).into());
    put("lr", text(&recipe.lr));
    put("momentum", text(&recipe.momentum));
    put("nesterov", recipe.nesterov.to_string());
    put("beta2", text(&recipe.beta2));
    put("eps", text(&recipe.eps));
    put("weight-decay", text(&recipe.weight_decay));
    let scheduler = match recipe.lr_scheduler {
        Scheduler::Constant => "Constant",
        Scheduler::Step => "Step",
        Scheduler::MultiStep => "MultiStep",
        Scheduler::Cosine => "Cosine",
        Scheduler::Poly => "Poly",
        Scheduler::Plateau => "Plateau",
    };
    put("lr-scheduler", scheduler.into());
    put("lr-step-size", recipe.lr_step_size.to_string());
    put("lr-milestones", text(&recipe.lr_milestones));
    put("lr-gamma", text(&recipe.lr_gamma));
    put("lr-min", text(&recipe.lr_min));
    put("lr-power", text(&recipe.lr_power));
    put("lr-patience", recipe.lr_patience.to_string());
    put("lr-cuts", text(&recipe.lr_cuts));
    put("lr-warmup-epochs", text(&recipe.lr_warmup_epochs));
    put("label-smoothing", text(&recipe.label_smoothing));
    put("clip-grad-norm", text(&recipe.clip_grad_norm));
    put("grad-accum-steps", recipe.grad_accum_steps.to_string());
    let loss = match recipe.loss {
        LossKind::CrossEntropy => "CrossEntropy",
        LossKind::Mse => "Mse",
    };
    put("loss", loss.into());
    put("patience", text(&recipe.patience));
}

/// The line `opt` of an optimiser.
pub fn optimizer(optimizer: Optimizer) -> &'static str {
    match optimizer {
        Optimizer::Sgd => "Sgd",
        Optimizer::Adam => "Adam",
        Optimizer::AdamW => "AdamW",
        Optimizer::RmsProp => "RmsProp",
    }
}

fn preprocess(spec: &Spec) -> String {
    let p = &spec.preprocess;
    format!(
        "Preprocess {{ resize: {:?}, crop: {:?}, scale: {:?}, mean: {:?}, std: {:?}, principal: Principal {{ values: {:?}, \
         vectors: {:?} }} }}",
        p.resize, p.crop, p.scale, p.mean, p.std, p.principal.values, p.principal.vectors
    )
}

fn augment(a: &Augment) -> String {
    let crop = match a.crop {
        Crop::Center => "Center",
        Crop::Random => "Random",
        Crop::RandomResized => "RandomResized",
    };
    format!(
        "Augment {{ crop: {crop}, scale: {:?}, ratio: {:?}, flip: {:?}, pca: {:?}, brightness: {:?}, contrast: {:?}, \
         saturation: {:?}, rotation: {:?}, cutout: {:?} }}",
        a.scale, a.ratio, a.flip, a.pca, a.brightness, a.contrast, a.saturation, a.rotation, a.cutout
    )
}

fn layer(layer: &Layer) -> String {
    let Layer { op, inputs, init, lr_mult, decay_mult, .. } = layer;
    let Init { weight, bias } = init;
    format!(
        "({}, {inputs:?}, Init {{ weight: {}, bias: {bias:?} }}, {lr_mult:?}, {decay_mult:?})",
        operator(op),
        self::weight(weight)
    )
}

fn operator(op: &LayerOp) -> String {
    match op {
        LayerOp::Conv2d(c) => format!(
            "Conv2d {{ out_channels: {:?}, kernel: {:?}, stride: {:?}, padding: {:?}, dilation: {:?}, groups: {:?}, bias: {:?} }}",
            c.out_channels, c.kernel, c.stride, c.padding, c.dilation, c.groups, c.bias
        ),
        LayerOp::Linear(l) => format!("Linear {{ out_features: {:?}, bias: {:?} }}", l.out_features, l.bias),
        LayerOp::Relu(_) => "Relu".into(),
        LayerOp::Sigmoid(_) => "Sigmoid".into(),
        LayerOp::Tanh(_) => "Tanh".into(),
        LayerOp::Softmax(_) => "Softmax".into(),
        LayerOp::Flatten(_) => "Flatten".into(),
        LayerOp::MaxPool2d(p) => pool("MaxPool2d", [p.kernel, p.stride], p.padding, p.ceil),
        LayerOp::AvgPool2d(p) => pool("AvgPool2d", [p.kernel, p.stride], p.padding, p.ceil),
        LayerOp::AdaptiveAvgPool2d(p) => format!("AdaptiveAvgPool2d {{ output: {:?} }}", p.output),
        LayerOp::LocalResponseNorm(n) => format!(
            "LocalResponseNorm {{ size: {:?}, alpha: {:?}, beta: {:?}, k: {:?}, within: {:?} }}",
            n.size, n.alpha, n.beta, n.k, n.within
        ),
        LayerOp::BatchNorm2d(n) => {
            format!("BatchNorm2d {{ eps: {:?}, momentum: {:?} }}", n.eps, n.momentum)
        }
        LayerOp::Dropout(d) => format!("Dropout {{ p: {:?} }}", d.p),
        LayerOp::Add(_) => "Add".into(),
        LayerOp::Concat(_) => "Concat".into(),
        // No checkpoint of format 1 has another operator.
        other => other.name().into(),
    }
}

fn pool(name: &str, [kernel, stride]: [[usize; 2]; 2], padding: [usize; 4], ceil: bool) -> String {
    format!("{name} {{ kernel: {kernel:?}, stride: {stride:?}, padding: {padding:?}, ceil: {ceil:?} }}")
}

fn weight(weight: &WeightInit) -> String {
    let fan = |fan: &Fan| match fan {
        Fan::In => "In",
        Fan::Out => "Out",
    };
    match weight {
        WeightInit::Default => "Default".into(),
        WeightInit::Normal { std } => format!("Normal {{ std: {std:?} }}"),
        WeightInit::Uniform { bound } => format!("Uniform {{ bound: {bound:?} }}"),
        WeightInit::Kaiming { fan: side } => format!("Kaiming {{ fan: {} }}", fan(side)),
        WeightInit::KaimingUniform { fan: side } => format!("KaimingUniform {{ fan: {} }}", fan(side)),
        WeightInit::Xavier => "Xavier".into(),
        WeightInit::XavierNormal => "XavierNormal".into(),
        WeightInit::Constant { value } => format!("Constant {{ value: {value:?} }}"),
        WeightInit::Values(values) => format!("Values({values:?})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dataset, Images, Labels};
    use std::sync::Arc;

    /// A network with every layer of that time, and the lines that the program of that time wrote for it.
    const NETWORK: &str = include_str!("../../../tests/fixtures/checkpoints/version1/every_layer.toml");
    const LINES: &str = include_str!("../../../tests/fixtures/checkpoints/version1/identity.json");

    #[test]
    fn the_lines_are_those_that_the_program_of_that_time_wrote() {
        let spec = Spec::parse(NETWORK, "every_layer.toml").unwrap();
        let options = Options { freeze: Some("n1".into()), ..Options::default() };
        let part = Arc::new(Dataset {
            name: "synthetic".into(),
            shape: [3, 16, 16],
            classes: 3,
            class_names: ["0", "1", "2"].map(String::from).to_vec(),
            images: Images::U8(Vec::new()),
            labels: Labels::Classes((0..16).map(|n| n % 3).collect()),
        });
        let found = identity(&spec, &Splits::of(part), &options);
        let expected: Identity = serde_json::from_str(LINES).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        // Its images were other ones, and fewer validated.
        let is_other = |key: &str| key.ends_with(" images") || key.starts_with("validation ");
        for (key, line) in expected.iter().filter(|(key, _)| !is_other(key)) {
            assert_eq!(found[key], *line, "{key}");
        }
        for (key, line) in expected.iter().filter(|(key, _)| is_other(key)) {
            assert_eq!(found[key].starts_with('"'), line.starts_with('"'), "{key}");
        }
    }

    #[test]
    fn values_that_the_network_does_not_have_are_spelled_as_then() {
        assert_eq!(weight(&WeightInit::Constant { value: 0.5 }), "Constant { value: 0.5 }");
        assert_eq!(weight(&WeightInit::Values(vec![1.0, -2.5])), "Values([1.0, -2.5])");
        assert_eq!(weight(&WeightInit::XavierNormal), "XavierNormal");
        assert_eq!(text(&Some(65536.0f32)), "Some(65536.0)");
        assert_eq!(optimizer(Optimizer::RmsProp), "RmsProp");
    }
}
