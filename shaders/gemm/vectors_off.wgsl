// Elements of a factor one by one; vectors_on.wgsl is the other way.

const VECTORS = false;
alias Element = f32;

// Where element number `at` is bound, and what of it is there.
fn place(at: u32) -> u32 {
    return at;
}

fn pick(bound: Element, at: u32) -> f32 {
    return bound;
}

fn four(bound: Element) -> vec4<f32> {
    return vec4<f32>(bound);
}
