//! Shaders that the adapters here cannot run, as SPIR-V.

use wgpu::naga;

/// That the adapters here can compile a shader is seen when it runs; one for cooperative matrices has to be a whole SPIR-V
/// module at least.
pub fn translates(what: &str, module: &naga::Module, info: &naga::valid::ModuleInfo) {
    let options = naga::back::spv::Options { fake_missing_bindings: true, ..Default::default() };
    let words = naga::back::spv::write_vec(module, info, &options, None)
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    // OpCapability CooperativeMatrixKHR: two words, the second its number; and OpCooperativeMatrixMulAddKHR, of at least
    // 6 words.
    assert!(words.windows(2).any(|pair| pair == [2 << 16 | 17, 6022]), "{what}: no capability");
    let products = words.iter().filter(|&&word| word & 0xffff == 4459 && word >> 16 >= 6).count();
    assert!(products >= 4, "{what}: {products} products of matrices");
}
