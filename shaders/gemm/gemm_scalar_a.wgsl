// For products whose a is always loaded one element at a time.
const A_VECTORS = false;

fn load_a4(at: Row, t: Term) -> vec4<f32> {
    return vec4<f32>(load_a(at, t));
}
