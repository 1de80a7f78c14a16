// Shared by every kernel.

// wgpu 30's Vulkan back end honours the options for loop bounding, integer-division checks and zero-filled
// workgroup memory only in modules that have an override, so every kernel has this one.
override unused: u32 = 0u;

// Number of this workgroup in a grid that was folded (src/gpu/kernels/mod.rs, `fold`).
fn group_index(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return (group.z * groups.y + group.y) * groups.x + group.x;
}

// Comparisons with NaN may be folded away by a compiler that assumes there is none; the bits cannot.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
