//! Whether a program fits into memory, before anything is allocated: the main memory is shared with everything else
//! on the machine, and a system that runs out of it kills programs instead of refusing.

use super::output::bytes;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::{BuildOptions, Model, Spec};
use crate::program::Program;

/// An error if `model` needs more memory than there is; it names the largest batch that fits. Devices with
/// memory of their own are not asked: their allocation fails in good time.
pub(crate) fn check(device: &Device, spec: &Spec, options: &BuildOptions, model: &Model) -> Result<()> {
    match available() {
        Some(available) if device.uses_main_memory() => check_against(available, spec, options, model),
        _ => Ok(()),
    }
}

fn check_against(available: u64, spec: &Spec, options: &BuildOptions, model: &Model) -> Result<()> {
    let needed = needs(spec, model);
    if needed <= available {
        return Ok(());
    }
    let fits = |batch: usize| -> Result<bool> {
        let smaller = Model::build(spec, &BuildOptions { batch, ..options.clone() })?;
        Ok(needs(spec, &smaller) <= available)
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
    Err(Error::Memory(format!(
        "{} at batch {} needs {}, available are {}; {advice}",
        spec.name,
        options.batch,
        bytes(needed),
        bytes(available)
    )))
}

/// An error if `program`, which a run can do without, would take more than half of the main memory that is left.
pub(crate) fn check_spare(program: &Program) -> Result<()> {
    let needed = program.plan().bytes();
    match available() {
        Some(available) if needed > available / 2 => {
            let text = format!("a look inside needs {}, available are {}", bytes(needed), bytes(available));
            Err(Error::Memory(text))
        }
        _ => Ok(()),
    }
}

/// Whether batches of `model` are so small that they may be made before [`check`].
pub(crate) fn has_small_batches(spec: &Spec, model: &Model) -> bool {
    available().is_none_or(|available| batches(spec, model) <= available / 8)
}

/// Bytes for the program and for the batches under way.
fn needs(spec: &Spec, model: &Model) -> u64 {
    model.program.plan().bytes().saturating_add(batches(spec, model))
}

/// Bytes of the batches under way: three each in the loaders of the next epoch and of the evaluation before it, and
/// those of one update.
fn batches(spec: &Spec, model: &Model) -> u64 {
    let under_way = 6 + spec.recipe.grad_accum_steps as u64;
    let batch = model.program.buffer(model.pixels.unwrap_or(model.input)).shape.bytes();
    under_way.saturating_mul(batch)
}

/// Bytes of main memory that can be used without swapping; `None` where nobody says.
fn available() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// `MemAvailable` of Linux' `/proc/meminfo`, in bytes.
fn parse(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_linux_words() {
        let text = "MemTotal:       24635244 kB\nMemFree:        100 kB\nMemAvailable:   24000000 kB\n";
        assert_eq!(parse(text), Some(24_000_000 * 1024));
        assert_eq!(parse("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn the_largest_batch_that_fits_does_fit_and_the_next_does_not() {
        let spec = Spec::load("lenet5").unwrap();
        let options = BuildOptions::new(1000);
        let build = |batch| Model::build(&spec, &BuildOptions { batch, ..options.clone() }).unwrap();
        let available = needs(&spec, &build(77));
        assert!(check_against(needs(&spec, &build(1000)), &spec, &options, &build(1000)).is_ok());
        let error = check_against(available, &spec, &options, &build(1000)).unwrap_err();
        assert!(error.to_string().ends_with("the largest batch that fits is 77"), "{error}");
        assert_eq!(error.exit_code(), 3);
        let nothing = check_against(1, &spec, &options, &build(1000)).unwrap_err();
        assert!(nothing.to_string().contains("not even batch 1"), "{nothing}");
    }
}
