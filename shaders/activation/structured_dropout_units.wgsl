// The factor of each unit of a structured dropout: 1 / (1 - p) where the mask keeps it, else 0. One element of the grid is
// one block of four words of the mask, hence four units.

@group(0) @binding(0) var<uniform> hyper: Hyper;
@group(0) @binding(1) var<storage, read_write> factors: array<f32>;

override size: u32;
override layer: u32;
override threshold: u32;
override scale: f32;

fn element(block: u32) {
    let words = philox(vec4(block, hyper.draw, layer, 0u), vec2(hyper.seed_lo, hyper.seed_hi));
    for (var k = 0u; k < 4u; k++) {
        let i = block * 4u + k;
        if i < size {
            factors[i] = select(0.0, scale, words[k] >= threshold);
        }
    }
}
