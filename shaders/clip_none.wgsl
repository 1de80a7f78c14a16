// An update without gradient clipping.

const FACTORS = 0u;

fn clip_factor() -> f32 {
    return 1.0;
}
