//! G2 and G4: what a long run holds does not grow. Each is measured in a separate process, which is this test program once
//! more with one test alone, since the others open files, threads and devices too.

use super::training_support::{self, pictures};
use super::{size, training_support::small};
use std::process::Command;
use std::sync::Arc;
use striate::inference;
use striate::model::{BuildOptions, Model};
use striate::ops::Hyper;
use striate::program::{Executor, Span};
use striate::{Device, Network, NetworkOptions};

/// Set for the process that measures.
const ALONE: &str = "STRIATE_RELIABILITY_ALONE";

/// Runs `measure` in a process where the test `name` of this file is alone; what it prints is printed.
fn alone(name: &str, measure: impl FnOnce()) {
    if std::env::var(ALONE).is_ok_and(|test| test == name) {
        return measure();
    }
    let name_of_test = format!("long_runs::{name}");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &name_of_test, "--nocapture", "--test-threads=1"]).env(ALONE, name);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let row = text.lines().find_map(|line| line.find("G2 ").or(line.find("G4 ")).map(|at| &line[at..]));
    row.into_iter().for_each(|row| println!("{row}"));
    assert!(output.status.success(), "{text}{errors}");
    assert!(row.is_some() || errors.contains("SKIPPED"), "nothing was measured: {text}");
}

/// Open files and threads of this process; none where the system does not report them.
fn handles() -> [usize; 2] {
    ["/proc/self/fd", "/proc/self/task"].map(|path| std::fs::read_dir(path).map_or(0, Iterator::count))
}

/// Main memory that this process holds, in KiB; 0 where the system does not report it.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or(0)
}

#[test]
fn ten_thousand_steps_leave_no_object_file_or_thread_behind() {
    alone("ten_thousand_steps_leave_no_object_file_or_thread_behind", || {
        let Some(gpu) = training_support::gpu() else { return };
        let (spec, last) = (small(), size(10_000, 100_000));
        let model = Model::build(&spec, &BuildOptions::new(2)).unwrap();
        let mut executor = striate::gpu::Executor::new(&gpu, model.program.clone()).unwrap();
        inference::initialise(&model, &mut executor, 0).unwrap();
        let images = vec![0.5; model.program.buffer(model.input).shape.len()];
        let hyper = Hyper { rows: 2, loss_scale: 0.5, lr: 1e-3, ..Hyper::default() };
        let mut early = None;
        for step in 1..=last {
            executor.write(model.input, &images).unwrap();
            executor.write(model.labels, &[1.0, 2.0]).unwrap();
            executor.write(model.hyper, hyper.as_words()).unwrap();
            executor.run(Span::Train).unwrap();
            if step % 10 == 0 {
                let record = executor.start_read(model.metrics).unwrap();
                executor.finish_read(record).unwrap();
            }
            if step == 100 || step == last {
                executor.wait().unwrap();
                let now = (gpu.objects(), executor.allocations(), executor.staging_buffers(), handles());
                assert!(now.0.is_some() && now.1.is_some_and(|(count, _)| count > 0));
                match &early {
                    None => early = Some(now),
                    Some(early) => {
                        println!("G2 gpu: at step 100 and at step {last}: {early:?} and {now:?}");
                        assert_eq!(*early, now);
                    }
                }
            }
        }
    });
}

/// The most that memory may grow after the first cycles, in KiB.
const GROWTH: i64 = 1024;

/// 100 times: a new network is trained, evaluated, asked and dropped.
fn cycles(name: &str, device: &Device) {
    let data = Arc::new(pictures([1, 8, 8], 4, 64));
    let mut early = 0;
    for cycle in 1..=100 {
        let options = NetworkOptions::default().with_batch(16);
        let mut network = Network::new(small(), device, &options).unwrap();
        let images = network.inputs(&data, 16).unwrap();
        let labels: Vec<u32> = (0..16).map(|i| i % 4).collect();
        for _ in 0..4 {
            network.train_batch(&images, &labels, 0.01).unwrap();
        }
        assert_eq!(network.evaluate(&data).unwrap().rows(), 64);
        assert_eq!(network.predict(&images, 2).unwrap().len(), 16);
        drop(network);
        if cycle == 10 {
            early = resident();
        }
    }
    let growth = resident() - early;
    println!("G4 {name}: {early} KiB after cycle 10, {growth} KiB more after cycle 100");
    assert!(growth <= GROWTH, "{name}: {growth} KiB more");
}

#[test]
fn a_hundred_networks_in_one_process_leave_no_memory_behind_on_the_cpu() {
    alone("a_hundred_networks_in_one_process_leave_no_memory_behind_on_the_cpu", || {
        cycles("cpu", &Device::cpu());
    });
}

#[test]
fn a_hundred_networks_in_one_process_leave_no_memory_behind_on_the_gpu() {
    alone("a_hundred_networks_in_one_process_leave_no_memory_behind_on_the_gpu", || {
        let Some(gpu) = training_support::gpu() else { return };
        cycles("gpu", &Device::Gpu(gpu));
    });
}
