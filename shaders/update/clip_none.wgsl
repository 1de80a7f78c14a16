// An update without gradient clipping.

// Bindings between hyper and w.
const FACTORS = TABLES;

fn clip_factor() -> f32 {
    return 1.0;
}

fn is_skipped() -> bool {
    return false;
}

fn correction1() -> f32 {
    return hyper.correction1;
}

fn correction2() -> f32 {
    return hyper.correction2;
}
