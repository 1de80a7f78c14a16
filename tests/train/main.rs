//! Training: the loop, its schedules, its losses and how a run is resumed.

mod agreement;
mod divergence;
mod effect;
mod fine_tuning;
mod imbalance;
mod lone;
mod loss_scaling;
mod regularization;
mod resume;
mod schedule;
mod trainer;
#[path = "../support/training.rs"]
mod training_support;
