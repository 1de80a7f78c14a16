// The factors of a product rounded to f16, as gemm_half.wgsl has them. What lies beyond 65504 becomes infinite.
fn factors(values: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(vec4<f16>(values));
}
