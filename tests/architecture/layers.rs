//! The table of layers: what each module may use, and what else a source file has to keep to.

/// What each module may use. `cli` may use all.
pub const EDGES: [(&str, &[&str]); 24] = [
    ("error", &[]),
    ("json", &[]),
    ("npy", &[]),
    ("pickle", &[]),
    ("setters", &[]),
    ("atomic", &["error"]),
    ("tensor", &["error"]),
    ("random", &["error"]),
    ("view", &["error"]),
    ("ops", &["tensor", "error", "random", "view"]),
    ("program", &["ops", "tensor", "error", "random"]),
    ("cpu", &["program", "ops", "tensor", "error", "random", "view"]),
    ("gpu", &["program", "ops", "tensor", "error", "random"]),
    ("verify", &["program", "ops", "tensor", "error", "random", "view"]),
    ("model", &["program", "ops", "tensor", "error", "random", "view", "json"]),
    ("interchange", &["model", "tensor", "error", "random", "atomic", "json", "npy", "pickle"]),
    ("data", &["tensor", "error", "random", "view", "atomic", "json", "npy", "pickle"]),
    // Keeps the files of a GPU between runs.
    ("device", &["cpu", "gpu", "program", "error", "atomic"]),
    // Opens images and writes them; what a network answers is handed in.
    ("report", &["inference", "data", "model", "tensor", "error", "view", "atomic"]),
    // The learner's chapters, which use what any program can.
    (
        "learn",
        &[
            "network",
            "train",
            "inference",
            "interchange",
            "report",
            "data",
            "device",
            "model",
            "program",
            "ops",
            "tensor",
            "error",
            "random",
        ],
    ),
    (
        "network",
        &[
            "run",
            "train",
            "inference",
            "data",
            "interchange",
            "device",
            "model",
            "program",
            "ops",
            "tensor",
            "error",
            "random",
            "view",
            "atomic",
            "report",
        ],
    ),
    (
        "run",
        &[
            "train",
            "report",
            "inference",
            "data",
            "device",
            "interchange",
            "model",
            "program",
            "ops",
            "tensor",
            "error",
            "view",
            "atomic",
        ],
    ),
    ("train", &["inference", "model", "data", "program", "ops", "tensor", "error", "random", "view"]),
    // Below what trains: what only runs a network names nothing that trains one.
    (
        "inference",
        &[
            "device",
            "gpu",
            "model",
            "data",
            "interchange",
            "program",
            "ops",
            "tensor",
            "error",
            "random",
            "view",
            "json",
        ],
    ),
];

/// Parts of `cli` and `network` that only run a network, and so need nothing that trains one.
pub const INFERENCE: [&str; 10] = [
    "cli/eval",
    "cli/export",
    "cli/import",
    "cli/matching",
    "cli/predict",
    "cli/report",
    "cli/source",
    "cli/trace",
    "network/answers",
    "network/export",
];
pub const TRAINING: [&str; 2] = ["train", "run"];

/// Crates that only some modules may name.
pub const CRATES: [(&str, &[&str]); 34] = [
    ("wgpu", &["gpu"]),
    ("naga", &["gpu"]),
    ("pollster", &["gpu"]),
    ("private_gemm_x86", &["cpu"]),
    ("gemm_f32", &["cpu"]),
    ("gemm_common", &["cpu"]),
    ("pulp", &["cpu"]),
    // `cli` only sets, `device` only prints the number of threads.
    ("rayon", &["cpu", "data", "device", "cli"]),
    ("image", &["data", "report"]),
    ("ab_glyph", &["report"]),
    ("dejavu", &["report"]),
    ("plotters", &["report"]),
    ("maud", &["report"]),
    ("base64", &["report"]),
    ("prost", &["interchange"]),
    ("zip", &["data", "interchange"]),
    ("parquet", &["data"]),
    ("bytes", &["data"]),
    ("snap", &["data"]),
    ("ruzstd", &["data"]),
    ("fast_image_resize", &["data"]),
    ("zune_core", &["data"]),
    ("zune_jpeg", &["data"]),
    ("image_webp", &["data"]),
    ("gif", &["data"]),
    ("fax", &["data"]),
    ("weezl", &["data"]),
    ("unicode_width", &["learn"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("anyhow", &["cli"]),
    ("signal_hook", &["cli"]),
    ("ctrlc", &["cli"]),
    ("fs4", &["run"]),
];

/// Modules that have to work where there are no files, threads or clocks.
pub const PURE: [&str; 6] = ["tensor", "random", "view", "ops", "program", "gpu"];
pub const IMPURE: [&[&str]; 4] =
    [&["std", "fs"], &["std", "thread"], &["std", "time", "Instant"], &["std", "time", "SystemTime"]];

/// What of it a file may use all the same, since it is left out where there is none.
pub const EXCEPTIONS: [(&str, &[&str]); 1] = [("gpu/threads.rs", &["std", "thread"])];

/// Layers whose modules must not use each other in a circle.
pub const ACYCLIC: [&str; 4] = ["cpu", "data", "gpu", "train"];

/// The longest file that is still one thing.
pub const LINES: usize = 400;
