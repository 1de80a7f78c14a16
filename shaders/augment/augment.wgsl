// Network input from bytes: one element of the grid is one pixel of x, in all channels.

// src/view.rs, same members, same order.
struct View {
    x: array<i32, 3>,
    y: array<i32, 3>,
    // Top, left, bottom, right.
    cut: array<u32, 4>,
    colour: array<array<f32, 4>, 3>,
    gain: array<f32, 3>,
    bias: array<f32, 3>,
    recolour: u32,
    reserved: array<u32, 3>,
}

@group(0) @binding(0) var<storage, read> pixels: array<u32>;
@group(0) @binding(1) var<storage, read> views: array<View>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

override c_in: u32;
override h_in: u32;
override w_in: u32;
override c_out: u32;
override h_out: u32;
override w_out: u32;
// Words of one image.
override words: u32;

// Bytes `left` and `right` of an image; `right` is the same byte or the next one.
fn pair(base: u32, left: u32, right: u32) -> vec2<f32> {
    let word = pixels[base + left / 4u];
    let shift = left % 4u * 8u;
    let first = f32((word >> shift) & 0xffu);
    if right == left {
        return vec2(first, first);
    }
    if shift == 24u {
        return vec2(first, f32(pixels[base + right / 4u] & 0xffu));
    }
    return vec2(first, f32((word >> (shift + 8u)) & 0xffu));
}

fn element(i: u32) {
    let plane = h_out * w_out;
    let n = i / plane;
    let at = i % plane;
    let oy = at / w_out;
    let ox = at % w_out;
    let first = n * c_out * plane + at;
    if oy >= views[n].cut[0] && ox >= views[n].cut[1] && oy < views[n].cut[2] && ox < views[n].cut[3] {
        for (var c = 0u; c < c_out; c++) {
            x[first + c * plane] = 0.0;
        }
        return;
    }
    // Places wrap around, as everywhere.
    let sx = views[n].x[0] * i32(ox) + views[n].x[1] * i32(oy) + views[n].x[2];
    let sy = views[n].y[0] * i32(ox) + views[n].y[1] * i32(oy) + views[n].y[2];
    let fx = f32(sx & 0xffff) * (1.0 / 65536.0);
    let fy = f32(sy & 0xffff) * (1.0 / 65536.0);
    let column = sx >> 16u;
    let row = sy >> 16u;
    let left = u32(clamp(column, 0, i32(w_in) - 1));
    let right = u32(clamp(column + 1, 0, i32(w_in) - 1));
    let top = u32(clamp(row, 0, i32(h_in) - 1)) * w_in;
    let bottom = u32(clamp(row + 1, 0, i32(h_in) - 1)) * w_in;
    let base = n * words;
    var p = vec3<f32>();
    for (var c = 0u; c < c_in; c++) {
        let image = c * h_in * w_in;
        let above = pair(base, image + top + left, image + top + right);
        let below = pair(base, image + bottom + left, image + bottom + right);
        let upper = (1.0 - fx) * above.x + fx * above.y;
        let lower = (1.0 - fx) * below.x + fx * below.y;
        p[c] = (1.0 - fy) * upper + fy * lower;
    }
    if c_in == 1u {
        p = vec3(p.x);
    }
    let recolour = c_in != c_out || views[n].recolour != 0u;
    for (var c = 0u; c < c_out; c++) {
        var v = p[c];
        if recolour {
            let colour = views[n].colour[c];
            v = clamp(colour[0] * p[0] + colour[1] * p[1] + colour[2] * p[2] + colour[3], 0.0, 255.0);
        }
        x[first + c * plane] = views[n].gain[c] * v + views[n].bias[c];
    }
}
