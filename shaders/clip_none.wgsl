// An update without gradient clipping.

const FACTORS = 0u;

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
