//! `gemm_cooperative.wgsl` where there are no matrix units: the operations on cooperative matrices are put into plain WGSL
//! that does what they are defined to do, everything else of the shader stays, and the result has to have the bits of the
//! products one by one. What this cannot see is whether a driver's matrix units do what they are defined to do: that is
//! the business of the check before they are used.

mod gpu_device;

use std::sync::Arc;
use striate::gpu::kernels::{Dispatch, Kernels, Limits, Products, Source, kernels};
use striate::gpu::{Executor, Gpu, Restriction};
use striate::ops::Access;
use striate::program::{BufferId, Executor as _, Span};
use striate::verify::cases::{Case, cases};

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
        ("    @builtin(subgroup_invocation_id) inner: u32,\n", "", 1),
        (
            "    let tiles_i =",
            "    let subgroup = lane / 32u;\n    let inner = lane % 32u;\n    own = inner;\n    let tiles_i =",
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

/// A device with f16 on the adapter of `gpu`.
fn device(gpu: &Gpu) -> (wgpu::Device, wgpu::Queue) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let adapter = adapters.into_iter().find(|adapter| adapter.get_info().name == gpu.info().name).unwrap();
    let descriptor = wgpu::DeviceDescriptor {
        required_features: wgpu::Features::SHADER_F16,
        required_limits: adapter.limits(),
        ..Default::default()
    };
    pollster::block_on(adapter.request_device(&descriptor)).unwrap()
}

/// Runs the dispatches of a product on `operands`; all of them afterwards.
fn run(device: &wgpu::Device, queue: &wgpu::Queue, found: &Kernels, operands: &[Vec<f32>]) -> Vec<Vec<u32>> {
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let buffer = |len: usize, usage| {
        let size = (len as u64 * 4).max(16);
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    };
    let tensors: Vec<wgpu::Buffer> = operands.iter().map(|values| buffer(values.len(), usage)).collect();
    for (tensor, values) in tensors.iter().zip(operands) {
        queue.write_buffer(tensor, 0, bytemuck::cast_slice(values));
    }
    let scratch: Vec<wgpu::Buffer> = found.scratch.iter().map(|&len| buffer(len, usage)).collect();
    let mut encoder = device.create_command_encoder(&Default::default());
    for Dispatch { shader, constants, bindings, groups } in &found.dispatches {
        let is_product = shader.source.contains("enable wgpu_cooperative_matrix;");
        let source = if is_product { plain(shader.source) } else { shader.source.to_string() };
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(shader.name),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(shader.name),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..)
            .zip(bindings)
            .map(|(binding, bound)| {
                assert_eq!(bound.range, None, "nothing has to be cut here");
                let buffer = match bound.source {
                    Source::Operand(i) => &tensors[i],
                    Source::Scratch(i) => &scratch[i],
                };
                wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() }
            })
            .collect();
        let layout = pipeline.get_bind_group_layout(0);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &layout,
            entries: &entries,
        });
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
    }
    let mut staging = Vec::new();
    for (tensor, values) in tensors.iter().zip(operands) {
        let copy = buffer(values.len(), wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        encoder.copy_buffer_to_buffer(tensor, 0, &copy, 0, values.len() as u64 * 4);
        staging.push(copy);
    }
    queue.submit([encoder.finish()]);
    for copy in &staging {
        copy.map_async(wgpu::MapMode::Read, .., |result| result.unwrap());
    }
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let words = |(copy, values): (&wgpu::Buffer, &Vec<f32>)| {
        let view = copy.get_mapped_range(..).unwrap();
        bytemuck::pod_collect_to_vec::<u8, u32>(&view)[..values.len()].to_vec()
    };
    staging.iter().zip(operands).map(words).collect()
}

/// The same by the executor.
fn expected(gpu: &Gpu, case: &Case, operands: &[Vec<f32>]) -> Vec<Vec<u32>> {
    let program = case.program().unwrap();
    let mut executor = Executor::new(gpu, Arc::clone(&program)).unwrap();
    let ids: Vec<BufferId> = (0..operands.len() as u32).map(BufferId).collect();
    ids.iter().zip(operands).for_each(|(&id, values)| executor.write(id, values).unwrap());
    executor.run(Span::Forward).unwrap();
    ids.iter().map(|&id| executor.read(id).unwrap().iter().map(|v| v.to_bits()).collect()).collect()
}

#[test]
fn the_frame_for_matrix_units_computes_what_products_one_by_one_do() {
    let Some(gpu) = gpu_device::open(&Restriction { tile: Some(TILE), ..Restriction::default() }) else {
        return;
    };
    let Ok((half, _)) = gpu.half() else { return };
    assert_eq!(half.limits().products, Products::Half);
    let (device, queue) = device(&gpu);
    let limits = Limits { products: Products::HalfCooperative, ..Limits::default() };
    let mut kinds = std::collections::BTreeMap::new();
    for case in cases().iter().filter(|case| case.op.is_product() && !case.name.contains("nan")) {
        // A few of each, those with several tiles in both directions among them.
        let number = kinds.entry(case.op.name()).or_insert(0usize);
        *number += 1;
        if *number % 12 != 1 && !case.name.contains("65x129") {
            continue;
        }
        let operands = case.inputs(3);
        let found = run(&device, &queue, &kernels(&case.op, &limits).unwrap(), &operands);
        let expected = expected(&half, case, &operands);
        for (i, operand) in case.op.operands().iter().enumerate().filter(|(_, o)| o.access != Access::Read) {
            let off = found[i].iter().zip(&expected[i]).filter(|(a, b)| a != b).count();
            assert_eq!(off, 0, "{}: {off} of {} elements of {}", case.name, found[i].len(), operand.name);
        }
    }
    assert_eq!(kinds.len(), 6);
}

/// The quickest on a software adapter; every tile gives the same bits.
const TILE: striate::gpu::kernels::Tile = striate::gpu::kernels::Tile::Registers;
