//! Signals. Ctrl-C (SIGINT) and SIGTERM: the first asks the run to finish its step and save, the second ends the program at
//! once. SIGHUP asks a training run to save and continue; for other verbs it is one more way to ask for the end.

use crate::error::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Exit code of a run that a signal ended: 128 + SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// What signals have asked for.
#[derive(Debug)]
pub(crate) struct Signals {
    /// To come to an end.
    pub stop: Arc<AtomicBool>,
    /// To save and continue.
    pub save: Arc<AtomicBool>,
    /// The signal that has asked for the end.
    first: Arc<AtomicI32>,
}

impl Signals {
    /// Nothing yet.
    pub fn new() -> Signals {
        Signals { stop: Arc::default(), save: Arc::default(), first: Arc::default() }
    }

    /// Listens from now on, once in the life of the program.
    pub fn listen(&self) -> Result<()> {
        listen(self, true)
    }

    /// Exit code after a signal has asked for the end: 128 and its number.
    pub fn code(&self) -> u8 {
        // What was stored before the flag is seen with it.
        self.stop.load(Ordering::Acquire);
        match self.first.load(Ordering::Relaxed) {
            0 => INTERRUPTED,
            number => (128 + number) as u8,
        }
    }
}

/// A flag that the first signal sets.
pub(crate) fn on_signal() -> Result<Arc<AtomicBool>> {
    let signals = Signals::new();
    listen(&signals, false)?;
    Ok(signals.stop)
}

#[cfg(unix)]
fn listen(signals: &Signals, hang_up_saves: bool) -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let fault = |e: std::io::Error| Error::Internal(format!("signals cannot be handled: {e}"));
    // A file that has reached its size limit is an error of the write, not the end of the process.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default()).map_err(fault)?;
    let mut coming = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(fault)?;
    let (stop, save, first) = (signals.stop.clone(), signals.save.clone(), signals.first.clone());
    let wait = move || {
        for signal in coming.forever() {
            if signal == SIGHUP && hang_up_saves {
                save.store(true, Ordering::Relaxed);
                continue;
            }
            if stop.load(Ordering::Relaxed) {
                super::bar::leave();
                std::process::exit(128 + signal);
            }
            first.store(signal, Ordering::Relaxed);
            stop.store(true, Ordering::Release);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map_err(fault)?;
    Ok(())
}

/// Where there are no signals but Ctrl-C.
#[cfg(not(unix))]
fn listen(signals: &Signals, _hang_up_saves: bool) -> Result<()> {
    let stop = signals.stop.clone();
    ctrlc::set_handler(move || {
        if stop.swap(true, Ordering::Relaxed) {
            super::bar::leave();
            std::process::exit(INTERRUPTED.into());
        }
    })
    .map_err(|e| Error::Internal(format!("Ctrl-C cannot be handled: {e}")))
}
