// Loads the elements of an operand one by one; the alternative is vectors_on.wgsl.

const VECTORS = false;
alias Element = f32;

// The index of element `at`, and the element.
fn place(at: u32) -> u32 {
    return at;
}

fn pick(bound: Element, at: u32) -> f32 {
    return bound;
}

fn four(bound: Element) -> vec4<f32> {
    return vec4<f32>(bound);
}
