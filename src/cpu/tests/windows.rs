//! Split rows against their definition, and long sums against f64.

use super::normal;
use crate::cpu::sum::{sum, sum2};
use crate::cpu::windows::Windows;

fn geometries() -> Vec<Windows> {
    let plain = Windows {
        h_in: 6,
        w_in: 7,
        h_out: 6,
        w_out: 7,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        origin: [-1, -1],
    };
    vec![
        plain,
        Windows { stride: [2, 2], h_out: 3, w_out: 4, ..plain },
        Windows { stride: [2, 2], kernel: [2, 2], origin: [0, 0], h_out: 3, w_out: 3, ..plain },
        Windows { stride: [3, 4], kernel: [1, 5], origin: [0, -2], h_out: 2, w_out: 2, ..plain },
        Windows { dilation: [2, 3], kernel: [2, 3], origin: [-2, -5], h_out: 4, w_out: 3, ..plain },
        Windows { origin: [1, 2], h_out: 3, w_out: 3, ..plain },
        Windows { kernel: [1, 1], stride: [2, 5], origin: [0, 0], h_out: 3, w_out: 2, ..plain },
    ]
}

#[test]
fn every_tap_finds_its_pixel_in_the_split_rows() {
    for windows in geometries() {
        let image = normal(windows.inputs(), 0);
        let seen = windows.rows_seen(windows.h_out);
        let mut split = vec![f32::NAN; seen * windows.pitch()];
        windows.split_rows(&image, windows.origin[0], seen, -7.0, &mut split);
        for oy in 0..windows.h_out {
            for ox in 0..windows.w_out {
                for (ky, kx) in (0..windows.taps()).map(|k| (k / windows.kernel[1], k % windows.kernel[1])) {
                    let row =
                        (oy * windows.stride[0] + ky * windows.dilation[0]) as isize + windows.origin[0];
                    let column =
                        (ox * windows.stride[1] + kx * windows.dilation[1]) as isize + windows.origin[1];
                    let inside = (0..windows.h_in as isize).contains(&row)
                        && (0..windows.w_in as isize).contains(&column);
                    let expected =
                        if inside { image[row as usize * windows.w_in + column as usize] } else { -7.0 };
                    let place = (oy * windows.stride[0] + ky * windows.dilation[0]) * windows.pitch()
                        + windows.tap_column(kx)
                        + ox;
                    assert_eq!(split[place], expected, "{windows:?}, output {oy} {ox}, tap {ky} {kx}");
                }
            }
        }
    }
}

#[test]
fn joining_gives_back_what_was_split() {
    for windows in geometries() {
        let image: Vec<f32> = normal(windows.inputs(), 0).iter().map(|v| v + 10.0).collect();
        let seen = windows.rows_seen(windows.h_out);
        let mut split = vec![f32::NAN; seen * windows.pitch()];
        windows.split_rows(&image, windows.origin[0], seen, -7.0, &mut split);
        let (mut line, mut joined) = (vec![f32::NAN; windows.pitch()], vec![f32::NAN; image.len()]);
        windows.join_rows(&split, windows.origin[0], &mut line, &mut joined);
        // What no split row holds must be 0; the rest is the image.
        let mut found = 0;
        for (i, (&joined, &pixel)) in joined.iter().zip(&image).enumerate() {
            let held = split.contains(&pixel);
            found += usize::from(held);
            assert_eq!(joined, if held { pixel } else { 0.0 }, "{windows:?}, pixel {i}");
        }
        assert!(found > 0);
    }
}

#[test]
fn long_sums_keep_their_digits() {
    let offset: Vec<f32> = normal(1_000_003, 4).iter().map(|v| v + 100.0).collect();
    let exact: f64 = offset.iter().map(|&v| f64::from(v)).sum();
    assert!((sum(&offset) / exact - 1.0).abs() < 1e-7);
    let (a, b) = (normal(77_777, 5), normal(77_777, 6));
    let exact: f64 = a.iter().zip(&b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    let size: f64 = a.iter().zip(&b).map(|(&a, &b)| f64::from(a * b).abs()).sum();
    assert!((sum2(&a, &b, |a, b| a * b) - exact).abs() < 1e-7 * size);
}
