//! Ctrl-C and SIGTERM: the first asks the run to finish its step and save, the second ends the program at once.

use crate::error::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code of a run that a signal ended: 128 + SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// A flag that the first signal sets.
pub(crate) fn on_signal() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = flag.clone();
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    })
    .map_err(|e| Error::Internal(format!("signals cannot be handled: {e}")))?;
    Ok(flag)
}
