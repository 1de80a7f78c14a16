//! Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as
//! 1, 2, 3", SC 2011). A value is a pure function of a key (the seed) and a counter (purpose and element),
//! so there is no generator state to save and the number of threads has no effect.
//! `shaders/shared/philox.wgsl` is the same function for the GPU; both are tested with the same vectors.

mod beta;

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// One block of Philox 4x32-10: four independent 32-bit words for `counter` under `key`.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    philox_blocks(counter.map(|word| [word]), key).map(|[word]| word)
}

/// `N` blocks of Philox 4x32-10 at once, in structure-of-arrays layout so that the compiler can vectorise: element i of
/// word j belongs to block i.
#[inline(always)]
pub fn philox_blocks<const N: usize>(mut counter: [[u32; N]; 4], mut key: [u32; 2]) -> [[u32; N]; 4] {
    for round in 0..10 {
        if round > 0 {
            key[0] = key[0].wrapping_add(WEYL[0]);
            key[1] = key[1].wrapping_add(WEYL[1]);
        }
        let [c0, c1, c2, c3] = counter;
        for i in 0..N {
            let p0 = u64::from(MULTIPLIER[0]) * u64::from(c0[i]);
            let p1 = u64::from(MULTIPLIER[1]) * u64::from(c2[i]);
            counter[0][i] = (p1 >> 32) as u32 ^ c1[i] ^ key[0];
            counter[1][i] = p1 as u32;
            counter[2][i] = (p0 >> 32) as u32 ^ c3[i] ^ key[1];
            counter[3][i] = p0 as u32;
        }
    }
    counter
}

/// The purpose of a stream of random numbers. Streams of different purposes never overlap.
/// Dropout (`ops::dropout`) uses purpose 0 with its own counter layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Initial values of parameters; `index` is the parameter's number.
    Initialise = 1,
    /// Order of the samples; `index` is the epoch.
    Shuffle = 2,
    /// Augmentation; `index` is the epoch, and the second word of the counter selects the random quantity of a sample.
    Augment = 3,
    /// Synthetic data; `index` is the sample.
    Synthetic = 4,
    /// Splitting a data set into training and validation parts.
    Split = 5,
    /// Inputs of self-tests, tests and benchmarks; `index` is the case.
    Test = 6,
    /// Noise and occlusion of a robustness evaluation; `index` is the sample.
    Corrupt = 7,
    /// Mixing of the images of a batch; `index` is the number of the gradient computation.
    Mix = 8,
    /// Draws with replacement of the samples of an epoch; `index` is the epoch, and the first word of the counter the position.
    Sample = 9,
}

/// A sequential stream of random numbers for one purpose. It is cheap to create.
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    counter: [u32; 4],
    block: [u32; 4],
    used: usize,
    /// The second of a pair of normal numbers, not yet returned.
    spare: Option<f32>,
}

impl Stream {
    /// Creates the stream of `seed` for `purpose` and `index`.
    pub fn new(seed: u64, purpose: Purpose, index: u32) -> Self {
        Stream {
            key: [seed as u32, (seed >> 32) as u32],
            counter: [0, 0, index, (purpose as u32) << 24],
            block: [0; 4],
            used: 4,
            spare: None,
        }
    }

    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.block = philox(self.counter, self.key);
            self.used = 0;
            let (low, carry) = self.counter[0].overflowing_add(1);
            self.counter[0] = low;
            self.counter[1] = self.counter[1].wrapping_add(u32::from(carry));
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// Uniform in [0, 1) with 24 random bits.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Standard normal, by the Box-Muller method in f64, which generates two numbers at a time.
    pub fn normal(&mut self) -> f32 {
        if let Some(second) = self.spare.take() {
            return second;
        }
        let u = (f64::from(self.next_u32()) + 1.0) / 4_294_967_297.0;
        let v = f64::from(self.next_u32()) / 4_294_967_296.0;
        let radius = (-2.0 * u.ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * v).sin_cos();
        self.spare = Some((radius * sin) as f32);
        (radius * cos) as f32
    }

    /// Uniform in 0..n without bias (Lemire's method); `n` must not be 0.
    pub fn below(&mut self, n: u32) -> u32 {
        let threshold = n.wrapping_neg() % n;
        loop {
            let m = u64::from(self.next_u32()) * u64::from(n);
            if m as u32 >= threshold {
                return (m >> 32) as u32;
            }
        }
    }

    /// A random permutation of 0..n (Fisher-Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i as u32 + 1) as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known-answer vectors that Random123 ships for philox4x32-10 (kat_vectors).
    #[test]
    fn philox_matches_the_published_vectors() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn several_blocks_equal_single_ones() {
        let counter: [[u32; 8]; 4] =
            std::array::from_fn(|j| std::array::from_fn(|i| (7 * i + j) as u32 * 0x1357_9bdf));
        let blocks = philox_blocks(counter, [11, 12]);
        for i in 0..8 {
            assert_eq!(
                blocks.map(|word| word[i]),
                philox(counter.map(|word| word[i]), [11, 12]),
                "block {i}"
            );
        }
    }

    #[test]
    fn a_permutation_holds_every_index_once_and_depends_on_seed_and_epoch() {
        let order = |seed, epoch| Stream::new(seed, Purpose::Shuffle, epoch).permutation(1000);
        let mut sorted = order(1, 0);
        sorted.sort_unstable();
        assert!(sorted.iter().enumerate().all(|(i, &v)| i as u32 == v));
        assert_eq!(order(1, 0), order(1, 0));
        assert_ne!(order(1, 0), order(1, 1));
        assert_ne!(order(1, 0), order(2, 0));
    }

    #[test]
    fn normal_has_mean_zero_and_variance_one() {
        let mut stream = Stream::new(7, Purpose::Test, 0);
        let n = 100_000;
        let (mut sum, mut squares) = (0.0f64, 0.0f64);
        for _ in 0..n {
            let x = f64::from(stream.normal());
            sum += x;
            squares += x * x;
        }
        let mean = sum / f64::from(n);
        assert!(mean.abs() < 0.01, "mean {mean}");
        assert!((squares / f64::from(n) - 1.0).abs() < 0.02);
    }
}
