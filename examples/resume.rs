//! Trains with a run's folder, so that the run can be stopped at any time, by a crash or a kill, and resumed.
//!
//! `cargo run --release --example resume FOLDER [STEPS]` resumes the newest run of that name (FOLDER, FOLDER-2, ...) that
//! has a checkpoint, or begins one. With STEPS the process ends hard, without saving, once so many updates have been reported. The last line is
//! the hash of the weights: however often the run was killed, it is the same.

use std::path::PathBuf;
use striate::inference::{DataOptions, RecipeOverrides};
use striate::run::{Resume, Run, RunOptions};
use striate::train::{Event, Options};
use striate::{Error, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or_else(|| Error::Usage("expected FOLDER [STEPS]".into()))?;
    let kill_at: Option<usize> = arguments.next().and_then(|text| text.parse().ok());
    let folder = PathBuf::from(folder);

    let mut recipe = RecipeOverrides::default();
    (recipe.epochs, recipe.batch_size) = (Some(3), Some(16));
    let parent = folder.parent().unwrap_or(&folder).to_path_buf();
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let options = RunOptions::of_model("lenet5")
        .with_data(DataOptions::default().with_limits(Some(160), Some(40)))
        .with_recipe(recipe)
        .with_train(Options::default().with_seed(7).with_log_every(1).with_checkpoint_every(4))
        .with_folder(parent, name);
    // A killed run without a checkpoint has nothing to resume: then this begins another, in a folder of the next number.
    let run = Run::open(options, &Resume::Latest, false, &())?;

    let mut hash = String::new();
    let mut observer = |event: &Event| {
        match event {
            Event::Step(step) if kill_at.is_some_and(|kill_at| step.step >= kill_at) => {
                std::process::abort();
            }
            Event::Epoch(epoch) => {
                println!("epoch {}: loss {:.4}", epoch.epoch, epoch.train_loss);
                hash.clone_from(&epoch.weights_sha256);
            }
            _ => {}
        }
        Ok(())
    };
    let done = run.train(&mut observer)?;
    println!("{} steps, weights {hash}", done.steps);
    Ok(())
}
