//! Dispatches that measure the device and compute nothing that is asked for: arithmetic in registers, a copy, and
//! nothing at all.

use super::device::Gpu;
use super::kernels::{Dispatch, DispatchKind, NOOP, PEAK_COPY, PEAK_FMA, fold};
use super::pipeline::Scope;
use super::transfer::Transfer;
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};

/// Turns of the loop of `peak_fma.wgsl`.
const ROUNDS: u64 = 256;
/// Operations of a turn and invocation: 16 of four elements, each a multiplication and an addition.
const ROUND_FLOPS: u64 = 16 * 4 * 2;
/// THREADS of `peak_fma.wgsl`.
const THREADS: u64 = 256;
/// Elements of four of a workgroup of `elements.wgsl`.
const PER_GROUP: u64 = 1024;
/// Elements that a large buffer is filled with, over and over.
const PIECE: usize = 1 << 18;
/// Dispatches of a submission, and bind groups whose buffers no other shares, so that none of them needs a barrier.
const APART: usize = 256;

/// Work that measures, ready to be run.
#[derive(Debug)]
pub struct Probe {
    gpu: Gpu,
    name: String,
    pipeline: wgpu::ComputePipeline,
    /// Taken in turn.
    bind_groups: Vec<wgpu::BindGroup>,
    /// What the first of them writes.
    output: wgpu::Buffer,
    groups: [u32; 3],
    flops: u64,
    bytes: u64,
}

impl Probe {
    /// Fused multiply-adds in registers, by `workgroups` of 256 invocations.
    pub fn fma(gpu: &Gpu, workgroups: usize) -> Result<Probe> {
        let workgroups = workgroups.clamp(1, gpu.limits().groups as usize);
        let len = workgroups as u64 * THREADS;
        let dispatch = Dispatch {
            kind: DispatchKind::Kernel,
            shader: PEAK_FMA,
            constants: vec![("rounds", ROUNDS as f64), ("len", len as f64)],
            bindings: Vec::new(),
            groups: fold(workgroups, gpu.limits()),
            rounds: ROUNDS + 1,
        };
        let inputs: [f32; 4] = [0.999, 0.5, 0.0, 0.0];
        pollster::block_on(Probe::new(gpu, dispatch, &[(16, &inputs), (len * 4, &[])], 1))
            .map(|probe| Probe { flops: len * ROUNDS * ROUND_FLOPS, bytes: len * 4, ..probe })
    }

    /// A copy of `bytes`, or of as many as may be bound. [`Probe::bytes`] counts reading and writing.
    pub fn copy(gpu: &Gpu, bytes: u64) -> Result<Probe> {
        let most = (gpu.limits().binding as u64 * 4).min(gpu.device().limits().max_buffer_size);
        let bytes = bytes.clamp(16, most) / 16 * 16;
        let dispatch = Dispatch {
            kind: DispatchKind::Kernel,
            shader: PEAK_COPY,
            constants: vec![("len", (bytes / 16) as f64)],
            bindings: Vec::new(),
            groups: fold((bytes / 16).div_ceil(PER_GROUP) as usize, gpu.limits()),
            rounds: 5,
        };
        let mut stream = Stream::new(0, Purpose::Test, 0);
        let values: Vec<f32> = (0..PIECE).map(|_| stream.normal()).collect();
        let probe = pollster::block_on(Probe::new(gpu, dispatch, &[(bytes, &values), (bytes, &[])], 1))?;
        Ok(Probe { bytes: 2 * bytes, ..probe })
    }

    /// An empty dispatch. With `shared`, each writes the buffer of the one before it, so that a barrier stands between
    /// them; otherwise none of 256 in a row has a buffer of another.
    pub fn noop(gpu: &Gpu, shared: bool) -> Result<Probe> {
        let dispatch = Dispatch {
            kind: DispatchKind::Kernel,
            shader: NOOP,
            constants: Vec::new(),
            bindings: Vec::new(),
            groups: [1, 1, 1],
            rounds: 0,
        };
        let apart = if shared { 1 } else { APART };
        pollster::block_on(Probe::new(gpu, dispatch, &[(16, &[])], apart))
    }

    /// `apart` bind groups over separate buffers of the given bytes, initialised with these elements repeated.
    async fn new(gpu: &Gpu, dispatch: Dispatch, buffers: &[(u64, &[f32])], apart: usize) -> Result<Probe> {
        let label = dispatch.shader.label();
        let name = label.as_str();
        let pipeline = gpu.pipelines().get(&dispatch).await?;
        let scope = Scope::new(gpu.device());
        let memory = gpu.device().push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let (mut bind_groups, mut output) = (Vec::with_capacity(apart), None);
        for _ in 0..apart {
            let made: Vec<wgpu::Buffer> =
                buffers.iter().map(|&(size, from)| filled(gpu, name, size, from)).collect();
            let entries: Vec<wgpu::BindGroupEntry> = (0u32..)
                .zip(&made)
                .map(|(binding, buffer)| wgpu::BindGroupEntry {
                    binding,
                    resource: buffer.as_entire_binding(),
                })
                .collect();
            bind_groups.push(gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(name),
                layout: &pipeline.get_bind_group_layout(0),
                entries: &entries,
            }));
            output = output.or(made.into_iter().next_back());
        }
        let full = memory.pop().await.is_some();
        let error = scope.error().await;
        if full {
            let device = &gpu.info().name;
            return Err(Error::Memory(format!("{name}: {device} has too little memory left to be measured")));
        }
        if let Some(error) = error {
            return Err(Error::Device(format!("{name}: {error}")));
        }
        gpu.check()?;
        let output = output.ok_or_else(|| Error::Internal(format!("{name} writes nothing")))?;
        let (gpu, groups) = (gpu.clone(), dispatch.groups);
        Ok(Probe { gpu, name: label.clone(), pipeline, bind_groups, output, groups, flops: 0, bytes: 0 })
    }

    /// What the runs so far have left, so that one can see that they did their work.
    pub fn output(&self) -> Result<Vec<f32>> {
        let mut transfer = Transfer::default();
        let len = (self.output.size() / 4) as usize;
        let pending = pollster::block_on(transfer.start(&self.gpu, &self.output, 0, len))?;
        transfer.drive(&self.gpu, &pending)?;
        pollster::block_on(transfer.finish(pending))
    }

    /// Floating-point operations of one run.
    pub fn flops(&self) -> u64 {
        self.flops
    }

    /// Bytes that one run reads and writes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Runs `count` dispatches one after the other, 256 to a submission, and waits for them.
    pub fn run(&self, count: usize) -> Result<()> {
        let scope = Scope::new(self.gpu.device());
        for first in (0..count).step_by(APART) {
            let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&self.pipeline);
            for bind_group in self.bind_groups.iter().cycle().take(APART.min(count - first)) {
                pass.set_bind_group(0, bind_group, &[]);
                pass.dispatch_workgroups(self.groups[0], self.groups[1], self.groups[2]);
            }
            drop(pass);
            self.gpu.queue().submit([encoder.finish()]);
        }
        let polled = self.gpu.poll(wgpu::PollType::wait_indefinitely());
        match pollster::block_on(scope.error()) {
            Some(error) => Err(self.gpu.blame(Error::Device(format!("{}: {error}", self.name)))),
            None => polled,
        }
    }
}

/// A buffer of `size` bytes that begins with `from` over and over; zeros without.
fn filled(gpu: &Gpu, name: &str, size: u64, from: &[f32]) -> wgpu::Buffer {
    let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some(name),
        size,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let piece = from.len() as u64 * 4;
    // Not all of a large buffer at once: each write is staged in main memory.
    for at in (0..size).step_by((piece.max(1)) as usize).take_while(|_| piece > 0) {
        let len = (piece.min(size - at) / 4) as usize;
        gpu.queue().write_buffer(&buffer, at, bytemuck::cast_slice(&from[..len]));
    }
    buffer
}
