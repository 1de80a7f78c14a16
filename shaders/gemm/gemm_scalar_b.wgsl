// For products whose b is always loaded one element at a time.
const B_VECTORS = false;

fn load_b4(t: Term, at: Column) -> vec4<f32> {
    return vec4<f32>(load_b(t, at));
}
