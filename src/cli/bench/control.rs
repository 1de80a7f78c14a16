//! The control of a benchmark: work that no change of an operator changes, multiply-adds in registers and a copy, measured in
//! turn with what a benchmark is about. It tells how fast the machine itself was at that time, so that two results
//! that were made at different times can be compared.

use super::peaks;
use super::timing::{Budget, Timing, in_turn};
use crate::device::{Device, DeviceProbe};
use crate::error::Result;
use serde_json::{Value, json};

/// A burst of the control lasts at least this many seconds.
const BURST: f64 = 0.008;
/// Bytes that are copied.
const COPY: u64 = 1 << 25;

/// The control's work on one device.
pub(super) struct Control {
    multiply_adds: DeviceProbe,
    copy: DeviceProbe,
}

/// What the control measured.
#[derive(Clone, Debug)]
pub(super) struct ControlTimes {
    /// Seconds of a billion floating-point operations.
    multiply_adds: Timing,
    /// Seconds of a billion bytes, read or written.
    copy: Timing,
}

impl Control {
    pub fn new(device: &Device) -> Result<Control> {
        Ok(Control { multiply_adds: peaks::fma(device, BURST / 2.0)?, copy: device.copy(COPY)? })
    }

    /// Times several kinds of work as [`in_turn`] does, and the control with them.
    pub fn in_turn(
        &mut self,
        budget: Budget,
        seconds: &[f64],
        mut burst: impl FnMut(usize, usize) -> Result<()>,
        done: impl Fn(usize),
    ) -> Result<(Vec<Timing>, ControlTimes)> {
        let own = seconds.len();
        let all = [seconds, &[BURST, BURST]].concat();
        let mut timings = in_turn(
            budget,
            &all,
            |kind, runs| match kind.checked_sub(own) {
                None => burst(kind, runs),
                Some(0) => self.multiply_adds.run(runs),
                Some(_) => self.copy.run(runs),
            },
            done,
        )?;
        let control = timings.split_off(own);
        let [multiply_adds, copy] = [
            control[0].scaled(1e9 / self.multiply_adds.flops().max(1) as f64),
            control[1].scaled(1e9 / self.copy.bytes().max(1) as f64),
        ];
        Ok((timings, ControlTimes { multiply_adds, copy }))
    }

    /// The control alone.
    pub fn alone(&mut self, budget: Budget) -> Result<ControlTimes> {
        Ok(self.in_turn(budget, &[], |_, _| Ok(()), |_| ())?.1)
    }
}

impl ControlTimes {
    /// These measurements and then `later` ones.
    pub fn and(self, later: ControlTimes) -> ControlTimes {
        let both = |a: Timing, b: Timing| Timing::new([a.samples, b.samples].concat(), a.runs);
        ControlTimes {
            multiply_adds: both(self.multiply_adds, later.multiply_adds),
            copy: both(self.copy, later.copy),
        }
    }

    /// As `control` of every benchmark: milliseconds of a billion operations, and of a billion bytes.
    pub fn to_json(&self) -> Value {
        json!({"multiply_adds": self.multiply_adds.to_json(), "copy": self.copy.to_json()})
    }
}
