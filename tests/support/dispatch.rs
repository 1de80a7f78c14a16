//! Dispatches run by hand, with their shaders rewritten: for tests of what the executor has no switch for.

use std::sync::Arc;
use striate::gpu::kernels::{Dispatch, Kernels, Source};
use striate::gpu::{Executor, Gpu};
use striate::program::{BufferId, Executor as _, Span};
use striate::verify::cases::Case;

/// A device with `features` on the adapter of `gpu`.
pub fn device(gpu: &Gpu, features: wgpu::Features) -> (wgpu::Device, wgpu::Queue) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let adapter = adapters.into_iter().find(|adapter| adapter.get_info().name == gpu.info().name).unwrap();
    let descriptor = wgpu::DeviceDescriptor {
        required_features: features,
        required_limits: adapter.limits(),
        ..Default::default()
    };
    pollster::block_on(adapter.request_device(&descriptor)).unwrap()
}

/// Runs the dispatches of an operator on `operands`, with the sources that `rewrite` makes; all operands afterwards.
pub fn run(
    (device, queue): &(wgpu::Device, wgpu::Queue),
    found: &Kernels,
    operands: &[Vec<f32>],
    rewrite: &dyn Fn(&Dispatch) -> String,
) -> Vec<Vec<u32>> {
    let usage = wgpu::BufferUsages::STORAGE
        | wgpu::BufferUsages::UNIFORM
        | wgpu::BufferUsages::COPY_SRC
        | wgpu::BufferUsages::COPY_DST;
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
    for dispatch in &found.dispatches {
        let Dispatch { shader, constants, bindings, groups, .. } = dispatch;
        let (label, source) = (shader.label(), rewrite(dispatch));
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&label),
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
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
pub fn expected(gpu: &Gpu, case: &Case, operands: &[Vec<f32>]) -> Vec<Vec<u32>> {
    let program = case.program().unwrap();
    let mut executor = Executor::new(gpu, Arc::clone(&program)).unwrap();
    let ids: Vec<BufferId> = (0..operands.len() as u32).map(BufferId).collect();
    ids.iter().zip(operands).for_each(|(&id, values)| executor.write(id, values).unwrap());
    executor.run(Span::Forward).unwrap();
    ids.iter().map(|&id| executor.read(id).unwrap().iter().map(|v| v.to_bits()).collect()).collect()
}
