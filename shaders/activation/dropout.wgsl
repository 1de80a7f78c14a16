// y = x / (1 - p) where the mask keeps an element, else 0. One element of the grid is one block of four words of
// the mask, hence four elements of the tensor.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<uniform> hyper: Hyper;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

override size: u32;
// Number of the first block, if x is a part of a larger tensor.
override first_block: u32;
override layer: u32;
override threshold: u32;
override scale: f32;

fn element(block: u32) {
    let words = philox(
        vec4(first_block + block, hyper.draw, layer, 0u),
        vec2(hyper.seed_lo, hyper.seed_hi),
    );
    for (var k = 0u; k < 4u; k++) {
        let i = block * 4u + k;
        if i < size {
            y[i] = select(0.0, x[i] * scale, words[k] >= threshold);
        }
    }
}
