// scale^-beta of local response normalisation.

override beta: f32;

fn response_power(scale: f32) -> f32 {
    // The published exponent, and the two that are as cheap; `beta` is a constant, so one branch remains.
    if beta == 0.75 {
        let root = inverseSqrt(scale);
        return root * sqrt(root);
    }
    if beta == 0.5 {
        return inverseSqrt(scale);
    }
    if beta == 1.0 {
        return 1.0 / scale;
    }
    return exponential(-beta * logarithm(scale));
}
