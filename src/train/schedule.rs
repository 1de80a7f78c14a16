//! The learning rate of every step. `cosine`, `poly` and the warm-up move with every step; `step`, `multistep` and
//! `plateau` move between epochs. Formulas are PyTorch's (`torch.optim.lr_scheduler`); as in torchvision's
//! reference scripts the schedule proper begins when the warm-up has ended.

use crate::error::{Error, Result};
use crate::inference::exact;
use serde::{Deserialize, Serialize};

/// The learning rate of every update of a run: a [`Schedule`], or a rule of your own.
///
/// A closure from the number of the update (from 0) to a rate will do:
///
/// ```
/// use striate::train::LearningRate;
/// let inverse_root: Box<dyn LearningRate> = Box::new(|step: usize| 0.1 / (1.0 + step as f32).sqrt());
/// assert_eq!(inverse_root.lr(3), 0.05);
/// ```
pub trait LearningRate {
    /// The rate of update `step`, counted from 0 over the whole run. It depends only on the step and on what was observed, since
    /// a step may be repeated.
    fn lr(&self, step: usize) -> f32;

    /// Observes an epoch: its validation error in percent, or its loss if there are no classes.
    fn observe(&mut self, _error: f64) {}

    /// Whether training should stop. Called after every epoch.
    fn has_ended(&self) -> bool {
        false
    }

    /// The state that depends on what was observed, as text for a checkpoint; empty if there is none.
    fn state(&self) -> String {
        String::new()
    }

    /// Restores a state that [`LearningRate::state`] returned; the error says what is wrong with the text.
    fn restore(&mut self, _state: &str) -> std::result::Result<(), String> {
        Ok(())
    }
}

impl<F: Fn(usize) -> f32> LearningRate for F {
    fn lr(&self, step: usize) -> f32 {
        self(step)
    }
}

/// How the learning rate falls after the warm-up.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Decay {
    /// It stays the same.
    Constant,
    /// Times `gamma` every `size` epochs (StepLR).
    Step { size: usize, gamma: f64 },
    /// Times `gamma` at each of these epochs (MultiStepLR).
    MultiStep { milestones: Vec<usize>, gamma: f64 },
    /// Half a cosine from the initial rate to the smallest over all steps (CosineAnnealingLR).
    Cosine,
    /// (1 - progress)^power, from the initial rate to the smallest over all steps (PolynomialLR).
    Poly { power: f64 },
    /// Times `gamma` when the validation error has not improved for more than `patience` epochs
    /// (ReduceLROnPlateau with its relative threshold of 1e-4). After `cuts` such cuts the next one ends the run
    /// instead: "reduced three times prior to termination" (Krizhevsky et al. 2012, section 5).
    Plateau { patience: usize, gamma: f64, cuts: Option<usize> },
}

/// A learning-rate schedule over a run of known length.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    decay: Decay,
    initial: f64,
    smallest: f64,
    warmup_epochs: f64,
    epochs: usize,
    steps_per_epoch: usize,
    plateau: Plateau,
}

/// The state of `plateau`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plateau {
    /// The current factor of the initial rate.
    #[serde(with = "exact")]
    reduced: f64,
    #[serde(with = "exact")]
    best_error: f64,
    bad_epochs: usize,
    cuts_made: usize,
    ended: bool,
}

impl Decay {
    /// The largest factor of the initial rate in `epochs` epochs: above 1 only if `gamma` is.
    fn largest_factor(&self, epochs: usize) -> f64 {
        let (gamma, cuts) = match self {
            Decay::Step { size, gamma } => (*gamma, epochs / size.max(&1)),
            Decay::MultiStep { milestones, gamma } => {
                (*gamma, milestones.iter().filter(|&&m| m < epochs).count())
            }
            Decay::Plateau { gamma, cuts, .. } => (*gamma, cuts.unwrap_or(epochs).min(epochs)),
            Decay::Constant | Decay::Cosine | Decay::Poly { .. } => return 1.0,
        };
        gamma.max(1.0).powf(cuts as f64)
    }
}

/// PyTorch's default `threshold` of ReduceLROnPlateau: smaller relative gains do not count.
const PLATEAU_THRESHOLD: f64 = 1e-4;

impl Schedule {
    /// A schedule from `initial` down to at least `smallest`, for `epochs` epochs of `steps_per_epoch` updates, the
    /// first `warmup_epochs` (a fraction is allowed) of which rise linearly to `initial`.
    pub fn new(
        decay: Decay,
        initial: f32,
        smallest: f32,
        warmup_epochs: f32,
        epochs: usize,
        steps_per_epoch: usize,
    ) -> Result<Self> {
        let fault = |what: String| Err(Error::Usage(what));
        if !(initial.is_finite() && initial >= 0.0) {
            return fault(format!("lr must be a number of at least 0, found {initial}"));
        }
        if !(smallest.is_finite() && smallest >= 0.0) {
            return fault(format!("lr-min must be a number of at least 0, found {smallest}"));
        }
        if !(warmup_epochs.is_finite() && warmup_epochs >= 0.0) {
            return fault(format!("lr-warmup-epochs must be a number of at least 0, found {warmup_epochs}"));
        }
        match decay {
            Decay::Step { size: 0, .. } => return fault("lr-step-size must be at least 1, found 0".into()),
            Decay::Step { gamma, .. } | Decay::MultiStep { gamma, .. } | Decay::Plateau { gamma, .. }
                if !(gamma.is_finite() && gamma >= 0.0) =>
            {
                return fault(format!("lr-gamma must be a number of at least 0, found {gamma}"));
            }
            Decay::Poly { power } if !(power.is_finite() && power >= 0.0) => {
                return fault(format!("lr-power must be a number of at least 0, found {power}"));
            }
            _ => {}
        }
        let largest = f64::from(initial) * decay.largest_factor(epochs);
        if largest > f64::from(f32::MAX) {
            return fault(format!("lr-gamma makes the learning rate grow to {largest:e}, beyond any number"));
        }
        Ok(Schedule {
            decay,
            initial: f64::from(initial),
            smallest: f64::from(smallest),
            warmup_epochs: f64::from(warmup_epochs),
            epochs,
            steps_per_epoch: steps_per_epoch.max(1),
            plateau: Plateau {
                reduced: 1.0,
                best_error: f64::INFINITY,
                bad_epochs: 0,
                cuts_made: 0,
                ended: false,
            },
        })
    }

    /// `factor` times the initial rate, but not below the smallest (nor above the initial one on its account).
    fn floor(&self, factor: f64) -> f64 {
        (self.initial * factor).max(self.smallest.min(self.initial))
    }
}

impl LearningRate for Schedule {
    fn lr(&self, step: usize) -> f32 {
        let per_epoch = self.steps_per_epoch as f64;
        let warmup = self.warmup_epochs * per_epoch;
        // The rate is never 0 in the first step and is the full one in the last step of the warm-up.
        if ((step + 1) as f64) < warmup {
            return (self.initial * (step + 1) as f64 / warmup) as f32;
        }
        let since = (step as f64 - warmup).max(0.0);
        let length = (self.epochs as f64 * per_epoch - warmup).max(1.0);
        let progress = (since / length).min(1.0);
        let epoch = ((step / self.steps_per_epoch) as f64 - self.warmup_epochs).max(0.0).floor() as usize;
        let range = self.initial - self.smallest;
        let lr = match &self.decay {
            Decay::Constant => self.initial,
            Decay::Step { size, gamma } => self.floor(gamma.powi((epoch / size) as i32)),
            Decay::MultiStep { milestones, gamma } => {
                self.floor(gamma.powi(milestones.iter().filter(|&&m| m <= epoch).count() as i32))
            }
            Decay::Cosine => self.smallest + range * (1.0 + (std::f64::consts::PI * progress).cos()) / 2.0,
            Decay::Poly { power } => self.smallest + range * (1.0 - progress).powf(*power),
            Decay::Plateau { .. } => self.floor(self.plateau.reduced),
        };
        lr as f32
    }

    /// Only `plateau` uses it.
    fn observe(&mut self, error: f64) {
        let Decay::Plateau { patience, gamma, cuts } = self.decay else { return };
        let state = &mut self.plateau;
        if error < state.best_error * (1.0 - PLATEAU_THRESHOLD) {
            state.best_error = error;
            state.bad_epochs = 0;
        } else {
            state.bad_epochs += 1;
        }
        if state.bad_epochs > patience {
            state.bad_epochs = 0;
            // Fewer may be allowed now than were made before the run was resumed.
            if cuts.is_some_and(|cuts| state.cuts_made >= cuts) {
                state.ended = true;
                return;
            }
            state.reduced *= gamma;
            state.cuts_made += 1;
        }
    }

    /// Whether the error has stopped improving at the schedule's last rate.
    fn has_ended(&self) -> bool {
        self.plateau.ended
    }

    fn state(&self) -> String {
        // Numbers and text in a struct of our own: nothing that JSON could refuse.
        serde_json::to_string(&self.plateau).unwrap_or_default()
    }

    fn restore(&mut self, state: &str) -> std::result::Result<(), String> {
        self.plateau = serde_json::from_str(state).map_err(|error| error.to_string())?;
        // If more cuts are allowed now than when it ended, it made one then instead.
        if let Decay::Plateau { cuts, gamma, .. } = self.decay
            && self.plateau.ended
            && cuts.is_none_or(|cuts| cuts > self.plateau.cuts_made)
        {
            self.plateau.ended = false;
            self.plateau.reduced *= gamma;
            self.plateau.cuts_made += 1;
        }
        Ok(())
    }
}
