//! D6: the same seed gives the same weights, for any number of threads and however loaded the machine is.

use super::{size, training_support};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// Convolutions of 3 x 3 and 5 x 5, dropout, augmentation and momentum, on the images that ship with the program.
fn train(folder: &Path, device: &str, run: usize) -> String {
    let threads = [1, 2, 4][run % 3].to_string();
    let name = format!("{device}-{run}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_striate"));
    command.current_dir(folder).env("STRIATE_CACHE", "").env("LP_NUM_THREADS", &threads);
    command.env_remove("WGPU_ADAPTER_NAME").env_remove("WGPU_BACKEND");
    command.args(["train", "-m", "alexnet-mini", "--epochs", "1", "-b", "16", "--limit-train", "48"]);
    command.args(["--limit-val", "16", "--seed", "7", "-q", "--device", device, "--name", &name]);
    command.args(["--threads", &threads, &format!("-j{}", 1 + run % 2)]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = striate::interchange::read(folder.join("runs").join(name).join("last.safetensors")).unwrap();
    let tensors: Vec<(String, &[f32])> = file.tensors.iter().map(|(n, t)| (n.clone(), t.data())).collect();
    striate::interchange::weights_sha256(&tensors)
}

#[test]
fn one_seed_gives_one_sha256_on_a_loaded_machine() {
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let gpu = training_support::gpu().map(|gpu| gpu.info().index.to_string());
    std::thread::scope(|scope| {
        // As many threads that only take time as there are processors.
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let mut sum = 0u64;
                while !stop.load(Ordering::Relaxed) {
                    sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
                }
            });
        }
        let runs = size(6, 20);
        let trained = |device: &str, runs: usize| -> BTreeSet<String> {
            (0..runs).map(|run| train(folder.path(), device, run)).collect()
        };
        let on_cpu = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| trained("cpu", runs)));
        let on_gpu = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            gpu.as_deref().map(|gpu| trained(gpu, size(2, 20)))
        }));
        stop.store(true, Ordering::Relaxed);
        let (on_cpu, on_gpu) = (on_cpu.unwrap(), on_gpu.unwrap());
        println!("D6 cpu: {runs} runs with 1, 2 and 4 threads under load, SHA-256: {on_cpu:?}");
        println!("D6 gpu: {} runs under load, SHA-256: {on_gpu:?}", size(2, 20));
        assert_eq!(on_cpu.len(), 1);
        assert!(on_gpu.is_none_or(|hashes| hashes.len() == 1));
    });
}
