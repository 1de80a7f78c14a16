//! Checks that the files of a run fit on the disk. A full disk damages no file, since none is written in place; but it is
//! better to know before days of computing than after them.

use super::checkpoint::Checkpoint;
use super::folder::weights_name;
use crate::error::{Error, Result};
use crate::program::{Program, Role};
use crate::tensor::Tensor;
use crate::train::{Options, Weights};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Bytes of a checkpoint's metadata and header for a network of a few layers (9 kB in the smallest tests), and for each
/// tensor of it.
const METADATA: u64 = 32 << 10;
const METADATA_PER_TENSOR: u64 = 1 << 10;

/// An error (exit code 3) if the disk of `path`, a run's folder or the one in which it is going to be, has too little space
/// for the files of a run: the checkpoints that `options` keep and the one that is being written, and the weights twice. What
/// is there of them already counts. No error where the free space is unknown.
pub fn check_space(path: &Path, program: &Program, options: &Options) -> Result<()> {
    let size = |roles: &[Role]| -> u64 {
        let buffers = program.buffers().iter().filter(|buffer| roles.contains(&buffer.role));
        buffers.map(|buffer| buffer.shape.bytes().saturating_add(METADATA_PER_TENSOR)).sum::<u64>() + METADATA
    };
    let checkpoint = size(&[Role::Parameter, Role::State, Role::Optimizer, Role::Average]);
    let weights = size(&[Role::Parameter, Role::State]);
    let checkpoints = options.checkpoint_hist.max(1) as u64 + 1;
    let all = checkpoint.saturating_mul(checkpoints).saturating_add(weights.saturating_mul(2));
    // The next checkpoint is written before an old one goes.
    let needed = all.saturating_sub(present(path)).max(checkpoint);
    check(path, needed, &format!("{checkpoints} checkpoints of {} and the weights twice", amount(checkpoint)))
}

/// An error if there is no space beside `path` for a file of `tensors` and `metadata`.
pub(super) fn check_file(
    path: &Path,
    tensors: &[(String, Tensor)],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let values: usize = tensors.iter().map(|(name, tensor)| 4 * tensor.data().len() + name.len() + 100).sum();
    // JSON within JSON: what is quoted gets longer.
    let texts: usize = metadata.iter().map(|(key, text)| key.len() + text.len() + text.len() / 4).sum();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    check(path.parent().unwrap_or(path), (values + texts) as u64, &name)
}

/// An error that names the folder, what is needed and what is free, if `needed` bytes for `what` are more.
fn check(path: &Path, needed: u64, what: &str) -> Result<()> {
    // The folder itself may be still to be made.
    let there = path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    match fs4::available_space(there) {
        // A file system without any space, such as /proc, holds no files of ours, however much is free elsewhere.
        Ok(0) if matches!(fs4::total_space(there), Ok(0)) => {
            let text = format!(
                "expected a folder in which files can be written, found {} (a file system of size 0)",
                there.display()
            );
            Err(Error::io(path, io::Error::new(io::ErrorKind::PermissionDenied, text)))
        }
        Ok(free) if free < needed => {
            let text =
                format!("disk space: expected {} for {what}, found {} free", amount(needed), amount(free));
            Err(Error::io(path, io::Error::new(io::ErrorKind::StorageFull, text)))
        }
        _ => Ok(()),
    }
}

/// Bytes of the files in `folder` that count.
fn present(folder: &Path) -> u64 {
    let mut files = Checkpoint::find(folder).map(|(_, all)| all).unwrap_or_default();
    files.extend([Weights::Last, Weights::Best].map(|which| folder.join(weights_name(which))));
    files.iter().filter_map(|path| path.metadata().ok()).map(|file| file.len()).sum()
}

/// Bytes as people read them.
fn amount(count: u64) -> String {
    match count {
        0..0x10_0000 => format!("{:.1} KiB", count as f64 / 1024.0),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", count as f64 / f64::from(1 << 20)),
        _ => format!("{:.1} GiB", count as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_told_with_folder_and_numbers_and_exit_code_3() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("not/yet");
        assert!(check(&path, 1, "x").is_ok());
        let error = check(&path, u64::MAX, "3 files").unwrap_err();
        assert_eq!(error.exit_code(), 3);
        let text = error.to_string();
        assert!(
            text.contains("not/yet: disk space: expected 17179869184.0 GiB for 3 files, found "),
            "{text}"
        );
        assert!(check(&folder.path().join("there is no such folder"), 0, "x").is_ok());
    }
}
