//! What files may do to the program that reads them: rows B of the table in `../reliability/README.md`, at a size for every
//! day; at full size with `STRIATE_RELIABILITY=full`. Every test prints one line with its row and its numbers
//! (`--nocapture` shows it). A separate program, since it counts what is allocated.

#[path = "../support/allocations.rs"]
mod allocations;
mod bad_files;
mod bombs;
mod corpora;
#[path = "../support/dataset.rs"]
mod dataset;
#[cfg(target_os = "linux")]
mod external_data;
#[cfg(target_os = "linux")]
mod folders;
mod hostile_names;
mod images;
mod lies;
mod onnx;
mod packed;
#[path = "../support/packs.rs"]
mod packs;
#[cfg(feature = "parquet")]
mod parquet;
mod pth;
mod sound;
mod supply;
mod tables;
#[path = "../fuzz/targets.rs"]
mod targets;
mod tensors;
mod weights;

/// How often something is done: `ci`, or `full` with `STRIATE_RELIABILITY=full`.
fn size(ci: usize, full: usize) -> usize {
    if std::env::var("STRIATE_RELIABILITY").is_ok_and(|value| value == "full") { full } else { ci }
}

thread_local! {
    /// Its own for each test.
    static ALONE: std::cell::OnceCell<rayon::ThreadPool> = const { std::cell::OnceCell::new() };
}

/// What `work` returns, and the most bytes that were held at once meanwhile, above those before: by one thread, which does
/// what others would share.
fn peak<T: Send>(work: impl FnOnce() -> T + Send) -> (usize, T) {
    let alone = || rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let work = || {
        let mut result = None;
        let peak = allocations::peak_during(|| result = Some(work()));
        (peak, result.unwrap())
    };
    ALONE.with(|pool| pool.get_or_init(alone).install(work))
}

/// `striate arguments` in `folder`.
fn striate(folder: &std::path::Path, arguments: &[&str]) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::cargo_bin("striate").unwrap();
    command.current_dir(folder).args(arguments);
    for name in ["RUST_LOG", "STRIATE_FAULT", "WGPU_ADAPTER_NAME", "WGPU_BACKEND", "XDG_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    command.env("STRIATE_CACHE", "");
    command
}
