//! Stored pictures to network input, a row of the batch at a time.

use crate::ops::Augment;
use crate::view::View;
use rayon::prelude::*;

/// The two pixels beside a place along an axis of `extent` pixels, and the fraction of the second.
#[inline(always)]
fn taps(place: i32, extent: usize) -> (usize, usize, f32) {
    let (first, last) = (place >> 16, extent as i32 - 1);
    let fraction = (place & 0xffff) as f32 * (1.0 / 65536.0);
    (first.clamp(0, last) as usize, (first + 1).clamp(0, last) as usize, fraction)
}

/// x from `pixels`, looked at as `views` say.
pub fn augment(d: &Augment, pixels: &[f32], views: &[f32], x: &mut [f32]) {
    let views: &[View] = bytemuck::cast_slice(views);
    let pictures = pixels.par_chunks(d.words());
    let inputs = x.par_chunks_mut(d.c_out * d.h_out * d.w_out);
    inputs.zip(pictures).zip(views).for_each(|((x, picture), view)| {
        look(d, view, bytemuck::cast_slice(picture), x);
    });
}

/// One picture as one input.
fn look(d: &Augment, view: &View, picture: &[u8], x: &mut [f32]) {
    let (source, plane) = (d.h_in * d.w_in, d.h_out * d.w_out);
    let recolour = d.recolours() || view.recolour != 0;
    let [top, left, bottom, right] = view.cut;
    let place = |[a, b, c]: [i32; 3], oy: u32, ox: u32| {
        a.wrapping_mul(ox as i32).wrapping_add(b.wrapping_mul(oy as i32)).wrapping_add(c)
    };
    for oy in 0..d.h_out as u32 {
        for ox in 0..d.w_out as u32 {
            let at = oy as usize * d.w_out + ox as usize;
            if oy >= top && ox >= left && oy < bottom && ox < right {
                for c in 0..d.c_out {
                    x[c * plane + at] = 0.0;
                }
                continue;
            }
            let (x0, x1, fx) = taps(place(view.x, oy, ox), d.w_in);
            let (y0, y1, fy) = taps(place(view.y, oy, ox), d.h_in);
            let mut p = [0.0; 3];
            for c in 0..d.c_in {
                let pixel = |y: usize, x: usize| f32::from(picture[c * source + y * d.w_in + x]);
                let upper = (1.0 - fx) * pixel(y0, x0) + fx * pixel(y0, x1);
                let lower = (1.0 - fx) * pixel(y1, x0) + fx * pixel(y1, x1);
                p[c] = (1.0 - fy) * upper + fy * lower;
            }
            if d.c_in == 1 {
                p = [p[0]; 3];
            }
            for c in 0..d.c_out {
                let mut v = p[c];
                if recolour {
                    let [r, g, b, shift] = view.colour[c];
                    v = (r * p[0] + g * p[1] + b * p[2] + shift).clamp(0.0, 255.0);
                }
                x[c * plane + at] = view.gain[c] * v + view.bias[c];
            }
        }
    }
}
