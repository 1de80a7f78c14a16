//! How the images of a batch are mixed: MixUp and CutMix. Each draw is a function of the seed and the number of the batch, so a
//! run that is resumed mixes as it would have done without the stop.

use super::options::Options;
use crate::ops::Hyper;
use crate::random::{Purpose, Stream};

/// Draws how the images of a batch are mixed, one draw for a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixing {
    /// Shapes of the beta distributions of MixUp and of CutMix. With both, each batch takes one of them with probability 1/2
    /// (timm's `switch_prob`, torchvision's `RandomChoice`).
    mixup: Option<f64>,
    cutmix: Option<f64>,
    seed: u64,
    height: usize,
    width: usize,
}

/// How the images of one batch are mixed with their partners ([`crate::ops::Mix`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// Share of the image's own label, and with an empty box of its own pixels.
    pub weight: f32,
    /// Top, left, bottom and right of the box that the partner's pixels replace; empty for MixUp.
    pub sides: [u32; 4],
}

impl Mixing {
    /// The mixing of a run under `options` of a network with an input of `[channels, height, width]`; `None` without.
    pub fn new(options: &Options, [_, height, width]: [usize; 3]) -> Option<Mixing> {
        let Options { mixup, cutmix, seed, .. } = *options;
        options.mixes().then_some(Mixing { mixup, cutmix, seed, height, width })
    }

    /// The draw of gradient computation `number` of the run, counted from 0.
    pub fn draw(&self, number: usize) -> Mix {
        let mut stream = Stream::new(self.seed, Purpose::Mix, number as u32);
        // Drawn always, so that the numbers of one kind do not depend on the other.
        let takes_cutmix = stream.uniform() < 0.5;
        match (self.mixup, self.cutmix) {
            (Some(shape), None) => Mix::up(&mut stream, shape),
            (Some(shape), Some(_)) if !takes_cutmix => Mix::up(&mut stream, shape),
            (_, Some(shape)) => Mix::cut(&mut stream, shape, [self.height, self.width]),
            (None, None) => Mix { weight: 1.0, sides: [0; 4] },
        }
    }
}

impl Mix {
    /// torchvision's `v2.MixUp.make_params`.
    fn up(stream: &mut Stream, shape: f64) -> Mix {
        Mix { weight: stream.beta(shape) as f32, sides: [0; 4] }
    }

    /// torchvision's `v2.CutMix.make_params`: a box of about the share 1 - lambda of the image, cut at the image's border; the
    /// weight is the share of what is left.
    fn cut(stream: &mut Stream, shape: f64, [height, width]: [usize; 2]) -> Mix {
        let lambda = stream.beta(shape);
        let (x, y) = (stream.below(width as u32) as usize, stream.below(height as u32) as usize);
        let half = |side: usize| (0.5 * (1.0 - lambda).sqrt() * side as f64) as usize;
        let [left, right] = [x.saturating_sub(half(width)), (x + half(width)).min(width)];
        let [top, bottom] = [y.saturating_sub(half(height)), (y + half(height)).min(height)];
        let cut = ((right - left) * (bottom - top)) as f64;
        let weight = (1.0 - cut / (width * height) as f64) as f32;
        Mix { weight, sides: [top, left, bottom, right].map(|side| side as u32) }
    }

    /// `hyper` with this mixing.
    pub fn put(self, hyper: Hyper) -> Hyper {
        let [mix_top, mix_left, mix_bottom, mix_right] = self.sides;
        Hyper { mix_weight: self.weight, mix_top, mix_left, mix_bottom, mix_right, ..hyper }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(options: Options, count: usize) -> Vec<Mix> {
        let mixing = Mixing::new(&options.with_seed(5), [3, 20, 31]).unwrap();
        (0..count).map(|number| mixing.draw(number)).collect()
    }

    fn is_box(mix: &Mix) -> bool {
        mix.sides != [0; 4]
    }

    #[test]
    fn a_draw_depends_on_seed_and_number_only() {
        let options = Options::default().with_mixup(0.4);
        assert_eq!(draws(options.clone(), 5), draws(options.clone(), 9)[..5]);
        assert_ne!(draws(options.clone(), 2)[0], draws(options.clone(), 2)[1]);
        assert!(draws(options, 50).iter().all(|mix| !is_box(mix)));
        assert_eq!(Mixing::new(&Options::default(), [1, 2, 3]), None);
    }

    #[test]
    fn boxes_lie_inside_and_the_weight_is_the_share_outside() {
        for mix in draws(Options::default().with_cutmix(1.0), 500) {
            let [top, left, bottom, right] = mix.sides;
            assert!(top <= bottom && bottom <= 20 && left <= right && right <= 31, "{mix:?}");
            let outside = 1.0 - f64::from((bottom - top) * (right - left)) / 620.0;
            assert!((f64::from(mix.weight) - outside).abs() < 1e-7, "{mix:?}");
        }
    }

    #[test]
    fn of_both_kinds_each_batch_takes_one_with_equal_probability() {
        let both = Options::default().with_mixup(0.4).with_cutmix(1.0);
        let all = draws(both, 2000);
        // A box whose centre is at the corner may be empty and yet not at 0, so few are missed.
        let boxes = all.iter().filter(|mix| is_box(mix)).count();
        assert!((900..1100).contains(&boxes), "{boxes}");
        // Those of MixUp are the numbers that they are without CutMix.
        let alone = draws(Options::default().with_mixup(0.4), 2000);
        assert!(all.iter().zip(&alone).all(|(mix, alone)| is_box(mix) || mix == alone || mix.weight == 1.0));
    }
}
