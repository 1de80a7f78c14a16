//! Mean, standard deviation and principal components of pixels. Bytes are summed as whole numbers, so nothing is
//! rounded before the end and the order in which images come cannot matter.

/// Sums over the pixels of any number of images, exact.
#[derive(Clone, Debug, Default)]
pub(super) struct Moments {
    /// Pixels of one channel.
    pixels: u128,
    sums: [u128; MOST],
    /// Sums of the products of channel i and channel j, for i <= j.
    products: [[u128; MOST]; MOST],
}

/// Most channels of an image.
const MOST: usize = 3;

/// Pixels whose products (at most 255 x 255) surely fit in 32 bits together.
const CHUNK: usize = 1 << 16;

impl Moments {
    /// The sums of one image, `[channels, height, width]`, of at most 3 channels.
    pub fn of(image: &[u8], channels: usize) -> Moments {
        let mut moments = Moments::default();
        let plane_len = (image.len() / channels.max(1)).max(1);
        moments.pixels = plane_len as u128;
        for (i, first) in image.chunks_exact(plane_len).take(MOST).enumerate() {
            moments.sums[i] = first.iter().map(|&byte| u64::from(byte)).sum::<u64>().into();
            for (j, second) in image.chunks_exact(plane_len).take(MOST).enumerate().skip(i) {
                moments.products[i][j] = product(first, second).into();
            }
        }
        moments
    }

    /// Adds the sums of other images.
    pub fn add(&mut self, other: &Moments) {
        self.pixels += other.pixels;
        for i in 0..MOST {
            self.sums[i] += other.sums[i];
            for j in i..MOST {
                self.products[i][j] += other.products[i][j];
            }
        }
    }

    /// What the sums say about images of `channels` channels; zeros of no image.
    pub fn statistics(&self, channels: usize) -> Statistics {
        let channels = channels.min(MOST);
        let count = (self.pixels as f64).max(1.0);
        let mean = self.sums[..channels].iter().map(|&sum| sum as f64 / count / 255.0).collect();
        let covariance: [[f64; MOST]; MOST] = std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                // n S_ij - S_i S_j is exact: 65,025 n^2 fits for 10^16 pixels.
                let products = (self.pixels * self.products[i.min(j)][i.max(j)]) as i128;
                let difference = products - (self.sums[i] * self.sums[j]) as i128;
                difference as f64 / (count * count) / (255.0 * 255.0)
            })
        });
        let std = (0..channels).map(|c| covariance[c][c].sqrt()).collect();
        Statistics { mean, std, pca: (channels == MOST).then(|| Pca::of(covariance)) }
    }
}

fn product(first: &[u8], second: &[u8]) -> u64 {
    let chunks = first.chunks(CHUNK).zip(second.chunks(CHUNK));
    let chunk = |(first, second): (&[u8], &[u8])| {
        first.iter().zip(second).map(|(&a, &b)| u32::from(u16::from(a) * u16::from(b))).sum::<u32>()
    };
    chunks.map(|pair| u64::from(chunk(pair))).sum()
}

/// Statistics of pixels that are scaled to 0..1.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// One number per channel.
    pub mean: Vec<f64>,
    /// Over all pixels of all images, divided by their number; one number per channel.
    pub std: Vec<f64>,
    /// Of images with three channels.
    pub pca: Option<Pca>,
}

/// Eigenvalues and eigenvectors of the covariance of red, green and blue (Krizhevsky, Sutskever and Hinton, "ImageNet
/// classification with deep convolutional neural networks", 2012, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pca {
    /// Largest first.
    pub values: [f64; 3],
    /// One row per channel, one column per eigenvalue: column k has length 1, and its component of the largest
    /// magnitude is positive.
    pub vectors: [[f64; 3]; 3],
}

/// Sweeps of Jacobi's method; it converges quadratically, and four are enough in practice.
const SWEEPS: usize = 30;

impl Pca {
    /// The symmetric matrix `a` taken apart by Jacobi's method (Golub and Van Loan, "Matrix Computations", 4th
    /// edition, section 8.5).
    fn of(mut a: [[f64; 3]; 3]) -> Pca {
        let mut v = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        for (p, q) in [(0, 1), (0, 2), (1, 2)].into_iter().cycle().take(3 * SWEEPS) {
            if a[p][q] == 0.0 {
                continue;
            }
            // The rotation in the plane (p, q) that makes a[p][q] zero, by the smaller of the two angles.
            let tau = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
            let t = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
            let cos = 1.0 / (1.0 + t * t).sqrt();
            let sin = t * cos;
            let turn = |x: &mut f64, y: &mut f64| (*x, *y) = (cos * *x - sin * *y, sin * *x + cos * *y);
            for row in a.iter_mut().chain(&mut v) {
                let (mut x, mut y) = (row[p], row[q]);
                turn(&mut x, &mut y);
                (row[p], row[q]) = (x, y);
            }
            let (mut upper, mut lower) = (a[p], a[q]);
            upper.iter_mut().zip(&mut lower).for_each(|(x, y)| turn(x, y));
            (a[p], a[q]) = (upper, lower);
            (a[p][q], a[q][p]) = (0.0, 0.0);
        }
        let mut order = [0, 1, 2];
        order.sort_by(|&i, &j| a[j][j].total_cmp(&a[i][i]));
        let sign = order.map(|k| {
            let largest = (0..3).fold(0, |best, c| if v[c][k].abs() > v[best][k].abs() { c } else { best });
            v[largest][k].signum()
        });
        Pca {
            // A covariance has no negative eigenvalue but by rounding.
            values: order.map(|k| a[k][k].max(0.0)),
            vectors: std::array::from_fn(|c| std::array::from_fn(|k| sign[k] * v[c][order[k]])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_definition() {
        let image: Vec<u8> = (0..3 * 70_001u32).map(|i| (i * i % 251 + i % 5) as u8).collect();
        let found = Moments::of(&image, 3).statistics(3);
        let planes: Vec<&[u8]> = image.chunks(70_001).collect();
        for (c, plane) in planes.iter().enumerate() {
            let mean = plane.iter().map(|&p| f64::from(p) / 255.0).sum::<f64>() / 70_001.0;
            assert!((found.mean[c] - mean).abs() < 1e-12);
            let variance = plane.iter().map(|&p| (f64::from(p) / 255.0 - mean).powi(2)).sum::<f64>();
            assert!((found.std[c] - (variance / 70_001.0).sqrt()).abs() < 1e-12);
        }
        let mut halves = Moments::default();
        for plane in planes {
            halves.add(&Moments::of(plane, 1));
        }
        assert_eq!(halves.pixels, 3 * 70_001);
        assert!(halves.statistics(1).pca.is_none());
        let nothing = Moments::default().statistics(3);
        assert_eq!((nothing.mean, nothing.std), (vec![0.0; 3], vec![0.0; 3]));
    }

    #[test]
    fn eigenvectors_are_eigenvectors_in_order_and_of_one_sign() {
        let a = [[4.0, 1.0, -2.0], [1.0, 3.0, 0.5], [-2.0, 0.5, 5.0]];
        let Pca { values, vectors } = Pca::of(a);
        assert!(values[0] > values[1] && values[1] > values[2]);
        for k in 0..3 {
            let column = vectors.map(|row| row[k]);
            assert!((column.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-14);
            let largest = column.iter().copied().fold(0.0, |m: f64, x| if x.abs() > m.abs() { x } else { m });
            assert!(largest > 0.0);
            for row in 0..3 {
                let product: f64 = (0..3).map(|c| a[row][c] * column[c]).sum();
                assert!((product - values[k] * column[row]).abs() < 1e-14);
            }
        }
        let flat = Pca::of([[0.0; 3]; 3]);
        assert_eq!((flat.values, flat.vectors[0]), ([0.0; 3], [1.0, 0.0, 0.0]));
        assert_eq!(Pca::of([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]]).values, [3.0, 2.0, 1.0]);
    }
}
