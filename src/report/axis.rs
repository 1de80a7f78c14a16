//! A logarithmic axis of a chart.

/// A logarithmic axis over whole decades: `decades` of them, starting at 10^`first`.
pub(super) struct LogAxis {
    first: i32,
    decades: i32,
    from: f64,
    length: f64,
}

impl LogAxis {
    /// Spans all positive `values`, but nothing below `least`; smaller values are drawn at the edge. The axis starts at the
    /// pixel `from` and is `length` pixels long, which may be negative.
    pub fn new(values: impl Iterator<Item = f64>, least: f64, from: f64, length: f64) -> LogAxis {
        let logs: Vec<f64> =
            values.filter(|v| v.is_finite() && *v > 0.0).map(|v| v.max(least).log10()).collect();
        let low = logs.iter().copied().fold(f64::INFINITY, f64::min);
        let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (first, last) = match logs.is_empty() {
            true => (0, 1),
            false => ((low - 0.05).floor() as i32, (high + 0.05).ceil() as i32),
        };
        LogAxis { first, decades: (last - first).max(1), from, length }
    }

    /// The position of `value` in pixels, clamped to the axis.
    pub fn at(&self, value: f64) -> f64 {
        let share = (value.max(f64::MIN_POSITIVE).log10() - f64::from(self.first)) / f64::from(self.decades);
        self.from + share.clamp(0.0, 1.0) * self.length
    }

    /// The value of the first decade.
    pub fn low(&self) -> f64 {
        10f64.powi(self.first)
    }

    /// The value of the last decade.
    pub fn high(&self) -> f64 {
        10f64.powi(self.first + self.decades)
    }

    /// Pixels per decade.
    pub fn step(&self) -> f64 {
        self.length / f64::from(self.decades)
    }

    /// Positions of the decades, with labels in units of `unit`.
    pub fn ticks(&self, unit: f64) -> Vec<(f64, String)> {
        let value = |decade| 10f64.powi(self.first + decade);
        (0..=self.decades).map(|decade| (self.at(value(decade)), tick(value(decade) / unit))).collect()
    }
}

/// Formats a power of ten for a label.
fn tick(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", (v / 1e6).round()),
        v if v >= 1e3 => format!("{}k", (v / 1e3).round()),
        v if v >= 1.0 => format!("{}", v.round()),
        v => format!("{v:.*}", (-v.log10()).round().clamp(1.0, 9.0) as usize),
    }
}
