// Each image mixed with the one before it, and the first with the last real one: a weighted mean of both, or the
// partner's pixels inside a box. `x` and `y` hold images of a batch from number `first` on, `partner` holds `partners` images from
// `first_partner` on; an image whose partner is not among these is left to another dispatch.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> partner: array<f32>;
@group(0) @binding(2) var<uniform> hyper: Hyper;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

override batch: u32;
override height: u32;
override width: u32;
// Elements of one image.
override image: u32;
override first: u32;
override first_partner: u32;
override partners: u32;

fn element(i: u32) {
    let n = first + i / image;
    let at = i % image;
    let rows = min(hyper.rows, batch);
    // An image that only pads the batch is its own partner.
    let is_real = n < rows;
    let other = select(n, (n + rows - 1u) % max(rows, 1u), is_real);
    if other < first_partner || other >= first_partner + partners {
        return;
    }
    let own = x[i];
    if !is_real {
        y[i] = own;
        return;
    }
    let theirs = partner[(other - first_partner) * image + at];
    var value = own;
    if hyper.mix_bottom > hyper.mix_top && hyper.mix_right > hyper.mix_left {
        let line = at / width % height;
        let column = at % width;
        let is_inside = line >= hyper.mix_top && line < hyper.mix_bottom && column >= hyper.mix_left && column < hyper.mix_right;
        value = select(own, theirs, is_inside);
    } else if hyper.mix_weight != 1.0 {
        value = hyper.mix_weight * own + (1.0 - hyper.mix_weight) * theirs;
    }
    y[i] = value;
}
