//! Stored images to network input, a row of the batch at a time.
//!
//! A view that does not turn the image is computed row by row: the columns to read are computed once, and a row
//! of the image is interpolated along its width once for all rows of the input that need it. Other views are looked
//! at pixel by pixel. Both evaluate the same expressions in the same order and give the same bits.

use super::parallel::with_scratch;
use super::simd::vectorised;
use crate::ops::Augment;
use crate::view::View;
use rayon::prelude::*;

/// x from `pixels`, looked at as `views` say.
pub fn augment(d: &Augment, pixels: &[f32], views: &[f32], x: &mut [f32]) {
    let views: &[View] = bytemuck::cast_slice(views);
    let images = pixels.par_chunks(d.words());
    let inputs = x.par_chunks_mut(d.c_out * d.h_out * d.w_out);
    inputs.zip(images).zip(views).for_each(|((x, image), view)| {
        let straight = view.x[1] == 0 && view.y[0] == 0;
        look(d, view, bytemuck::cast_slice(image), straight, x);
    });
}

/// One image as one input; `straight` says that rows of the input are rows of the image, and columns columns.
fn look(d: &Augment, view: &View, image: &[u8], straight: bool, x: &mut [f32]) {
    let (width, plane) = (d.w_out, d.h_out * d.w_out);
    let [top, left, bottom, right] = view.cut.map(|at| at as usize);
    with_scratch([3 * width, 6 * width, 2 * width, width], |[p, kept, taps, fraction]| {
        let p = &mut p[..d.c_in * width];
        let mut rows = straight.then(|| Rows {
            columns: ColumnTaps::new(d, view, bytemuck::cast_slice_mut(taps), fraction),
            kept,
            held: [[usize::MAX; 2]; 3],
        });
        for oy in 0..d.h_out {
            let covered = if (top..bottom).contains(&oy) { left.min(width)..right.min(width) } else { 0..0 };
            let whole = covered.start == 0 && covered.end == width;
            match &mut rows {
                _ if whole => {}
                Some(rows) => rows.read(d, view, image, oy, p),
                None => turned(d, view, image, oy, p),
            }
            for c in 0..d.c_out {
                let x = &mut x[c * plane + oy * width..][..width];
                if !whole {
                    paint(d, view, c, p, x);
                }
                if !covered.is_empty() {
                    x[covered.clone()].fill(0.0);
                }
            }
        }
    });
}

/// A place along one axis, for the three coefficients of a `View`.
fn place([a, b, c]: [i32; 3], oy: usize, ox: usize) -> i32 {
    a.wrapping_mul(ox as i32).wrapping_add(b.wrapping_mul(oy as i32)).wrapping_add(c)
}

/// The two pixels beside a place along an axis of `extent` pixels, and the fraction of the second.
fn taps(place: i32, extent: usize) -> (usize, usize, f32) {
    let (first, last) = (place >> 16, extent as i32 - 1);
    let fraction = (place & 0xffff) as f32 * (1.0 / 65536.0);
    (first.clamp(0, last) as usize, (first + 1).clamp(0, last) as usize, fraction)
}

/// Row `oy` of every channel before its colour, wherever its pixels lie.
fn turned(d: &Augment, view: &View, image: &[u8], oy: usize, p: &mut [f32]) {
    for ox in 0..d.w_out {
        let (x0, x1, fx) = taps(place(view.x, oy, ox), d.w_in);
        let (y0, y1, fy) = taps(place(view.y, oy, ox), d.h_in);
        for (p, image) in p.chunks_mut(d.w_out).zip(image.chunks(d.h_in * d.w_in)) {
            let pixel = |y: usize, x: usize| f32::from(image[y * d.w_in + x]);
            let upper = (1.0 - fx) * pixel(y0, x0) + fx * pixel(y0, x1);
            let lower = (1.0 - fx) * pixel(y1, x0) + fx * pixel(y1, x1);
            p[ox] = (1.0 - fy) * upper + fy * lower;
        }
    }
}

/// A row of channel `c` of the input from the rows of `p`.
fn paint(d: &Augment, view: &View, c: usize, p: &[f32], x: &mut [f32]) {
    let (gain, bias) = (view.gain[c], view.bias[c]);
    let row = |k: usize| &p[if d.c_in == 1 { 0 } else { k * d.w_out }..][..d.w_out];
    if d.recolours() || view.recolour != 0 {
        let [red, green, blue, shift] = view.colour[c];
        vectorised!(|| {
            for (((x, r), g), b) in x.iter_mut().zip(row(0)).zip(row(1)).zip(row(2)) {
                let v = (red * r + green * g + blue * b + shift).clamp(0.0, 255.0);
                *x = gain * v + bias;
            }
        });
    } else {
        vectorised!(|| {
            for (x, p) in x.iter_mut().zip(row(c)) {
                *x = gain * p + bias;
            }
        });
    }
}

/// Reads an image that is not turned.
struct Rows<'a> {
    columns: ColumnTaps<'a>,
    /// Two rows of the image for each channel, interpolated along their width: an even one and an odd one.
    kept: &'a mut [f32],
    /// Their numbers.
    held: [[usize; 2]; 3],
}

impl Rows<'_> {
    /// Row `oy` of every channel before its colour.
    fn read(&mut self, d: &Augment, view: &View, image: &[u8], oy: usize, p: &mut [f32]) {
        let (y0, y1, fy) = taps(place(view.y, oy, 0), d.h_in);
        for (c, p) in p.chunks_mut(d.w_out).enumerate() {
            let row = |y: usize| &image[(c * d.h_in + y) * d.w_in..][..d.w_in];
            if fy == 0.0 {
                // The row below would be multiplied by 0.
                self.columns.read(row(y0), p);
                continue;
            }
            let (even, odd) = self.kept[2 * c * d.w_out..][..2 * d.w_out].split_at_mut(d.w_out);
            let kept = [even, odd];
            for y in [y0, y1] {
                if self.held[c][y % 2] != y {
                    self.columns.read(row(y), kept[y % 2]);
                    self.held[c][y % 2] = y;
                }
            }
            let (upper, lower) = (&kept[y0 % 2], &kept[y1 % 2]);
            vectorised!(|| {
                for ((p, upper), lower) in p.iter_mut().zip(upper.iter()).zip(lower.iter()) {
                    *p = (1.0 - fy) * upper + fy * lower;
                }
            });
        }
    }
}

/// What each column of an input that is not turned reads from a row of the image.
struct ColumnTaps<'a> {
    /// If each reads one pixel and its neighbour the next: the first one's column (perhaps beyond the border), and
    /// whether they go to the left.
    run: Option<(isize, bool)>,
    left: &'a [u32],
    right: &'a [u32],
    fraction: &'a [f32],
}

impl<'a> ColumnTaps<'a> {
    fn new(d: &Augment, view: &View, taps: &'a mut [u32], fraction: &'a mut [f32]) -> Self {
        let (left, right) = taps.split_at_mut(d.w_out);
        for (ox, ((left, right), fraction)) in
            left.iter_mut().zip(&mut *right).zip(&mut *fraction).enumerate()
        {
            let (x0, x1, fx) = self::taps(place(view.x, 0, ox), d.w_in);
            (*left, *right, *fraction) = (x0 as u32, x1 as u32, fx);
        }
        let [step, _, start] = view.x;
        let (first, steps) = (start >> 16, d.w_out as i32 - 1);
        let last = if step < 0 { first - steps } else { first + steps };
        // A place that wraps around is no neighbour.
        let is_run = step.unsigned_abs() == 1 << 16 && start & 0xffff == 0 && i16::try_from(last).is_ok();
        ColumnTaps { run: is_run.then_some((first as isize, step < 0)), left, right, fraction }
    }

    /// A row of the image as a row of the input.
    fn read(&self, row: &[u8], p: &mut [f32]) {
        let (width, extent) = (p.len() as isize, row.len() as isize);
        let Some((first, mirrored)) = self.run else {
            let places = self.left.iter().zip(self.right).zip(self.fraction);
            for (p, ((&left, &right), &fraction)) in p.iter_mut().zip(places) {
                let pixel = |x: u32| f32::from(row[x as usize]);
                *p = (1.0 - fraction) * pixel(left) + fraction * pixel(right);
            }
            return;
        };
        // Columns start .. end of the input lie inside the image.
        let (start, end) = if mirrored { (first - extent + 1, first + 1) } else { (-first, extent - first) };
        let start = start.clamp(0, width);
        let end = end.clamp(start, width);
        let edge = |at: isize| f32::from(row[at.clamp(0, extent - 1) as usize]);
        let column = |ox: isize| if mirrored { first - ox } else { first + ox };
        let (before, rest) = p.split_at_mut(start as usize);
        let (inside, after) = rest.split_at_mut((end - start) as usize);
        before.fill(edge(column(0)));
        after.fill(edge(column(width - 1)));
        if inside.is_empty() {
            return;
        }
        let (a, b) = (column(start), column(end - 1));
        let source = &row[a.min(b) as usize..=a.max(b) as usize];
        if mirrored {
            vectorised!(|| inside.iter_mut().zip(source.iter().rev()).for_each(|(p, &v)| *p = f32::from(v)));
        } else {
            vectorised!(|| inside.iter_mut().zip(source).for_each(|(p, &v)| *p = f32::from(v)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    const GEOMETRIES: [([usize; 3], [usize; 3]); 5] = [
        ([3, 13, 11], [3, 9, 7]),
        ([1, 1, 1], [1, 3, 5]),
        ([3, 9, 5], [1, 20, 33]),
        ([1, 40, 70], [3, 16, 17]),
        ([3, 1, 37], [3, 4, 37]),
    ];

    /// A place along an axis: whole steps or others, from a whole pixel or between two, sometimes far away.
    fn axis(stream: &mut Stream) -> [i32; 3] {
        let wild = stream.next_u32() as i32;
        let step = [65536, -65536, 32768, (wild >> 14) % 300_000, wild, 0][stream.below(6) as usize];
        let start = [(wild >> 27) << 16, (wild >> 11) % (90 << 16), wild, i32::MAX - 65535 * 9, i32::MIN];
        [step, 0, start[stream.below(5) as usize]]
    }

    #[test]
    fn rows_that_are_not_turned_have_the_bits_of_the_general_way() {
        let mut stream = Stream::new(5, Purpose::Test, 0);
        for ([c_in, h_in, w_in], [c_out, h_out, w_out]) in GEOMETRIES {
            let d = Augment { batch: 1, c_in, h_in, w_in, c_out, h_out, w_out };
            let image: Vec<u8> = (0..c_in * h_in * w_in).map(|_| stream.below(256) as u8).collect();
            for round in 0..300 {
                let mut view = View::blank();
                (view.x, view.y) = (axis(&mut stream), axis(&mut stream));
                // The step down the rows is the second factor of y.
                view.y.swap(0, 1);
                view.cut = [stream.below(9), stream.below(9), stream.below(9), stream.below(40)];
                view.recolour = stream.below(2);
                view.gain = [0, 1, 2].map(|_| stream.normal());
                view.bias = [0, 1, 2].map(|_| stream.normal());
                view.colour = [0, 1, 2].map(|_| [0.4, 0.3, stream.normal(), 20.0]);
                let [straight, general] = [true, false].map(|straight| {
                    let mut x = vec![f32::NAN; c_out * h_out * w_out];
                    look(&d, &view, &image, straight, &mut x);
                    x.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
                });
                assert_eq!(straight, general, "round {round} of {d:?}: {view:?}");
            }
        }
    }
}
