//! Checks that a program fits into memory before anything is allocated. Main memory is shared with other programs, and a
//! system that runs out of it kills processes instead of failing the allocation.

use crate::device::Device;
use crate::error::{Error, Result};
use crate::gpu::Schedule;
use crate::model::{BuildOptions, Model, Spec};
use crate::program::Program;

/// Returns an error if `model` needs more main memory than is available, or a buffer larger than `device` supports. The
/// error names the largest batch that fits. The free memory of a discrete device is unknown; there the allocation itself
/// fails early.
pub(crate) fn check_memory(
    device: &Device,
    spec: &Spec,
    options: &BuildOptions,
    model: &Model,
) -> Result<()> {
    let available = available().filter(|_| device.uses_main_memory());
    check_against(device, available.unwrap_or(u64::MAX), spec, options, model)
}

/// Whether a program fits into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Fits,
    /// It does not; what it lacks.
    Lacks(String),
    /// It computes in main memory, and the system does not say how much of that is available.
    Unknown,
}

/// Whether `model` fits on `device` with a margin: a quarter of the main memory that is available stays free. The free memory
/// of a discrete device is unknown; there only the limits of the device count.
pub(crate) fn room(device: &Device, spec: &Spec, model: &Model) -> Result<Room> {
    let needed = match needs(device, spec, model) {
        Ok(needed) => needed,
        Err(Error::Memory(what)) => return Ok(Room::Lacks(what)),
        Err(error) => return Err(error),
    };
    let available = match device.uses_main_memory() {
        true => available(),
        false => Some(u64::MAX),
    };
    Ok(available.map_or(Room::Unknown, |available| within_margin(needed, available)))
}

fn within_margin(needed: u64, available: u64) -> Room {
    if needed <= available - available / 4 {
        return Room::Fits;
    }
    let (needed, available) = (bytes(needed), bytes(available));
    Room::Lacks(format!("needs {needed} of the {available} available, of which a quarter stays free"))
}

/// An amount of memory as people read it.
fn bytes(count: u64) -> String {
    let (unit, scale) = if count >= 1 << 30 { ("GiB", 1u64 << 30) } else { ("MiB", 1 << 20) };
    format!("{:.1} {unit}", count as f64 / scale as f64)
}

fn check_against(
    device: &Device,
    available: u64,
    spec: &Spec,
    options: &BuildOptions,
    model: &Model,
) -> Result<()> {
    let (needed, refused) = match needs(device, spec, model) {
        Ok(needed) if needed <= available => return Ok(()),
        Ok(needed) => (needed, None),
        Err(Error::Memory(what)) => (0, Some(what)),
        Err(error) => return Err(error),
    };
    let fits = |batch: usize| -> Result<bool> {
        let smaller = Model::build(spec, &BuildOptions { batch, ..options.clone() })?;
        match needs(device, spec, &smaller) {
            Ok(needed) => Ok(needed <= available),
            Err(Error::Memory(_)) => Ok(false),
            Err(error) => Err(error),
        }
    };
    let (mut good, mut bad) = (0, options.batch);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle)? {
            good = middle;
        } else {
            bad = middle;
        }
    }
    let advice = match good {
        0 => "not even batch 1 fits".to_string(),
        batch => format!("the largest batch that fits is {batch}"),
    };
    let what = match refused {
        Some(what) => format!(": {what}"),
        None => format!(" needs {}, but only {} are available", bytes(needed), bytes(available)),
    };
    Err(Error::Memory(format!("{} at batch {}{what}; {advice}", spec.name, options.batch)))
}

/// Returns an error if `program`, which is optional for a run, would take more than half of the available main memory.
pub(crate) fn check_spare_memory(program: &Program) -> Result<()> {
    let needed = program.plan().bytes();
    match available() {
        Some(available) if needed > available / 2 => {
            let text =
                format!("diagnosing needs {}, but only {} are available", bytes(needed), bytes(available));
            Err(Error::Memory(text))
        }
        _ => Ok(()),
    }
}

/// Returns an error if `what` needs more than the available main memory.
#[cfg(feature = "cli")]
pub(crate) fn check_main_memory(what: &str, needed: u64) -> Result<()> {
    match available() {
        Some(available) if needed > available => {
            let (needed, available) = (bytes(needed), bytes(available));
            Err(Error::Memory(format!("{what} needs {needed}, but only {available} are available")))
        }
        _ => Ok(()),
    }
}

/// Whether batches of `model` are so small that they may be made before [`check_memory`].
pub(crate) fn has_small_batches(spec: &Spec, model: &Model) -> bool {
    available().is_none_or(|available| batches(spec, model) <= available / 8)
}

/// Bytes for the program in the layout of `device`, and for batches in flight.
///
/// # Errors
/// `Error::Memory` if a buffer exceeds the limit of the device.
fn needs(device: &Device, spec: &Spec, model: &Model) -> Result<u64> {
    let program = match device {
        Device::Cpu(_) => model.program.plan().bytes(),
        Device::Gpu(gpu) => {
            let (schedule, most) = (Schedule::new(&model.program, gpu.limits())?, gpu.limits().buffer);
            if let Some(large) = schedule.memory.iter().find(|memory| memory.len > most) {
                let (needed, most) = (bytes(large.len as u64 * 4), bytes(most as u64 * 4));
                let name = &gpu.info().name;
                return Err(Error::Memory(format!(
                    "buffer {} needs {needed}, but buffers of {name} have at most {most}",
                    large.name
                )));
            }
            schedule.bytes()
        }
    };
    Ok(program.saturating_add(batches(spec, model)))
}

/// Bytes of the batches in flight: three each in the loaders of the next epoch and of the evaluation before it, and those
/// of one update.
fn batches(spec: &Spec, model: &Model) -> u64 {
    let in_flight = 6 + spec.recipe.grad_accum_steps as u64;
    let batch = model.program.buffer(model.pixels.unwrap_or(model.input)).shape.bytes();
    in_flight.saturating_mul(batch)
}

/// Bytes of main memory that are available without swapping; `None` if the system does not report it.
fn available() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// `MemAvailable` of Linux's `/proc/meminfo`, in bytes.
fn parse(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_from_meminfo() {
        let text = "MemTotal:       24635244 kB\nMemFree:        100 kB\nMemAvailable:   24000000 kB\n";
        assert_eq!(parse(text), Some(24_000_000 * 1024));
        assert_eq!(parse("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn a_quarter_of_the_memory_stays_free() {
        assert_eq!(within_margin(768 << 20, 1 << 30), Room::Fits);
        let Room::Lacks(what) = within_margin((768 << 20) + 1, 1 << 30) else { panic!("it fits") };
        assert_eq!(what, "needs 768.0 MiB of the 1.0 GiB available, of which a quarter stays free");
    }

    #[test]
    fn the_largest_batch_that_fits_does_fit_and_the_next_does_not() {
        let spec = Spec::load("lenet5").unwrap();
        let options = BuildOptions::new(1000);
        let build = |batch| Model::build(&spec, &BuildOptions { batch, ..options.clone() }).unwrap();
        let cpu = Device::cpu();
        let needs = |batch| needs(&cpu, &spec, &build(batch)).unwrap();
        let check = |available| check_against(&cpu, available, &spec, &options, &build(1000));
        assert!(check(needs(1000)).is_ok());
        let error = check(needs(77)).unwrap_err();
        assert!(error.to_string().ends_with("the largest batch that fits is 77"), "{error}");
        assert_eq!(error.exit_code(), 3);
        let nothing = check(1).unwrap_err();
        assert!(nothing.to_string().contains("not even batch 1"), "{nothing}");
    }

    /// C2, on a device whose binding and buffer limits are below the needs of a large batch.
    #[test]
    fn a_device_with_small_buffers_gets_the_largest_batch_that_fits() {
        use crate::gpu::{AdapterSelector, Executor, Gpu, LimitOverrides};
        let small = Some(1 << 20);
        let limits = LimitOverrides { binding: small, buffer: small, ..LimitOverrides::default() };
        let Ok(gpu) = Gpu::open_limited(&AdapterSelector::Index(0), &limits) else {
            assert!(
                std::env::var("STRIATE_REQUIRE_GPU").is_err(),
                "STRIATE_REQUIRE_GPU, but there is no adapter"
            );
            return;
        };
        let (device, spec) = (Device::Gpu(gpu.clone()), Spec::load("lenet5").unwrap());
        let options = BuildOptions::new(1000);
        let build = |batch| Model::build(&spec, &BuildOptions { batch, ..options.clone() }).unwrap();
        let error = check_memory(&device, &spec, &options, &build(1000)).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        let text = error.to_string();
        let batch = text.rsplit_once("the largest batch that fits is ").map(|(_, batch)| batch.parse());
        let batch: usize = batch.unwrap_or_else(|| panic!("{text}")).unwrap();
        // It does fit, and the next one does not.
        let model = build(batch);
        let executor = Executor::new(&gpu, model.program.clone()).unwrap();
        let estimated = needs(&device, &spec, &model).unwrap() - batches(&spec, &model);
        let reserved = executor.allocations().map(|(_, bytes)| bytes);
        println!("C2 gpu: {text}; estimated {estimated} bytes, reserved {reserved:?}");
        assert!(Executor::new(&gpu, build(batch + 1).program.clone()).is_err_and(|e| e.exit_code() == 3));
    }
}
