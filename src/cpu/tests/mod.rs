//! Tests of what the table of cases in `verify` is too small for: geometries that are cut into several tasks and
//! tiles, the same bits on any number of threads, and the executor's own promises.

mod blocks;
mod executor;
mod products;
mod threads;
mod windows;

use crate::random::{Purpose, Stream};

/// Standard normal values.
fn normal(len: usize, index: u32) -> Vec<f32> {
    let mut stream = Stream::new(17, Purpose::Test, index);
    (0..len).map(|_| stream.normal()).collect()
}

/// Fails unless every element differs by less than `tolerance` times the largest expected magnitude.
fn assert_close(what: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(0.0f64, |size, v| size.max(v.abs()));
    for (i, (&f, &e)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(f) - e).abs() <= tolerance * size, "{what}: element {i}: expected {e}, found {f}");
    }
}
