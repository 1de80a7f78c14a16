// The operands of a product as they are in memory: strict fp32.
fn operands(values: vec4<f32>) -> vec4<f32> {
    return values;
}
