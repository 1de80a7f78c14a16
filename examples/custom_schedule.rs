//! Trains with a custom learning rate: it rises and falls in triangles, and ends the run when it has brought too
//! little.
//!
//! `cargo run --release --example custom_schedule [SAMPLES]`

use striate::data::{self, Request};
use striate::train::{Event, LearningRate, Options};
use striate::{Device, Network, NetworkOptions, Result, Spec};

/// Up and down between `low` and `high` in `period` updates (Smith, "Cyclical learning rates", 2017).
struct Triangles {
    low: f32,
    high: f32,
    period: usize,
    best: f64,
    gain: f64,
}

impl LearningRate for Triangles {
    fn lr(&self, step: usize) -> f32 {
        let phase = (step % self.period) as f32 / self.period as f32;
        self.low + (self.high - self.low) * (1.0 - (2.0 * phase - 1.0).abs())
    }

    fn observe(&mut self, error: f64) {
        self.gain = self.best - error;
        self.best = self.best.min(error);
    }

    fn has_ended(&self) -> bool {
        self.gain < 0.2
    }
}

fn main() -> Result<()> {
    let samples = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(6400);
    let mut spec = Spec::load("lenet5")?;
    spec.recipe.epochs = 6;
    let request = Request::new(spec.input, 10).with_limit_train(Some(samples)).with_limit_val(Some(1000));
    let data = data::open(&request)?;
    let mut network = Network::new(spec, &Device::best()?, &NetworkOptions::default())?;

    let rule = Triangles { low: 0.0005, high: 0.004, period: 50, best: 100.0, gain: 100.0 };
    let mut observer = |event: &Event| {
        if let Event::Epoch(epoch) = event {
            println!("epoch {}: lr {:.4}, top-1 {:.1} %", epoch.epoch, epoch.lr, epoch.acc1);
        }
        Ok(())
    };
    let done = network.train(&data, &Options::default(), Some(Box::new(rule)), &mut observer)?;
    println!("{} updates, best top-1 {:.1} %", done.steps, done.best_acc1);
    Ok(())
}
