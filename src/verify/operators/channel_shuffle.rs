//! The channel shuffle.

use super::OperatorCheck;
use crate::ops::{ChannelShuffle, Op};
use crate::verify::cases::{Case, Data};
use crate::verify::error_scale::exact;

pub fn channel_shuffle(d: &ChannelShuffle) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        let columns = d.channels / d.groups;
        for n in 0..d.batch {
            for i in 0..d.groups {
                for j in 0..columns {
                    for p in 0..d.inner {
                        let from = (n * d.channels + i * columns + j) * d.inner + p;
                        outputs[0][(n * d.channels + j * d.groups + i) * d.inner + p] = inputs[0][from];
                    }
                }
            }
        }
    };
    OperatorCheck::new(None, reference, exact)
}

pub fn cases() -> Vec<Case> {
    // The last ones have whole blocks of channels.
    let sizes = [
        (1, 1, 1, 1),
        (2, 6, 7, 3),
        (3, 12, 35, 2),
        (2, 58, 49, 29),
        (5, 15, 1, 5),
        (2, 7, 9, 7),
        (3, 48, 35, 2),
        (2, 64, 9, 4),
    ];
    let mut cases = Vec::new();
    for (batch, channels, inner, groups) in sizes {
        let d = ChannelShuffle { batch, channels, inner, groups };
        let what = format!("{batch}x{channels}x{inner}_groups_{groups}");
        cases.push(Case::new(Op::ChannelShuffle(d), &what, 1));
    }
    let d = ChannelShuffle { batch: 3, channels: 12, inner: 5, groups: 4 };
    cases.push(Case::new(Op::ChannelShuffle(d), "nan_row", 1).with_data(Data::Nan));
    cases
}
