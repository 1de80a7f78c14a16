// An update without gradient clipping.

// Bindings between hyper and w.
const FACTORS = TABLES;

fn clip_factor() -> f32 {
    return 1.0;
}
