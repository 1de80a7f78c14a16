//! The command that repeats a run: the flags of `striate train` that its options stand for.

use crate::inference::{DataOptions, RecipeOverrides, quoted};
use crate::model::ClassWeights;
use crate::run::{OnDeviceLost, RunOptions};
use crate::train::Options;
use std::fmt::Display;

/// The flags so far.
struct Flags(String);

impl Flags {
    /// Adds a flag with its value, if there is one.
    fn put(&mut self, flag: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            let value = value.to_string();
            // What begins with a dash would be taken for a flag.
            let sign = if value.starts_with('-') { '=' } else { ' ' };
            self.0.push_str(&format!(" --{flag}{sign}{}", quoted(&value)));
        }
    }

    /// Adds a flag without a value.
    fn switch(&mut self, flag: &str, is_on: bool) {
        if is_on {
            self.0.push_str(&format!(" --{flag}"));
        }
    }
}

/// The command that starts a run with `options` and with `program`, the keys that the program keeps in `args.toml`. Where a run
/// is stored is not a part of it: a run that is repeated gets a folder of its own.
pub(super) fn command_of(options: &RunOptions, program: &toml::Table) -> String {
    let mut flags = Flags(String::new());
    flags.put("model", options.model.as_ref());
    data(&mut flags, &options.data);
    flags.put("weights", options.weights.as_ref().map(|path| path.to_string_lossy()));
    flags.put("num-classes", options.num_classes);
    recipe(&mut flags, &options.recipe, options.auto_batch);
    for group in &options.lr_mult {
        flags.put("lr-mult", Some(String::from(group.clone())));
    }
    training(&mut flags, &options.train);
    flags.switch("amp", options.amp);
    flags.switch("no-report", !options.report);
    flags.put(
        "on-device-lost",
        Some(options.on_device_lost).filter(|policy| *policy != OnDeviceLost::default()),
    );
    for (key, value) in program {
        match value.as_str() {
            Some("true") if key == "no_winograd" => flags.switch("no-winograd", true),
            value => flags.put(&key.replace('_', "-"), value),
        }
    }
    format!("striate train{}", flags.0)
}

fn data(flags: &mut Flags, data: &DataOptions) {
    let usual = DataOptions::default();
    flags.put("data-path", data.path.as_ref());
    flags.put("dataset", Some(data.kind).filter(|kind| *kind != usual.kind));
    flags.put("input-range", data.input_range);
    flags.put("image-column", data.image_column.as_ref());
    flags.put("label-column", data.label_column.as_ref());
    flags.put("image-root", data.image_root.as_ref());
    match data.transpose {
        Some(true) => flags.switch("transpose", true),
        Some(false) => flags.switch("transpose=false", true),
        None => {}
    }
    flags.put("val-split", data.val_split);
    flags.put("split", data.split.map(|[train, val]| format!("{train}/{val}")));
    flags.put("limit-train", data.limit_train);
    flags.put("limit-val", data.limit_val);
    flags.switch("ignore-exif", data.ignore_exif);
}

fn recipe(flags: &mut Flags, recipe: &RecipeOverrides, auto_batch: bool) {
    flags.put("epochs", recipe.epochs);
    match auto_batch {
        true => flags.put("batch-size", Some("auto")),
        false => flags.put("batch-size", recipe.batch_size),
    }
    flags.put("opt", recipe.optimizer);
    flags.put("lr", recipe.lr);
    flags.put("momentum", recipe.momentum);
    match recipe.nesterov {
        Some(true) => flags.switch("nesterov", true),
        Some(false) => flags.switch("nesterov=false", true),
        None => {}
    }
    flags.put("weight-decay", recipe.weight_decay);
    flags.put("lr-scheduler", recipe.lr_scheduler);
    flags.put("lr-step-size", recipe.lr_step_size);
    let milestones = |list: &Vec<usize>| list.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    flags.put("lr-milestones", recipe.lr_milestones.as_ref().map(milestones));
    flags.put("lr-gamma", recipe.lr_gamma);
    flags.put("lr-min", recipe.lr_min);
    flags.put("lr-power", recipe.lr_power);
    flags.put("lr-patience", recipe.lr_patience);
    flags.put("lr-cuts", recipe.lr_cuts);
    flags.put("lr-warmup-epochs", recipe.lr_warmup_epochs);
    flags.put("label-smoothing", recipe.label_smoothing);
    match &recipe.class_weights {
        // `args.toml` has the content of the file, as a JSON object, which such a file may be.
        Some(ClassWeights::Named(_)) => flags.put("class-weights", Some("class_weights.json")),
        word => flags.put("class-weights", word.as_ref()),
    }
    flags.put("clip-grad-norm", recipe.clip_grad_norm);
    flags.put("grad-accum-steps", recipe.grad_accum_steps);
    flags.put("patience", recipe.patience);
}

fn training(flags: &mut Flags, train: &Options) {
    let usual = Options::default();
    flags.put("seed", Some(train.seed).filter(|seed| *seed != usual.seed));
    flags.put("ema", train.ema);
    flags.put("mixup", train.mixup);
    flags.put("cutmix", train.cutmix);
    flags.put("random-erasing", train.random_erasing);
    flags.switch("trivial-augment", train.trivial_augment);
    for prefix in train.freeze.iter().flat_map(|list| list.split(',')) {
        flags.put("freeze", Some(prefix));
    }
    flags.put("max-steps", train.max_steps);
    flags.switch("no-shuffle", !train.shuffle);
    flags.put("sampler", Some(train.sampler).filter(|sampler| *sampler != usual.sampler));
    flags.switch("no-augment", !train.augment);
    flags.switch("no-dropout", !train.dropout);
    flags.switch("overfit-batch", train.overfit_batch);
    // The flag has another default than the option.
    flags.put("log-every", Some(train.log_every).filter(|steps| *steps != usual.log_every));
    flags.put("checkpoint-every", train.checkpoint_every);
    flags.put("checkpoint-hist", Some(train.checkpoint_hist).filter(|count| *count != usual.checkpoint_hist));
    flags.put("on-bad-file", Some(train.on_bad_file).filter(|policy| *policy != usual.on_bad_file));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags;
    use crate::cli::train_args::TrainArgs;
    use clap::FromArgMatches;

    /// The words of a command, as a shell takes it apart (no word here has quotes in it).
    fn words(command: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut is_quoted = false;
        for c in command.chars() {
            match c {
                '\'' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        words
    }

    fn options(words: &[String]) -> RunOptions {
        let matches = flags::command().try_get_matches_from(words).unwrap();
        TrainArgs::from_arg_matches(matches.subcommand().unwrap().1).unwrap().options().unwrap()
    }

    /// Where a run is stored, and threads of the loader, are not what it computes.
    fn without_place(mut options: RunOptions) -> RunOptions {
        (options.output_dir, options.name, options.train.workers) = (None, None, 1);
        options
    }

    #[test]
    fn a_command_stands_for_the_options_that_it_is_made_of() {
        for typed in [
            "striate train",
            "striate train --model 'my net.toml' --data-path 'my data' --dataset csv --input-range 0..1 --image-column a --label-column b \
             --image-root c --transpose=false --val-split 0.2 --limit-train 100 --limit-val 50 --ignore-exif --on-bad-file fail",
            "striate train --split 30/20 --epochs 3 --batch-size 7 --lr 0.013 --opt adamw --momentum 0.8 --nesterov --weight-decay 0.0003 \
             --lr-scheduler multistep --lr-step-size 3 --lr-milestones 2,5 --lr-gamma 0.3 --lr-min 0.0001 --lr-power 2 --lr-patience 4 \
             --lr-cuts 2 --lr-warmup-epochs 0.5 --label-smoothing 0.1 --class-weights balanced --clip-grad-norm 1.5 --grad-accum-steps 2 \
             --patience 6",
            "striate train --batch-size auto --ema 0.999 --mixup 0.2 --cutmix 1 --random-erasing 0.25 --trivial-augment --seed 9 --num-classes 4 \
             --freeze a --freeze b --lr-mult c=0.1 --lr-mult d=2 --max-steps 8 --log-every 3 --sampler balanced --no-augment --no-dropout \
             --no-report --on-device-lost stop --amp --checkpoint-every 4 --checkpoint-hist 3 --weights w.safetensors --transpose --nesterov=false",
            "striate train --no-shuffle --overfit-batch --class-weights none",
        ] {
            let expected = without_place(options(&words(typed)));
            let command = command_of(&expected, &toml::Table::new());
            assert_eq!(without_place(options(&words(&command))), expected, "{command}");
            // Nothing is said twice, and what is usual is not said.
            assert_eq!(words(&command).len(), words(typed).len(), "{command}");
        }
        let kept = "device = 'llvmpipe x'\nno_winograd = 'true'\nthreads = '2'".parse().unwrap();
        let command = command_of(&RunOptions::default(), &kept);
        assert_eq!(command, "striate train --device 'llvmpipe x' --no-winograd --threads 2");
    }
}
