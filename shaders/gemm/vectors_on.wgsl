// Loads four elements of an operand at a time, where the extent along which they lie is a multiple of four.

const VECTORS = true;
alias Element = vec4<f32>;

// The index of the vector with element `at`, and the element in it.
fn place(at: u32) -> u32 {
    return at >> 2u;
}

fn pick(bound: Element, at: u32) -> f32 {
    return bound[at & 3u];
}

fn four(bound: Element) -> vec4<f32> {
    return bound;
}
