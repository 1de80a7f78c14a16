//! `gemm_cooperative.wgsl` where there are no matrix units: the operations on cooperative matrices are put into plain WGSL
//! that does what they are defined to do, everything else of the shader stays, and the result has to have the bits of the
//! products one by one. What this cannot see is whether a driver's matrix units do what they are defined to do: that is
//! the business of the check before they are used.

use crate::{dispatch as raw, gpu_device};
use striate::gpu::LimitOverrides;
use striate::gpu::kernels::{Dispatch, Limits, Precision, kernels};
use striate::ops::Access;
use striate::verify::cases::cases;

/// A matrix of sums is spread over the 32 invocations of a subgroup, 8 elements each; one of factors is where it lies.
const PLAIN: &str = "
var<private> own: u32;
alias Matrix = array<f32, 8>;

fn load_sums(place: u32) -> Matrix {
    var m: Matrix;
    for (var n = 0u; n < 8u; n++) { m[n] = staging[place + own + 32u * n]; }
    return m;
}

fn store_sums(m: Matrix, place: u32) {
    var sums = m;
    for (var n = 0u; n < 8u; n++) { staging[place + own + 32u * n] = sums[n]; }
}

fn multiply_add(a: u32, b: u32, c: Matrix) -> Matrix {
    var sums = c;
    for (var n = 0u; n < 8u; n++) {
        let i = (own + 32u * n) / 16u;
        let j = (own + 32u * n) % 16u;
        for (var k = 0u; k < 16u; k++) {
            sums[n] = fma(f32(tile_a[a + i * STRIDE + k]), f32(tile_b[b + j * STRIDE + k]), sums[n]);
        }
    }
    return sums;
}
";

/// The shader without cooperative matrices.
fn plain(source: &str) -> String {
    let mut text = source.to_string();
    for (from, to, times) in [
        ("enable wgpu_cooperative_matrix;", "", 1),
        ("    @builtin(subgroup_id) subgroup: u32,\n", "", 1),
        ("    @builtin(subgroup_invocation_id) lane: u32,\n", "", 1),
        (
            "    let tiles_i =",
            "    let subgroup = thread / 32u;\n    let lane = thread % 32u;\n    own = lane;\n    let tiles_i =",
            1,
        ),
        // Row-major: element (i, k) of a at i * STRIDE + k.
        ("coopLoadT<coop_mat16x16<f16, A>>(&tile_a[", "((", 2),
        // Column-major: element (k, j) of b at j * STRIDE + k.
        ("coopLoad<coop_mat16x16<f16, B>>(&tile_b[", "((", 2),
        ("], STRIDE)", "))", 4),
        ("coopLoadT<coop_mat16x16<f32, C>>(&staging[place], SIDE)", "load_sums(place)", 4),
        ("coopMultiplyAdd(", "multiply_add(", 4),
        ("coopStoreT(", "store_sums(", 4),
        (", &staging[place], SIDE)", ", place)", 4),
    ] {
        assert_eq!(text.matches(from).count(), times, "{from}");
        text = text.replace(from, to);
    }
    assert!(!text.contains("coop_mat") && !text.contains("coopM"), "{text}");
    text + PLAIN
}

/// As [`plain`], for shaders that have such matrices.
fn rewrite(dispatch: &Dispatch) -> String {
    let source = dispatch.shader.source();
    if source.contains("enable wgpu_cooperative_matrix;") { plain(&source) } else { source }
}

#[test]
fn the_frame_for_matrix_units_computes_what_products_one_by_one_do() {
    let Some(gpu) = gpu_device::open(&LimitOverrides { kernel: Some(TILE), ..LimitOverrides::default() })
    else {
        return;
    };
    let Ok((half, _)) = gpu.half() else { return };
    assert_eq!(half.limits().precision, Precision::Half);
    let device = raw::device(&gpu, wgpu::Features::SHADER_F16);
    let limits = Limits { precision: Precision::HalfCooperative, ..Limits::default() };
    let mut kinds = std::collections::BTreeMap::new();
    for case in cases().iter().filter(|case| case.op.is_product() && !case.name.contains("nan")) {
        // A few of each, those with several tiles in both directions among them.
        let number = kinds.entry(case.op.name()).or_insert(0usize);
        *number += 1;
        if *number % 12 != 1 && !case.name.contains("65x129") {
            continue;
        }
        let operands = case.inputs(3);
        let found = raw::run(&device, &kernels(&case.op, &limits).unwrap(), &operands, &rewrite);
        let expected = raw::expected(&half, case, &operands);
        for (i, operand) in case.op.operands().iter().enumerate().filter(|(_, o)| o.access != Access::Read) {
            let off = found[i].iter().zip(&expected[i]).filter(|(a, b)| a != b).count();
            assert_eq!(off, 0, "{}: {off} of {} elements of {}", case.name, found[i].len(), operand.name);
        }
    }
    assert_eq!(kinds.len(), 6);
}

/// The fastest on a software adapter; every kernel gives the same bits.
const TILE: striate::gpu::kernels::GemmKernel = striate::gpu::kernels::GemmKernel::Registers;
