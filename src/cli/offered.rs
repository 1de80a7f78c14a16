//! Which flags of a group a verb offers, and which of them the short help shows. A verb is named by its words.

/// The verbs that compute, each with the flags of the group "Device" that it ignores.
pub(super) const COMPUTING: [(&str, &[&str]); 12] = [
    ("train", &[]),
    ("eval", &[]),
    ("predict", &[]),
    ("export", &[]),
    ("selftest", &[]),
    ("trace", &[]),
    ("learn", &[]),
    ("report activations", &[]),
    ("report run", &[]),
    ("bench step", &[]),
    ("bench ops", &[]),
    // It runs no convolution.
    ("bench device", &["no_winograd"]),
];

/// The verbs that print a text of another format.
pub(super) const SCRIPTS: [&str; 2] = ["completions", "man"];

/// Flags of a group that a verb shares with others, and ignores.
pub(super) const IDLE: [(&str, &[&str], &str); 2] = [
    (
        "trace",
        &[
            "epochs",
            "patience",
            "grad_accum_steps",
            "lr_scheduler",
            "lr_step_size",
            "lr_milestones",
            "lr_gamma",
            "lr_min",
            "lr_power",
            "lr_patience",
            "lr_cuts",
            "lr_warmup_epochs",
            "limit_val",
            "workers",
        ],
        "trace takes one step on the first training batch",
    ),
    ("export", &["limit_train", "workers", "on_bad_file"], "export reads a few validation samples"),
];

/// Of verbs with many flags, those that `-h` shows beside positional arguments and the shared flags; `--help` shows all.
pub(super) const MOST_USED: [(&str, &[&str]); 13] = [
    (
        "train",
        &[
            "data_path",
            "val_split",
            "model",
            "weights",
            "epochs",
            "batch_size",
            "lr",
            "opt",
            "patience",
            "seed",
            "output_dir",
            "name",
            "resume",
        ],
    ),
    (
        "eval",
        &[
            "weights",
            "model",
            "part",
            "ten_crop",
            "confusion",
            "predictions",
            "mistakes",
            "robustness",
            "data_path",
            "dataset",
        ],
    ),
    (
        "predict",
        &[
            "weights",
            "model",
            "top_k",
            "labels",
            "ten_crop",
            "annotate",
            "truth",
            "explain",
            "output",
            "batch_size",
        ],
    ),
    ("export", &["weights", "model", "format", "output", "with_preprocess", "data_path", "dataset"]),
    ("trace", &["weights", "model", "output", "batch_size", "seed", "evaluation", "data_path", "dataset"]),
    ("import", &["output", "force", "model", "name", "classes", "mean", "std", "input"]),
    ("dataset info", &["dataset", "image_column", "label_column", "val_split"]),
    ("dataset stats", &["dataset", "val_split", "size", "channels", "workers"]),
    ("dataset pack", &["output", "dataset", "val_split", "size", "channels", "workers"]),
    ("bench step", &["model", "batch_size", "amp", "profile", "roofline", "samples", "seconds"]),
    ("bench device", &["sustain", "alone", "samples", "seconds"]),
    ("bench ops", &["batch_size", "only", "roofline", "samples", "seconds"]),
    ("bench data", &["data_path", "model", "batch_size", "images", "workers"]),
];
