//! Gradients of pooling where more than 65,535 windows cover every element. Then there are as many elements, and 4e9 terms:
//! too many for the f64 reference, but here it is known what comes out.

use super::{both, program};
use striate::ops::{Op, Pool2d};
use striate::program::{BufferId, Executor, Span};
use striate::random::{Purpose, Stream};
use striate::verify::cases::LENGTHS;

/// A row of `n` elements under `n` + 1 windows that all hold all of it.
fn row(n: usize) -> Pool2d {
    let pad = [0, n, 0, n];
    let (kernel, stride) = ([1, 2 * n], [1, 1]);
    Pool2d {
        batch: 1,
        channels: 1,
        h_in: 1,
        w_in: n,
        kernel,
        stride,
        pad,
        ceil: false,
        count_include_pad: true,
    }
}

/// The last operand after a run on `inputs`.
fn run(executor: &mut dyn Executor, inputs: &[Vec<f32>]) -> Vec<f32> {
    for (i, values) in inputs.iter().enumerate() {
        executor.write(BufferId(i as u32), values).unwrap();
    }
    executor.run(Span::Forward).unwrap();
    executor.read(BufferId(inputs.len() as u32)).unwrap()
}

#[test]
fn very_many_windows_cover_every_element() {
    for n in LENGTHS {
        let (d, windows) = (row(n), n + 1);
        assert_eq!(d.w_out(), windows);
        let mut stream = Stream::new(1, Purpose::Test, n as u32);
        let dy: Vec<f32> = (0..windows).map(|_| stream.normal()).collect();
        let sum: f64 = dy.iter().map(|&v| f64::from(v)).sum();
        // As the tolerance of the self-test: 8 eps sqrt(terms) times the root of the sum of squares.
        let allowed = 8.0 * f64::from(f32::EPSILON) * windows as f64;
        // Window o begins n - o places before the row; element 7 is the maximum of all.
        let index: Vec<f32> = (0..windows).map(|o| (7 + n - o) as f32).collect();
        for (device, mut executor) in both(&program(&Op::MaxPool2dBackward(d))) {
            let dx = run(executor.as_mut(), &[index.clone(), dy.clone()]);
            let error = (f64::from(dx[7]) - sum).abs();
            assert!(error <= allowed, "{device}: {} instead of {sum}", dx[7]);
            assert!(dx.iter().enumerate().all(|(i, &v)| i == 7 || v == 0.0), "{device}");
        }
        for (device, mut executor) in both(&program(&Op::AvgPool2dBackward(d))) {
            let dx = run(executor.as_mut(), std::slice::from_ref(&dy));
            let mean = sum / (2 * n) as f64;
            for &found in &dx {
                let error = (f64::from(found) - mean).abs();
                assert!(error <= allowed / (2 * n) as f64, "{device}: {found} instead of {mean}");
            }
        }
    }
}
