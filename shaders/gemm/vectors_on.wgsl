// Four elements of a factor at a time, where the extent along which they lie is a multiple of four.

const VECTORS = true;
alias Element = vec4<f32>;

// Where element number `at` is bound, and what of it is there.
fn place(at: u32) -> u32 {
    return at >> 2u;
}

fn pick(bound: Element, at: u32) -> f32 {
    return bound[at & 3u];
}

fn four(bound: Element) -> vec4<f32> {
    return bound;
}
