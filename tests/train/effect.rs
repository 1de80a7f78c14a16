//! Every key of a recipe has an effect on training, or `Recipe::idle` says that it has none: for all optimizers, schedulers and losses.

use super::training_support::{plain, train};
use std::sync::Arc;
use striate::Spec;
use striate::data::{Dataset, Images, Labels, Splits};
use striate::model::{ClassWeights, LossKind, Optimizer, Recipe, Scheduler};

/// Two classes that are learnt at once, and a validation set in which they are exchanged: its error and its loss only rise.
fn contrary() -> Splits {
    let set = |swapped: u32| Dataset {
        name: "contrary".into(),
        shape: [1, 1, 2],
        classes: 2,
        class_names: vec!["a".into(), "b".into()],
        images: Images::U8(
            (0..12).flat_map(|i| if i % 2 == 0 { [250, 3 * i] } else { [3 * i, 240] }).collect(),
        ),
        labels: Labels::Classes((0..12).map(|i| (i + swapped) % 2).collect()),
    };
    Splits::new(Arc::new(set(0)), Arc::new(set(1)))
}

const NETWORK: &str = "name = \"n\"\ninput = [1, 1, 2]\n[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 2";

/// A recipe in which everything that can have an effect has one: two batches an update, clipped, cut rates, a stop before the end.
fn recipe(optimizer: Optimizer, lr_scheduler: Scheduler, loss: LossKind) -> Recipe {
    Recipe {
        epochs: 9,
        batch_size: 3,
        momentum: 0.8,
        nesterov: optimizer == Optimizer::Sgd,
        eps: 1e-3,
        weight_decay: 0.05,
        lr: 0.3,
        lr_scheduler,
        lr_step_size: 2,
        lr_milestones: vec![1, 3],
        lr_gamma: 0.5,
        // Reached by every scheduler that falls.
        lr_min: 0.1,
        lr_power: 2.0,
        lr_patience: 1,
        lr_cuts: Some(3),
        lr_warmup_epochs: 1.0,
        label_smoothing: if loss == LossKind::CrossEntropy { 0.2 } else { 0.0 },
        clip_grad_norm: Some(0.3),
        grad_accum_steps: 2,
        loss,
        patience: Some(7),
        ..Recipe::for_optimizer(optimizer)
    }
}

/// One key, changed.
type Change = (&'static str, fn(&mut Recipe));

/// Every key but those that are walked over, and where the data lies.
const CHANGES: [Change; 21] = [
    ("epochs", |r| r.epochs = 5),
    ("batch_size", |r| r.batch_size = 4),
    ("lr", |r| r.lr = 0.35),
    ("momentum", |r| r.momentum = 0.7),
    ("nesterov", |r| r.nesterov = !r.nesterov),
    ("beta2", |r| r.beta2 = 0.9),
    ("eps", |r| r.eps = 1e-2),
    ("weight_decay", |r| r.weight_decay = 0.1),
    ("lr_step_size", |r| r.lr_step_size = 3),
    ("lr_milestones", |r| r.lr_milestones = vec![2]),
    ("lr_gamma", |r| r.lr_gamma = 0.8),
    ("lr_min", |r| r.lr_min = 0.15),
    ("lr_power", |r| r.lr_power = 3.0),
    ("lr_patience", |r| r.lr_patience = 0),
    ("lr_cuts", |r| r.lr_cuts = Some(1)),
    ("lr_warmup_epochs", |r| r.lr_warmup_epochs = 2.0),
    ("label_smoothing", |r| r.label_smoothing = 0.1),
    ("class_weights", |r| {
        r.class_weights = ClassWeights::Named([("a".into(), 1.0), ("b".into(), 3.0)].into())
    }),
    ("clip_grad_norm", |r| r.clip_grad_norm = Some(0.15)),
    ("grad_accum_steps", |r| r.grad_accum_steps = 1),
    ("patience", |r| r.patience = Some(1)),
];

/// The weights after every epoch.
fn outcome(recipe: Recipe, data: &Splits) -> Vec<String> {
    let mut spec = Spec::parse(NETWORK, "n").unwrap();
    spec.recipe = recipe;
    train(&spec, data, &plain()).epochs().into_iter().map(|epoch| epoch.weights_sha256).collect()
}

#[test]
fn a_key_changes_the_training_or_is_known_to_be_idle() {
    let data = contrary();
    let mut wrong = Vec::new();
    let (mut idle, mut effective) = (0, 0);
    for &(_, optimizer) in Optimizer::ALL {
        for &(_, scheduler) in Scheduler::ALL {
            for &(_, loss) in LossKind::ALL {
                let base = recipe(optimizer, scheduler, loss);
                let before = outcome(base.clone(), &data);
                for (key, change) in CHANGES {
                    let mut changed = base.clone();
                    change(&mut changed);
                    // Class weights are an error beside a loss that they do not belong to.
                    let is_refused = key == "class_weights" && loss == LossKind::Mse;
                    let has_effect = !is_refused && outcome(changed, &data) != before;
                    let is_idle = base.idle(key).is_some();
                    if has_effect == is_idle {
                        wrong.push(format!(
                            "{key} with {optimizer}, {scheduler}, {loss}: effect {has_effect}, idle {is_idle}"
                        ));
                    }
                    if is_idle { idle += 1 } else { effective += 1 }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(idle > 200 && effective > 500, "{idle} {effective}");
}

/// The list of changes names every key: one that is added to the recipe has to be added here.
#[test]
fn no_key_is_forgotten() {
    // Taken apart so that a new field does not compile.
    let Recipe {
        epochs: _,
        batch_size: _,
        optimizer: _,
        lr: _,
        momentum: _,
        nesterov: _,
        beta2: _,
        eps: _,
        weight_decay: _,
        lr_scheduler: _,
        lr_step_size: _,
        lr_milestones: _,
        lr_gamma: _,
        lr_min: _,
        lr_power: _,
        lr_patience: _,
        lr_cuts: _,
        lr_warmup_epochs: _,
        label_smoothing: _,
        class_weights: _,
        clip_grad_norm: _,
        grad_accum_steps: _,
        loss: _,
        patience: _,
        data: _,
    } = Recipe::default();
    // Of 25 fields: optimizer, lr_scheduler and loss are walked over, data says where the samples lie.
    assert_eq!(CHANGES.len(), 25 - 4);
}
