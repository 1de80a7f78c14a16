//! Runs a program on a device. All that can be made beforehand is: buffers, pipelines, bind groups. A run only
//! records dispatches, in one compute pass and one submission unless that would take too long for a watchdog.

use super::device::Gpu;
use super::kernels::{self, Binding, Dispatch, Kernels, Source};
use super::pipeline::Scope;
use super::transfer::Transfer;
use crate::error::{Error, Result};
use crate::program::{self, BufferId, Pending, Profile, Program, Span, Step};
use std::sync::Arc;

/// A dispatch that only has to be recorded.
#[derive(Debug)]
pub(super) struct Ready {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    groups: [u32; 3],
    pub flops: u64,
}

impl Ready {
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(self.groups[0], self.groups[1], self.groups[2]);
    }
}

/// The dispatches of one step.
pub(super) type Recording = Vec<Ready>;

/// A program on a GPU. Buffers are zero until they are written.
#[derive(Debug)]
pub struct Executor {
    pub(super) gpu: Gpu,
    program: Arc<Program>,
    slots: Vec<wgpu::Buffer>,
    /// Recordings of the forward, gradients and update steps.
    forward: Vec<Recording>,
    gradients: Vec<Recording>,
    update: Vec<Recording>,
    transfer: Transfer,
}

impl Executor {
    /// Puts `program` on a device: allocates its memory and compiles its shaders.
    ///
    /// # Errors
    /// `Error::Memory` if it does not fit, `Error::Device` if the device refuses a shader.
    pub fn new(gpu: &Gpu, program: Arc<Program>) -> Result<Executor> {
        pollster::block_on(Executor::request(gpu, program))
    }

    /// The same without blocking.
    pub async fn request(gpu: &Gpu, program: Arc<Program>) -> Result<Executor> {
        gpu.check()?;
        let lists = [Span::Forward, Span::Gradients, Span::Update];
        let mut planned: Vec<Vec<Kernels>> = Vec::new();
        for span in lists {
            let plan = |s: &Step| kernels::kernels(&s.op, gpu.limits()).map_err(|e| at(s, e));
            planned.push(program.steps(span).map(plan).collect::<Result<_>>()?);
        }
        let slots = allocate_slots(gpu, &program).await?;
        let scratch = allocate_scratch(gpu, planned.iter().flatten()).await?;
        let mut recordings: Vec<Vec<Recording>> = Vec::new();
        for (span, planned) in lists.into_iter().zip(&planned) {
            let mut list = Vec::new();
            for (step, kernels) in program.steps(span).zip(planned) {
                let place = Place { gpu, program: &program, step, kernels, slots: &slots, scratch: &scratch };
                list.push(place.record().await.map_err(|e| at(step, e))?);
            }
            recordings.push(list);
        }
        gpu.check()?;
        let [forward, gradients, update] = <[Vec<Recording>; 3]>::try_from(recordings)
            .map_err(|_| Error::Internal("three lists of steps expected".into()))?;
        let transfer = Transfer::default();
        Ok(Executor { gpu: gpu.clone(), program, slots, forward, gradients, update, transfer })
    }

    /// The program that this executor runs.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// How many dispatches a run of `span` records.
    pub fn dispatches(&self, span: Span) -> usize {
        self.recordings(span).map(Vec::len).sum()
    }

    /// How many staging buffers reads have needed so far.
    pub fn staging_buffers(&self) -> usize {
        self.transfer.made()
    }

    /// The recordings of the steps of `span`, in order.
    pub(super) fn recordings(&self, span: Span) -> impl Iterator<Item = &Recording> {
        let (first, second): (&[Recording], &[Recording]) = match span {
            Span::Forward => (&self.forward, &[]),
            Span::Gradients => (&self.gradients, &[]),
            Span::Update => (&self.update, &[]),
            Span::Train => (&self.gradients, &self.update),
        };
        first.iter().chain(second)
    }

    fn slot(&self, buffer: BufferId) -> &wgpu::Buffer {
        &self.slots[self.program.plan().slot(buffer)]
    }
}

impl program::Executor for Executor {
    fn write(&mut self, buffer: BufferId, data: &[f32]) -> Result<()> {
        self.program.check_access(buffer, Some(data.len()))?;
        self.gpu.check()?;
        if !data.is_empty() {
            self.gpu.queue().write_buffer(self.slot(buffer), 0, bytemuck::cast_slice(data));
        }
        self.gpu.check()
    }

    fn start_read(&mut self, buffer: BufferId) -> Result<Pending> {
        self.program.check_access(buffer, None)?;
        self.gpu.check()?;
        let len = self.program.buffer(buffer).shape.len();
        let slot = self.slots[self.program.plan().slot(buffer)].clone();
        pollster::block_on(self.transfer.start(&self.gpu, &slot, len))
    }

    fn finish_read(&mut self, pending: Pending) -> Result<Vec<f32>> {
        self.transfer.drive(&self.gpu, &pending)?;
        pollster::block_on(self.transfer.finish(pending))
    }

    fn run(&mut self, span: Span) -> Result<()> {
        self.gpu.check()?;
        let mut work = self.recordings(span).flatten().peekable();
        while work.peek().is_some() {
            let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&Default::default());
            let mut flops = 0;
            while let Some(next) = work.next_if(|n| flops == 0 || flops + n.flops <= self.gpu.submission()) {
                next.record(&mut pass);
                flops += next.flops.max(1);
            }
            drop(pass);
            self.gpu.queue().submit([encoder.finish()]);
        }
        self.gpu.check()
    }

    fn profile(&mut self, span: Span) -> Result<Profile> {
        self.time(span)
    }

    fn wait(&mut self) -> Result<()> {
        let polled = self.gpu.device().poll(wgpu::PollType::wait_indefinitely());
        self.gpu.check()?;
        polled.map(|_| ()).map_err(|e| Error::Device(format!("waiting for the device: {e}")))
    }
}

/// Puts the step in front of a message.
fn at(step: &Step, error: Error) -> Error {
    let name = step.op.name();
    let placed = |text: String| {
        let text = text.strip_prefix(name).map_or(text.as_str(), |rest| rest.trim_start_matches(": "));
        format!("{name} of {}: {text}", step.label)
    };
    match error {
        Error::Memory(text) => Error::Memory(placed(text)),
        Error::Device(text) => Error::Device(placed(text)),
        Error::Internal(text) => Error::Internal(placed(text)),
        other => other,
    }
}

/// One buffer per slot of the memory plan.
async fn allocate_slots(gpu: &Gpu, program: &Program) -> Result<Vec<wgpu::Buffer>> {
    let plan = program.plan();
    let mut names = vec![""; plan.slots().len()];
    for (i, buffer) in program.buffers().iter().enumerate() {
        let name = &mut names[plan.slot(BufferId(i as u32))];
        if name.is_empty() {
            *name = &buffer.name;
        }
    }
    // The hyper words are bound as a uniform.
    let mut uniform = vec![false; names.len()];
    for step in [Span::Forward, Span::Train].into_iter().flat_map(|span| program.steps(span)) {
        for (operand, &id) in step.op.operands().iter().zip(&step.buffers) {
            uniform[plan.slot(id)] |= operand.name == "hyper";
        }
    }
    let mut slots = Vec::new();
    for ((&len, name), uniform) in plan.slots().iter().zip(names).zip(uniform) {
        let extra = if uniform { wgpu::BufferUsages::UNIFORM } else { wgpu::BufferUsages::empty() };
        slots.push(allocate(gpu, name, len, extra, plan.bytes()).await?);
    }
    Ok(slots)
}

/// Scratch buffers, shared by all steps: number i is as long as the longest number i.
async fn allocate_scratch(gpu: &Gpu, all: impl Iterator<Item = &Kernels>) -> Result<Vec<wgpu::Buffer>> {
    let mut lengths: Vec<usize> = Vec::new();
    for kernels in all {
        lengths.resize(lengths.len().max(kernels.scratch.len()), 0);
        for (longest, &len) in lengths.iter_mut().zip(&kernels.scratch) {
            *longest = len.max(*longest);
        }
    }
    let total = lengths.iter().map(|&n| n as u64 * 4).sum();
    let mut buffers = Vec::new();
    for len in lengths {
        buffers.push(allocate(gpu, "scratch", len, wgpu::BufferUsages::empty(), total).await?);
    }
    Ok(buffers)
}

async fn allocate(
    gpu: &Gpu,
    name: &str,
    len: usize,
    extra: wgpu::BufferUsages,
    total: u64,
) -> Result<wgpu::Buffer> {
    let (size, most) = ((len as u64 * 4).max(16), gpu.device().limits().max_buffer_size);
    let advice = "a smaller batch needs less";
    if size > most {
        return Err(Error::Memory(format!(
            "buffer {name} needs {size} bytes, but a buffer of {} has at most {most}; {advice}",
            gpu.info().name
        )));
    }
    let scope = Scope::new(gpu.device());
    let memory = gpu.device().push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some(name),
        size,
        usage: usage | extra,
        mapped_at_creation: false,
    });
    let full = memory.pop().await.is_some();
    if let Some(error) = scope.error().await {
        return Err(Error::Device(format!("buffer {name} of {size} bytes: {error}")));
    }
    if full {
        return Err(Error::Memory(format!(
            "{} has no {size} bytes left for buffer {name} (of {total} in all); {advice}",
            gpu.info().name
        )));
    }
    Ok(buffer)
}

/// A step and where its tensors lie.
struct Place<'a> {
    gpu: &'a Gpu,
    program: &'a Program,
    step: &'a Step,
    kernels: &'a Kernels,
    slots: &'a [wgpu::Buffer],
    scratch: &'a [wgpu::Buffer],
}

impl Place<'_> {
    async fn record(&self) -> Result<Recording> {
        let mut ready = Vec::new();
        let share = self.step.op.flops() / (self.kernels.dispatches.len().max(1) as u64);
        for dispatch in &self.kernels.dispatches {
            let pipeline = self.gpu.pipelines().get(self.gpu, dispatch).await?;
            let bind_group = self.bind(dispatch, &pipeline).await?;
            ready.push(Ready { pipeline, bind_group, groups: dispatch.groups, flops: share });
        }
        Ok(ready)
    }

    async fn bind(&self, dispatch: &Dispatch, pipeline: &wgpu::ComputePipeline) -> Result<wgpu::BindGroup> {
        let bindings =
            dispatch.bindings.iter().map(|b| self.part(b)).collect::<Result<Vec<wgpu::BufferBinding>>>()?;
        let entries: Vec<wgpu::BindGroupEntry> = (0u32..)
            .zip(bindings)
            .map(|(binding, part)| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(part),
            })
            .collect();
        let scope = Scope::new(self.gpu.device());
        let bind_group = self.gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&self.step.label),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        match scope.error().await {
            Some(error) => Err(Error::Device(format!("shader {}.wgsl: {error}", dispatch.shader.name))),
            None => Ok(bind_group),
        }
    }

    /// The part of a buffer that a binding means.
    fn part(&self, binding: &Binding) -> Result<wgpu::BufferBinding<'_>> {
        let absent = || Error::Internal(format!("no {:?}", binding.source));
        let operands = self.step.op.operands();
        let (buffer, len, name) = match binding.source {
            Source::Operand(i) => {
                let id = *self.step.buffers.get(i).ok_or_else(absent)?;
                let name = operands.get(i).map_or("", |operand| operand.name);
                let slot = self.program.plan().slot(id);
                (&self.slots[slot], self.program.buffer(id).shape.len(), name)
            }
            Source::Scratch(i) => {
                let len = *self.kernels.scratch.get(i).ok_or_else(absent)?;
                (self.scratch.get(i).ok_or_else(absent)?, len, "scratch")
            }
        };
        let (first, count) = binding.range.unwrap_or((0, len));
        let limits = self.gpu.limits();
        if first + count > len || first % limits.align != 0 {
            return Err(Error::Internal(format!("{name} of {len} elements bound at {first} for {count}")));
        }
        if count > limits.binding {
            return Err(Error::Memory(format!(
                "{name} has {} bytes, but {} binds at most {} at once; a smaller batch needs less",
                count * 4,
                self.gpu.info().name,
                limits.binding * 4
            )));
        }
        // An empty tensor still needs something to be bound.
        let size = wgpu::BufferSize::new((count as u64 * 4).max(4));
        Ok(wgpu::BufferBinding { buffer, offset: first as u64 * 4, size })
    }
}
