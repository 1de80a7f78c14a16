//! Products against sums written out: the order of the terms to the last bit, and every shape in f64.

use super::{Onto, SMALL, View, product};

/// Pseudo-random numbers for shapes and values.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize
    }

    fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| (self.next() % 2001) as f32 / 1000.0 - 1.0).collect()
    }
}

/// A product of m x k and k x n, either operand stored transposed, with gaps between the rows of all three.
struct Case {
    shape: [usize; 3],
    is_transposed: [bool; 2],
    operands: [Vec<f32>; 2],
    old: Vec<f32>,
    gap: usize,
}

impl Case {
    fn new(numbers: &mut Numbers, [m, n, k]: [usize; 3]) -> Case {
        let is_transposed = [numbers.next().is_multiple_of(2), numbers.next().is_multiple_of(2)];
        let gap = numbers.next() % 3;
        let stored = |rows: usize, cols: usize, is_transposed: bool| match is_transposed {
            true => cols * (rows + gap),
            false => rows * (cols + gap),
        };
        let [left, right] = is_transposed;
        let operands = [stored(m, k, left), stored(k, n, right)].map(|count| numbers.values(count));
        Case { shape: [m, n, k], is_transposed, operands, old: numbers.values(m * (n + gap)), gap }
    }

    fn view(&self, operand: usize) -> View<'_> {
        let [m, n, k] = self.shape;
        let (rows, cols) = [(m, k), (k, n)][operand];
        match self.is_transposed[operand] {
            true => View::new(&self.operands[operand], cols, rows, rows + self.gap).transposed(),
            false => View::new(&self.operands[operand], rows, cols, cols + self.gap),
        }
    }

    fn run(&self, onto: Onto) -> Vec<f32> {
        let mut dst = self.old.clone();
        product(&mut dst, self.shape[1] + self.gap, onto, self.view(0), self.view(1));
        dst
    }

    /// What `element` makes of the old value and the operands of its terms, for every element of the destination; the gaps stay.
    fn expected(&self, element: impl Fn(f32, &[(f32, f32)]) -> f32) -> Vec<f32> {
        let [m, n, k] = self.shape;
        let (left, right) = (self.view(0), self.view(1));
        let at =
            |view: &View, row: usize, col: usize| view.data[row * view.row_stride + col * view.col_stride];
        let mut dst = self.old.clone();
        for i in 0..m {
            for j in 0..n {
                let operands: Vec<_> = (0..k).map(|k| (at(&left, i, k), at(&right, k, j))).collect();
                let dst = &mut dst[i * (n + self.gap) + j];
                *dst = element(*dst, &operands);
            }
        }
        dst
    }
}

#[test]
fn every_shape_is_the_sum_of_its_terms() {
    let mut numbers = Numbers(1);
    for round in 0..600 {
        let mut side = || match numbers.next() % 5 {
            0 => 1,
            1 => 2 + numbers.next() % 4,
            2 => 15 + numbers.next() % 4,
            _ => 1 + numbers.next() % 100,
        };
        let shape = [side(), side(), side() * if round % 10 == 0 { 9 } else { 1 }];
        let case = Case::new(&mut numbers, shape);
        for onto in [Onto::Nothing, Onto::Old] {
            let expected = case.expected(|old, operands| {
                let sum: f64 = operands.iter().map(|&(a, b)| f64::from(a) * f64::from(b)).sum();
                (sum + if onto == Onto::Old { f64::from(old) } else { 0.0 }) as f32
            });
            for (found, expected) in case.run(onto).iter().zip(&expected) {
                let tolerance = 4e-6 * (shape[2] as f32).sqrt().max(1.0) + 1e-6 * expected.abs();
                assert!((found - expected).abs() <= tolerance, "{shape:?} {onto:?}: {found} {expected}");
            }
        }
    }
}

/// The weights of a run depend on it, so a new version of a kernel that sums in another order must not go unnoticed.
#[cfg(target_arch = "x86_64")]
#[test]
fn sums_run_in_order_in_parts_of_512() {
    if !is_x86_feature_detected!("fma") {
        return;
    }
    let mut numbers = Numbers(2);
    for k in [17, 512, 513, 700, 1100] {
        for [m, n] in [[16, 16], [97, 33], [5, 200], [64, 7]] {
            let case = Case::new(&mut numbers, [m, n, k]);
            assert!(m * n * k > SMALL);
            for onto in [Onto::Nothing, Onto::Old] {
                let expected = case.expected(|old, operands| {
                    let parts = operands.chunks(512).enumerate();
                    parts.fold(old, |total, (i, part)| {
                        let sum = part.iter().fold(0.0f32, |sum, &(a, b)| a.mul_add(b, sum));
                        if i == 0 && onto == Onto::Nothing { sum } else { total + sum }
                    })
                });
                let same = case.run(onto).iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{m} x {k} by {k} x {n}, {onto:?}");
            }
        }
    }
}

#[test]
fn an_empty_sum_is_zero_and_gaps_are_left_alone() {
    let mut dst = [7.0; 8];
    product(&mut dst, 4, Onto::Nothing, View::new(&[], 2, 0, 0), View::new(&[], 0, 3, 3));
    assert_eq!(dst, [0.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0, 7.0]);
    let mut dst = [7.0; 8];
    product(&mut dst, 4, Onto::Old, View::new(&[], 2, 0, 0), View::new(&[], 0, 3, 3));
    assert_eq!(dst, [7.0; 8]);
}

#[test]
#[should_panic(expected = "an operand is cut off")]
fn an_operand_that_is_too_short_is_refused() {
    product(
        &mut [0.0; 64 * 64],
        64,
        Onto::Nothing,
        View::new(&[0.0; 4095], 64, 64, 64),
        View::new(&[0.0; 4096], 64, 64, 64),
    );
}

#[test]
#[should_panic(expected = "the destination is too short")]
fn a_destination_that_is_too_short_is_refused() {
    product(
        &mut [0.0; 4095],
        64,
        Onto::Nothing,
        View::new(&[0.0; 4096], 64, 64, 64),
        View::new(&[0.0; 4096], 64, 64, 64),
    );
}
