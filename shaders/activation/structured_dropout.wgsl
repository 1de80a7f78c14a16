// y = x times the factor of its unit, 0 or 1 / (1 - p), which structured_dropout_units.wgsl wrote.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> factors: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// Elements of a unit, and the number of the first unit, if x is a part of a larger tensor.
override unit: u32;
override first_unit: u32;

fn element(i: u32) {
    let factor = factors[first_unit + i / unit];
    y[i] = select(x[i] * factor, 0.0, factor == 0.0);
}
