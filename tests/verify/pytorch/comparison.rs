//! Relative errors in norm, by name, and which are too large.

/// What has been compared.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Name, error, largest allowed error.
    entries: Vec<(String, f64, f64)>,
}

/// norm(found - expected) / norm(expected), or the norm of found where nothing is expected; infinite where the lengths
/// differ or a value is not finite.
pub fn relative_error(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() || found.iter().any(|v| !v.is_finite()) {
        return f64::INFINITY;
    }
    let square = |v: f64| v * v;
    let difference: f64 =
        found.iter().zip(expected).map(|(&f, &e)| square(f64::from(f) - f64::from(e))).sum();
    let norm: f64 = expected.iter().map(|&e| square(f64::from(e))).sum();
    if norm == 0.0 { difference.sqrt() } else { (difference / norm).sqrt() }
}

impl Comparison {
    /// Compares a tensor.
    pub fn add(&mut self, name: &str, found: &[f32], expected: &[f32], limit: f64) {
        self.entries.push((name.to_string(), relative_error(found, expected), limit));
    }

    /// A line for each error that is too large.
    pub fn faults(&self) -> impl Iterator<Item = String> {
        self.entries
            .iter()
            .filter(|(_, error, limit)| error.is_nan() || error > limit)
            .map(|(name, error, limit)| format!("{name}: error {error:.2e}, expected at most {limit:.0e}"))
    }

    /// The largest error of each kind: what stands before the first dot of a name.
    pub fn summary(&self) -> String {
        let mut largest: Vec<(&str, f64)> = Vec::new();
        for (name, error, _) in &self.entries {
            let kind = name.split('.').next().unwrap_or(name);
            match largest.iter_mut().find(|(k, _)| *k == kind) {
                Some((_, most)) => *most = most.max(*error),
                None => largest.push((kind, *error)),
            }
        }
        let parts: Vec<String> = largest.iter().map(|(kind, error)| format!("{kind} {error:.1e}")).collect();
        parts.join(", ")
    }
}
