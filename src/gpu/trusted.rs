//! Shader modules without the run-time checks that cost most. The one place of `gpu` with unsafe code.
#![allow(unsafe_code)]

/// A module of one of the shaders of this crate. With `checked`, every run-time check stays in.
///
/// Without, bounds checks stay and two checks go: the counter that ends every loop after 2^64 turns (measured by
/// others at up to 100 times the running time of a tight loop, wgpu issue 7698) and the test of every integer
/// division for zero and overflow.
pub(super) fn module(device: &wgpu::Device, name: &str, source: &str, checked: bool) -> wgpu::ShaderModule {
    let descriptor =
        wgpu::ShaderModuleDescriptor { label: Some(name), source: wgpu::ShaderSource::Wgsl(source.into()) };
    if checked {
        return device.create_shader_module(descriptor);
    }
    let checks = wgpu::ShaderRuntimeChecks {
        force_loop_bounding: false,
        int_div_checks: false,
        ..wgpu::ShaderRuntimeChecks::checked()
    };
    // SAFETY: the sources are the files of `shaders/`, compiled into this crate, never text from outside. Every
    // loop in them counts up to a bound that does not change in the loop, and every divisor is an `override` or
    // a `const` that `kernels` sets from a geometry `Op::check` has found positive; no dividend is i32::MIN. So
    // neither check could ever fire. The tests run every kernel with the checks on as well.
    unsafe { device.create_shader_module_trusted(descriptor, checks) }
}
