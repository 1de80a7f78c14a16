//! How a network is trained: the table `[recipe]` of a model file.

use super::class_weights::ClassWeights;
use super::reader::Table;
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// An enum whose variants have names in files and flags.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// Every variant with its name.
            pub const ALL: &'static [(&'static str, $name)] = &[$(($text, $name::$variant)),*];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$variant => $text),* })
            }
        }

        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|(name, _)| *name).collect();
                    Error::Usage(format!("expected one of {}, found {text}", names.join(", ")))
                })
            }
        }
    };
}

named! {
    /// The update rule (formulas: [`crate::ops::Update`]).
    Optimizer { Sgd = "sgd", Adam = "adam", AdamW = "adamw", RmsProp = "rmsprop" }
}

named! {
    /// How the learning rate changes.
    Scheduler {
        /// Always `lr`.
        Constant = "constant",
        /// Times `lr_gamma` every `lr_step_size` epochs.
        Step = "step",
        /// Times `lr_gamma` at each epoch of `lr_milestones`.
        MultiStep = "multistep",
        /// Half a cosine from `lr` to `lr_min`.
        Cosine = "cosine",
        /// lr (1 - t / T)^lr_power.
        Poly = "poly",
        /// Times `lr_gamma` when validation has not improved for `lr_patience` epochs.
        Plateau = "plateau",
    }
}

named! {
    /// The loss that training minimises.
    LossKind {
        /// Softmax and cross-entropy, mean over the batch.
        CrossEntropy = "cross-entropy",
        /// Half the squared error summed over the outputs, mean over the batch.
        Mse = "mse",
    }
}

/// The training recipe. Flags of the command line override its fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    pub epochs: usize,
    pub batch_size: usize,
    pub optimizer: Optimizer,
    pub lr: f32,
    /// SGD and RMSprop: momentum. Adam: beta1.
    pub momentum: f32,
    pub nesterov: bool,
    /// Adam: beta2. RMSprop: alpha.
    pub beta2: f32,
    pub eps: f32,
    pub weight_decay: f32,
    pub lr_scheduler: Scheduler,
    /// In epochs.
    pub lr_step_size: usize,
    /// In epochs, ascending.
    pub lr_milestones: Vec<usize>,
    pub lr_gamma: f32,
    /// Smallest learning rate of cosine and plateau.
    pub lr_min: f32,
    pub lr_power: f32,
    /// In epochs.
    pub lr_patience: usize,
    /// Cuts that plateau makes at most; where it would make one more, training ends. `None`: any number.
    pub lr_cuts: Option<usize>,
    /// Epochs (also a fraction of one) over which the rate rises from 0.
    pub lr_warmup_epochs: f32,
    pub label_smoothing: f32,
    /// Weights of the classes in the training loss (cross-entropy).
    pub class_weights: ClassWeights,
    /// Largest norm of all gradients together.
    pub clip_grad_norm: Option<f32>,
    /// Batches whose gradients are added before an update.
    pub grad_accum_steps: usize,
    pub loss: LossKind,
    /// Epochs without improvement after which training stops.
    pub patience: Option<usize>,
    /// Data set to use when none is given, e.g. "fashion-mnist".
    pub data: Option<String>,
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            epochs: 10,
            batch_size: 128,
            optimizer: Optimizer::Sgd,
            lr: 0.01,
            momentum: 0.9,
            nesterov: false,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            lr_scheduler: Scheduler::Constant,
            lr_step_size: 30,
            lr_milestones: Vec::new(),
            lr_gamma: 0.1,
            lr_min: 0.0,
            lr_power: 1.0,
            lr_patience: 5,
            lr_cuts: None,
            lr_warmup_epochs: 0.0,
            label_smoothing: 0.0,
            class_weights: ClassWeights::None,
            clip_grad_norm: None,
            grad_accum_steps: 1,
            loss: LossKind::CrossEntropy,
            patience: None,
            data: None,
        }
    }
}

impl Recipe {
    pub(super) fn read(table: Option<Table<'_>>) -> Result<Self> {
        let Some(t) = table else { return Ok(Recipe::default()) };
        let optimizer = t.word("optimizer", Optimizer::ALL, Optimizer::Sgd)?;
        let d = Recipe::for_optimizer(optimizer);
        let recipe = Recipe {
            epochs: t.or("epochs", d.epochs)?,
            batch_size: t.or("batch_size", d.batch_size)?,
            optimizer,
            lr: t.or("lr", d.lr)?,
            momentum: t.or("momentum", d.momentum)?,
            nesterov: t.or("nesterov", d.nesterov)?,
            beta2: t.or("beta2", d.beta2)?,
            eps: t.or("eps", d.eps)?,
            weight_decay: t.or("weight_decay", d.weight_decay)?,
            lr_scheduler: t.word("lr_scheduler", Scheduler::ALL, d.lr_scheduler)?,
            lr_step_size: t.or("lr_step_size", d.lr_step_size)?,
            lr_milestones: t.or("lr_milestones", d.lr_milestones)?,
            lr_gamma: t.or("lr_gamma", d.lr_gamma)?,
            lr_min: t.or("lr_min", d.lr_min)?,
            lr_power: t.or("lr_power", d.lr_power)?,
            lr_patience: t.or("lr_patience", d.lr_patience)?,
            lr_cuts: t.get("lr_cuts")?,
            lr_warmup_epochs: t.or("lr_warmup_epochs", d.lr_warmup_epochs)?,
            label_smoothing: t.or("label_smoothing", d.label_smoothing)?,
            class_weights: t.or("class_weights", d.class_weights)?,
            clip_grad_norm: t.get("clip_grad_norm")?,
            grad_accum_steps: t.or("grad_accum_steps", d.grad_accum_steps)?,
            loss: t.word("loss", LossKind::ALL, d.loss)?,
            patience: t.get("patience")?,
            data: t.get("data")?,
        };
        t.finish()?;
        recipe.check().map_err(|(key, what)| t.error(key, what))?;
        Ok(recipe)
    }

    /// The defaults that PyTorch gives to an optimiser: momentum (or beta1), beta2 (or alpha), eps and lr.
    pub fn for_optimizer(optimizer: Optimizer) -> Self {
        let (lr, momentum, beta2, weight_decay) = match optimizer {
            Optimizer::Sgd => (0.01, 0.9, 0.999, 0.0),
            Optimizer::Adam => (0.001, 0.9, 0.999, 0.0),
            Optimizer::AdamW => (0.001, 0.9, 0.999, 0.01),
            Optimizer::RmsProp => (0.01, 0.0, 0.99, 0.0),
        };
        Recipe { optimizer, lr, momentum, beta2, weight_decay, ..Recipe::default() }
    }

    /// Returns the first field with an invalid value, with the expected and the found value.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let positive = |key, value: f32| {
            let good = value > 0.0 && value.is_finite();
            if good { Ok(()) } else { Err((key, format!("expected a number above 0, found {value}"))) }
        };
        let below_one = |key, value: f32| {
            let good = (0.0..1.0).contains(&value);
            if good {
                Ok(())
            } else {
                Err((key, format!("expected 0 or more and less than 1, found {value}")))
            }
        };
        let not_negative = |key, value: f32| {
            let good = value >= 0.0 && value.is_finite();
            if good { Ok(()) } else { Err((key, format!("expected 0 or more, found {value}"))) }
        };
        let some = |key, value: usize| {
            if value > 0 { Ok(()) } else { Err((key, "expected at least 1, found 0".to_string())) }
        };
        some("epochs", self.epochs)?;
        some("batch_size", self.batch_size)?;
        some("grad_accum_steps", self.grad_accum_steps)?;
        some("lr_step_size", self.lr_step_size)?;
        not_negative("lr", self.lr)?;
        below_one("momentum", self.momentum)?;
        below_one("beta2", self.beta2)?;
        positive("eps", self.eps)?;
        not_negative("weight_decay", self.weight_decay)?;
        not_negative("lr_warmup_epochs", self.lr_warmup_epochs)?;
        not_negative("lr_min", self.lr_min)?;
        positive("lr_gamma", self.lr_gamma)?;
        below_one("label_smoothing", self.label_smoothing)?;
        self.class_weights.check().map_err(|what| ("class_weights", what))?;
        if let Some(norm) = self.clip_grad_norm {
            positive("clip_grad_norm", norm)?;
        }
        if self.nesterov && self.momentum == 0.0 {
            return Err(("nesterov", "expected a momentum greater than 0 beside it".into()));
        }
        if !self.lr_milestones.is_sorted() {
            return Err(("lr_milestones", format!("expected rising epochs, found {:?}", self.lr_milestones)));
        }
        Ok(())
    }
}
