//! Winograd convolution F(M, R) in two dimensions: M x M outputs of an R x R kernel from N x N inputs,
//! N = M + R - 1, with N x N multiplications in place of M M R R.
//!
//! y = A^T [(G w G^T) . (B^T x B)] A (Lavin and Gray, arXiv 1509.09308). The matrices are Toom and Cook's for N - 1 points
//! and infinity. A point and its negative have rows that differ in the signs of every other coefficient, so each pair
//! costs one row's products.
//!
//! The functions treat as many tiles, or channels, at a time as a vector has lanes.

#![allow(clippy::needless_range_loop, reason = "matrices are read by their indices")]

use crate::cpu::vector::multiply_add;
use pulp::Simd;

/// The points besides infinity for tiles of N x N values: 0 and pairs of small fractions, of which those whose results
/// err least on random data whose negative values are 0, as after a ReLU. In f32, of the norm of the outputs: F(4, 3) 0.6e-6
/// (with 1, -1, 2, -2 of the paper twice as much), F(4, 5) 2e-6. All matrices but G are exact.
const fn points(n: usize) -> &'static [f64] {
    match n {
        4 => &[0.0, 1.0, -1.0],
        5 => &[0.0, 0.5, -1.0, 2.0],
        6 => &[0.0, 0.75, -0.75, 1.5, -1.5],
        8 => &[0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0],
        _ => panic!("points are known for tiles of 4 x 4, 5 x 5, 6 x 6 and 8 x 8"),
    }
}

/// F(M, R) with N = M + R - 1.
pub struct Winograd<const N: usize, const M: usize, const R: usize>;

impl<const N: usize, const M: usize, const R: usize> Winograd<N, M, R> {
    const POINTS: &[f64] = points(N);

    /// B^T: row j has the coefficients of the product of (x - p) over the points p other than point j; the last row
    /// that of all points.
    pub const INPUT: [[f32; N]; N] = {
        assert!(N == M + R - 1 && N == Self::POINTS.len() + 1);
        let mut matrix = [[0.0; N]; N];
        let mut row = 0;
        while row < N {
            let mut product = [0.0; N];
            product[0] = 1.0;
            let mut other = 0;
            while other < N - 1 {
                if other != row {
                    let mut j = N - 1;
                    while j > 0 {
                        product[j] = product[j - 1] - Self::POINTS[other] * product[j];
                        j -= 1;
                    }
                    product[0] *= -Self::POINTS[other];
                }
                other += 1;
            }
            let mut j = 0;
            while j < N {
                matrix[row][j] = product[j] as f32;
                j += 1;
            }
            row += 1;
        }
        matrix
    };

    /// G: the powers of point j, divided by the product of its differences from the others; the last row is the
    /// highest power's.
    pub const FILTER: [[f32; R]; N] = {
        let mut matrix = [[0.0; R]; N];
        let mut row = 0;
        while row < N - 1 {
            let mut divisor = 1.0;
            let mut other = 0;
            while other < N - 1 {
                if other != row {
                    divisor *= Self::POINTS[row] - Self::POINTS[other];
                }
                other += 1;
            }
            let mut power = 1.0 / divisor;
            let mut j = 0;
            while j < R {
                matrix[row][j] = power as f32;
                power *= Self::POINTS[row];
                j += 1;
            }
            row += 1;
        }
        matrix[N - 1][R - 1] = 1.0;
        matrix
    };

    /// A: the powers of point j; the last row is the highest power's.
    pub const OUTPUT: [[f32; M]; N] = {
        let mut matrix = [[0.0; M]; N];
        let mut row = 0;
        while row < N - 1 {
            let mut power = 1.0;
            let mut j = 0;
            while j < M {
                matrix[row][j] = power as f32;
                power *= Self::POINTS[row];
                j += 1;
            }
            row += 1;
        }
        matrix[N - 1][M - 1] = 1.0;
        matrix
    };

    /// B^T x B; `load` gives x at a row and column, `store` takes value `row * N + column`.
    #[inline(always)]
    pub fn input<S: Simd>(
        simd: S,
        load: impl Fn(usize, usize) -> S::f32s,
        store: impl FnMut(usize, S::f32s),
    ) {
        both(simd, &Self::INPUT, load, store);
    }

    /// G w G^T.
    #[inline(always)]
    pub fn filter<S: Simd>(
        simd: S,
        load: impl Fn(usize, usize) -> S::f32s,
        store: impl FnMut(usize, S::f32s),
    ) {
        both(simd, &Self::FILTER, load, store);
    }

    /// A dy A^T: what the gradient of the outputs is multiplied as.
    #[inline(always)]
    pub fn output_grad<S: Simd>(
        simd: S,
        load: impl Fn(usize, usize) -> S::f32s,
        store: impl FnMut(usize, S::f32s),
    ) {
        both(simd, &Self::OUTPUT, load, store);
    }

    /// A^T m A; `load` gives value `row * N + column` of m, `store` takes a row, a column and y there.
    #[inline(always)]
    pub fn output<S: Simd>(
        simd: S,
        load: impl Fn(usize) -> S::f32s,
        store: impl FnMut(usize, usize, S::f32s),
    ) {
        both_transposed(simd, &Self::OUTPUT, load, store);
    }

    /// G^T m G: the gradient of the kernel.
    #[inline(always)]
    pub fn filter_grad<S: Simd>(
        simd: S,
        load: impl Fn(usize) -> S::f32s,
        store: impl FnMut(usize, usize, S::f32s),
    ) {
        both_transposed(simd, &Self::FILTER, load, store);
    }
}

/// T x T^T.
#[inline(always)]
fn both<S: Simd, const N: usize, const I: usize>(
    simd: S,
    matrix: &[[f32; I]; N],
    load: impl Fn(usize, usize) -> S::f32s,
    mut store: impl FnMut(usize, S::f32s),
) {
    let zero = simd.splat_f32s(0.0);
    let mut half = [[zero; I]; N];
    for column in 0..I {
        let mut x = [zero; I];
        for row in 0..I {
            x[row] = load(row, column);
        }
        let transformed = spread(simd, matrix, x);
        for row in 0..N {
            half[row][column] = transformed[row];
        }
    }
    for row in 0..N {
        let transformed = spread(simd, matrix, half[row]);
        for column in 0..N {
            store(row * N + column, transformed[column]);
        }
    }
}

/// T^T m T.
#[inline(always)]
fn both_transposed<S: Simd, const N: usize, const O: usize>(
    simd: S,
    matrix: &[[f32; O]; N],
    load: impl Fn(usize) -> S::f32s,
    mut store: impl FnMut(usize, usize, S::f32s),
) {
    let zero = simd.splat_f32s(0.0);
    let mut half = [[zero; N]; O];
    for column in 0..N {
        let mut x = [zero; N];
        for row in 0..N {
            x[row] = load(row * N + column);
        }
        let transformed = collect(simd, matrix, x);
        for row in 0..O {
            half[row][column] = transformed[row];
        }
    }
    for row in 0..O {
        let transformed = collect(simd, matrix, half[row]);
        for column in 0..O {
            store(row, column, transformed[column]);
        }
    }
}

/// T x. Rows 1 and 2, 3 and 4, ... are those of a point and its negative, if all points but 0 come in such pairs.
#[inline(always)]
fn spread<S: Simd, const N: usize, const I: usize>(
    simd: S,
    matrix: &[[f32; I]; N],
    x: [S::f32s; I],
) -> [S::f32s; N] {
    let mut y = [simd.splat_f32s(0.0); N];
    if N % 2 == 1 {
        for row in 0..N {
            y[row] = sum(simd, &matrix[row], &x, 0, 1);
        }
        return y;
    }
    y[0] = sum(simd, &matrix[0], &x, 0, 1);
    for pair in 0..(N - 2) / 2 {
        let row = 2 * pair + 1;
        let even = sum(simd, &matrix[row], &x, 0, 2);
        let odd = sum(simd, &matrix[row], &x, 1, 2);
        y[row] = simd.add_f32s(even, odd);
        y[row + 1] = simd.sub_f32s(even, odd);
    }
    y[N - 1] = sum(simd, &matrix[N - 1], &x, 0, 1);
    y
}

/// The sum of row[j] x[j] over every `step`-th j from `first` on, without those with 0.
#[inline(always)]
fn sum<S: Simd, const I: usize>(
    simd: S,
    row: &[f32; I],
    x: &[S::f32s; I],
    first: usize,
    step: usize,
) -> S::f32s {
    let mut total = Sum::None;
    let mut j = first;
    while j < I {
        total = total.plus(simd, row[j], x[j]);
        j += step;
    }
    total.value(simd)
}

/// T^T x, T as in [`spread`].
#[inline(always)]
fn collect<S: Simd, const N: usize, const O: usize>(
    simd: S,
    matrix: &[[f32; O]; N],
    x: [S::f32s; N],
) -> [S::f32s; O] {
    if N % 2 == 1 {
        let mut y = [simd.splat_f32s(0.0); O];
        for j in 0..O {
            let mut total = Sum::None;
            for row in 0..N {
                total = total.plus(simd, matrix[row][j], x[row]);
            }
            y[j] = total.value(simd);
        }
        return y;
    }
    let mut sums = x;
    let mut differences = x;
    for pair in 0..(N - 2) / 2 {
        let row = 2 * pair + 1;
        sums[row] = simd.add_f32s(x[row], x[row + 1]);
        differences[row] = simd.sub_f32s(x[row], x[row + 1]);
    }
    let mut y = [simd.splat_f32s(0.0); O];
    for j in 0..O {
        let mut total = Sum::None.plus(simd, matrix[0][j], x[0]);
        for pair in 0..(N - 2) / 2 {
            let row = 2 * pair + 1;
            total = total.plus(simd, matrix[row][j], if j % 2 == 0 { sums[row] } else { differences[row] });
        }

        y[j] = total.plus(simd, matrix[N - 1][j], x[N - 1]).value(simd);
    }
    y
}

/// A sum of products with factors that the compiler knows: those with 0 and 1 vanish.
enum Sum<S: Simd> {
    None,
    Some(S::f32s),
}

impl<S: Simd> Sum<S> {
    #[inline(always)]
    fn plus(self, simd: S, factor: f32, x: S::f32s) -> Self {
        if factor == 0.0 {
            return self;
        }
        Sum::Some(match self {
            Sum::None if factor == 1.0 => x,
            Sum::None => simd.mul_f32s(simd.splat_f32s(factor), x),
            Sum::Some(total) if factor == 1.0 => simd.add_f32s(total, x),
            Sum::Some(total) => multiply_add(simd, simd.splat_f32s(factor), x, total),
        })
    }

    #[inline(always)]
    fn value(self, simd: S) -> S::f32s {
        match self {
            Sum::None => simd.splat_f32s(0.0),
            Sum::Some(total) => total,
        }
    }
}
