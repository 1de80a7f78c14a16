//! What an image may look like: for every pixel the range between what its neighbouring samples say.
//!
//! How subsampled colour is spread over pixels is not laid down (T.81 A.1.1 has sizes only): decoders repeat the nearest
//! sample or interpolate between the two nearest in each direction. In all of them, a pixel lies between the values that
//! the samples around it give, and where those are alike, nothing is left to choose.

use super::encoder::Frame;

/// How the samples of a frame become colours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Colours {
    Grey,
    YCbCr,
    Rgb,
    /// Inks as Adobe stores them: 255 is none.
    Cmyk,
    /// The same, red, green and blue of the complement as YCbCr.
    Ycck,
}

/// Least and largest sample of component `index` around every pixel.
fn ranges(frame: &Frame, index: usize) -> Vec<[f64; 2]> {
    let component = &frame.components[index];
    let plane = frame.decoded(index);
    let most =
        |side: fn(&super::encoder::Component) -> usize| frame.components.iter().map(side).max().unwrap();
    let around = |at: usize, own: usize, most: usize, size: usize| {
        let place = (at as f64 + 0.5) * own as f64 / most as f64 - 0.5;
        [place.floor(), place.ceil()].map(|place| (place.max(0.0) as usize).min(size - 1))
    };
    let mut ranges = Vec::new();
    for y in 0..frame.height {
        for x in 0..frame.width {
            let mut range = [f64::MAX, f64::MIN];
            for row in around(y, component.v, most(|c| c.v), component.height) {
                for column in around(x, component.h, most(|c| c.h), component.width) {
                    let sample = plane[row * component.width + column];
                    range = [range[0].min(sample), range[1].max(sample)];
                }
            }
            ranges.push(range);
        }
    }
    ranges
}

/// Least and largest red, green and blue of every pixel, without any rounding.
pub fn pixels(frame: &Frame, colours: Colours) -> Vec<[[f64; 2]; 3]> {
    let planes: Vec<_> = (0..frame.components.len()).map(|index| ranges(frame, index)).collect();
    let weighed = |at: usize, weights: [f64; 3]| {
        let end = |high: usize| {
            (0..3)
                .map(|c| weights[c] * planes[c][at][if weights[c] < 0.0 { 1 - high } else { high }])
                .sum::<f64>()
        };
        [end(0), end(1)]
    };
    // T.871, 7.
    let ycbcr = |at| {
        let rows =
            [[1.0, 0.0, 1.402], [1.0, -0.114 * 1.772 / 0.587, -0.299 * 1.402 / 0.587], [1.0, 1.772, 0.0]];
        rows.map(|row| weighed(at, row).map(|value| (value - 128.0 * (row[1] + row[2])).clamp(0.0, 255.0)))
    };
    let inked =
        |at: usize, [low, high]: [f64; 2]| [low * planes[3][at][0] / 255.0, high * planes[3][at][1] / 255.0];
    (0..frame.width * frame.height)
        .map(|at| match colours {
            Colours::Grey => [planes[0][at]; 3],
            Colours::Rgb => [0, 1, 2].map(|c| planes[c][at]),
            Colours::YCbCr => ycbcr(at),
            Colours::Cmyk => [0, 1, 2].map(|c| inked(at, planes[c][at])),
            Colours::Ycck => ycbcr(at).map(|[low, high]| inked(at, [255.0 - high, 255.0 - low])),
        })
        .collect()
}

/// How far `found`, `[height, width, 3]`, is outside of what it may be, at worst.
pub fn error(frame: &Frame, colours: Colours, found: &[u8]) -> f64 {
    assert_eq!(found.len(), 3 * frame.width * frame.height);
    let pairs = pixels(frame, colours).into_iter().flatten().zip(found);
    pairs
        .map(|([low, high], &value)| (low - f64::from(value)).max(f64::from(value) - high))
        .fold(0.0, f64::max)
}
