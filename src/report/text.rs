//! Names shortened for charts.

/// Shortens `text` to `most` characters, and estimates its width at font size 11.
pub(super) fn shortened(text: &str, most: usize) -> (String, f64) {
    let count = text.chars().count();
    let short = match count > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_string(),
    };
    (short, 5.9 * count.min(most) as f64)
}
