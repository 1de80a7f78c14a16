// The operands of a product rounded to f16, as in gemm_half.wgsl. Values beyond 65504 become infinite.
fn operands(values: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(vec4<f16>(values));
}
