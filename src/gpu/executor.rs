//! Runs a program on a device. All that can be made beforehand is: buffers, pipelines, bind groups, as the
//! schedule of the program says. A run only records dispatches, in one compute pass and one submission unless that
//! would take too long for a watchdog.

use super::adapter;
use super::device::Gpu;
use super::kernels::{Dispatch, DispatchKind};
use super::layout::{Memory, Place};
use super::pipeline::Scope;
use super::schedule::{BoundDispatch, Schedule};
use super::transfer::Transfer;
use crate::error::{Error, Result};
use crate::program::{self, BufferId, Pending, Profile, Program, Span, Workload};
use std::sync::Arc;

/// A dispatch that only has to be recorded.
#[derive(Debug)]
pub(super) struct RecordedDispatch {
    /// Of the pipeline.
    pub label: String,
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    groups: [u32; 3],
    pub flops: u64,
}

impl RecordedDispatch {
    /// Records it, if it is `labelled` with a marker for profilers before it.
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>, labelled: bool) {
        if labelled {
            pass.insert_debug_marker(&self.label);
        }
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(self.groups[0], self.groups[1], self.groups[2]);
    }
}

/// The dispatches of one step of the schedule.
#[derive(Debug)]
pub(super) struct Recording {
    /// Operator and layer, by which profilers show it.
    pub name: String,
    pub workload: Workload,
    pub steps: usize,
    pub dispatches: Vec<RecordedDispatch>,
}

/// A program on a GPU. Buffers are zero until they are written.
#[derive(Debug)]
pub struct Executor {
    pub(super) gpu: Gpu,
    program: Arc<Program>,
    memory: Vec<wgpu::Buffer>,
    /// Where each buffer of the program begins.
    places: Vec<Place>,
    /// Recordings of the forward, gradients and update lists.
    forward: Vec<Recording>,
    gradients: Vec<Recording>,
    update: Vec<Recording>,
    transfer: Transfer,
    /// Whether runs are recorded with groups and markers for profilers: with `WGPU_DEBUG=1`, since they take the host time
    /// (on llvmpipe a sixth more for the recording of a step of LeNet-5).
    labelled: bool,
}

impl Executor {
    /// Puts `program` on a device: allocates its memory and compiles its shaders.
    ///
    /// # Errors
    /// `Error::Memory` if it does not fit, `Error::Device` if the device refuses a shader, `Error::Lost` if it is lost
    /// meanwhile.
    pub fn new(gpu: &Gpu, program: Arc<Program>) -> Result<Executor> {
        pollster::block_on(Executor::request(gpu, program))
    }

    /// The same without blocking.
    pub async fn request(gpu: &Gpu, program: Arc<Program>) -> Result<Executor> {
        Executor::make(gpu, program).await.map_err(|error| gpu.blame(error))
    }

    async fn make(gpu: &Gpu, program: Arc<Program>) -> Result<Executor> {
        gpu.check()?;
        gpu.tune(&program).await?;
        let schedule = Schedule::tuned(&program, gpu.limits(), &|op| gpu.limits_of(op))?;
        let mut memory = Vec::new();
        for piece in &schedule.memory {
            memory.push(allocate(gpu, piece, schedule.bytes()).await?);
        }
        #[cfg(not(target_arch = "wasm32"))]
        {
            let spans = [Span::Forward, Span::Gradients, Span::Update];
            let steps = spans.into_iter().flat_map(|span| schedule.steps(span));
            let dispatches: Vec<Dispatch> = steps.flat_map(|step| &step.dispatches).map(dispatch).collect();
            gpu.pipelines().prepare(&dispatches.iter().collect::<Vec<_>>());
        }
        let forward = record(gpu, &schedule, &memory, Span::Forward).await?;
        let gradients = record(gpu, &schedule, &memory, Span::Gradients).await?;
        let update = record(gpu, &schedule, &memory, Span::Update).await?;
        gpu.pipelines().save(false);
        gpu.check()?;
        let (gpu, places, transfer) = (gpu.clone(), schedule.places, Transfer::default());
        let labelled = adapter::flags().contains(wgpu::InstanceFlags::DEBUG);
        Ok(Executor { gpu, program, memory, places, forward, gradients, update, transfer, labelled })
    }

    /// The program that this executor runs.
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// How many dispatches a run of `span` records.
    pub fn dispatches(&self, span: Span) -> usize {
        self.recordings(span).map(|recording| recording.dispatches.len()).sum()
    }

    /// How many staging buffers reads have needed so far.
    pub fn staging_buffers(&self) -> usize {
        self.transfer.made()
    }

    /// Records `span` as [`program::Executor::run`] does and throws the recording away: for measuring what that costs
    /// where submitting it would also do the work, as it does on a software adapter.
    pub fn encode(&self, span: Span) -> Result<()> {
        self.submissions(span).for_each(drop);
        self.gpu.check()
    }

    /// How many allocations of device memory live, and the bytes of their blocks, if the back end says so.
    pub fn allocations(&self) -> Option<(usize, u64)> {
        let report = self.gpu.device().generate_allocator_report()?;
        Some((report.allocations.len(), report.total_reserved_bytes))
    }

    /// `span` as command buffers, each recorded when it is asked for.
    fn submissions(&self, span: Span) -> impl Iterator<Item = wgpu::CommandBuffer> {
        let dispatches = |recording| {
            let Recording { name, dispatches, .. }: &Recording = recording;
            dispatches.iter().map(move |dispatch| (name, dispatch))
        };
        let mut work = self.recordings(span).flat_map(dispatches).peekable();
        let descriptor = wgpu::ComputePassDescriptor { label: Some(span_name(span)), timestamp_writes: None };
        std::iter::from_fn(move || {
            work.peek()?;
            let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
            let mut pass = encoder.begin_compute_pass(&descriptor);
            let (mut flops, mut group) = (0, None::<&String>);
            while let Some((name, next)) =
                work.next_if(|(_, n)| flops == 0 || flops + n.flops <= self.gpu.submission())
            {
                // Each step of the schedule is a group, by its address: two may have the same name.
                if self.labelled && !group.is_some_and(|open| std::ptr::eq(open, name)) {
                    group.iter().for_each(|_| pass.pop_debug_group());
                    pass.push_debug_group(name);
                    group = Some(name);
                }
                next.record(&mut pass, self.labelled);
                flops += next.flops.max(1);
            }
            group.iter().for_each(|_| pass.pop_debug_group());
            drop(pass);
            Some(encoder.finish())
        })
    }

    /// The recordings of `span`, in order.
    pub(super) fn recordings(&self, span: Span) -> impl Iterator<Item = &Recording> {
        let (first, second): (&[Recording], &[Recording]) = match span {
            Span::Forward => (&self.forward, &[]),
            Span::Gradients => (&self.gradients, &[]),
            Span::Update => (&self.update, &[]),
            Span::Train => (&self.gradients, &self.update),
        };
        first.iter().chain(second)
    }

    /// The buffer of the device that holds `buffer`, and where in bytes.
    fn place(&self, buffer: BufferId) -> (&wgpu::Buffer, u64) {
        let place = self.places[buffer.index()];
        (&self.memory[place.memory], place.first as u64 * 4)
    }
}

impl program::Executor for Executor {
    fn write(&mut self, buffer: BufferId, data: &[f32]) -> Result<()> {
        self.program.check_access(buffer, Some(data.len()))?;
        self.gpu.check()?;
        if !data.is_empty() {
            let (memory, first) = self.place(buffer);
            self.gpu.queue().write_buffer(memory, first, bytemuck::cast_slice(data));
        }
        self.gpu.check()
    }

    fn start_read(&mut self, buffer: BufferId) -> Result<Pending> {
        self.program.check_access(buffer, None)?;
        self.gpu.check()?;
        let len = self.program.buffer(buffer).shape.len();
        let place = self.places[buffer.index()];
        let first = place.first as u64 * 4;
        let started = self.transfer.start(&self.gpu, &self.memory[place.memory], first, len);
        pollster::block_on(started).map_err(|error| self.gpu.blame(error))
    }

    fn finish_read(&mut self, pending: Pending) -> Result<Vec<f32>> {
        self.transfer.drive(&self.gpu, &pending)?;
        pollster::block_on(self.transfer.finish(pending)).map_err(|error| self.gpu.blame(error))
    }

    fn run(&mut self, span: Span) -> Result<()> {
        self.gpu.check()?;
        for commands in self.submissions(span) {
            self.gpu.queue().submit([commands]);
        }
        self.gpu.check()
    }

    fn profile(&mut self, span: Span) -> Result<Profile> {
        self.time(span).map_err(|error| self.gpu.blame(error))
    }

    fn wait(&mut self) -> Result<()> {
        self.gpu.poll(wgpu::PollType::wait_indefinitely())
    }
}

/// How profilers show the pass of a span.
fn span_name(span: Span) -> &'static str {
    match span {
        Span::Forward => "forward",
        Span::Gradients => "gradients",
        Span::Update => "update",
        Span::Train => "training step",
    }
}

/// One buffer of the device; `total` bytes are wanted in all.
async fn allocate(gpu: &Gpu, memory: &Memory, total: u64) -> Result<wgpu::Buffer> {
    let name = memory.name.as_str();
    let extra = if memory.uniform { wgpu::BufferUsages::UNIFORM } else { wgpu::BufferUsages::empty() };
    let (size, most) = ((memory.len as u64 * 4).max(16), gpu.device().limits().max_buffer_size);
    let advice = "a smaller batch needs less";
    if size > most {
        return Err(Error::Memory(format!(
            "buffer {name} needs {size} bytes, but a buffer of {} has at most {most}; {advice}",
            gpu.info().name
        )));
    }
    let scope = Scope::new(gpu.device());
    let space = gpu.device().push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some(name),
        size,
        usage: usage | extra,
        mapped_at_creation: false,
    });
    let full = space.pop().await.is_some();
    if let Some(error) = scope.error().await {
        return Err(Error::Device(format!("buffer {name} of {size} bytes: {error}")));
    }
    if full {
        return Err(Error::Memory(format!(
            "{} has no {size} bytes left for buffer {name} (of {total} in all); {advice}",
            gpu.info().name
        )));
    }
    if !memory.words.is_empty() {
        gpu.queue().write_buffer(&buffer, 0, bytemuck::cast_slice(&memory.words));
    }
    Ok(buffer)
}

/// Makes pipelines and bind groups for all that `span` runs.
async fn record(
    gpu: &Gpu,
    schedule: &Schedule,
    memory: &[wgpu::Buffer],
    span: Span,
) -> Result<Vec<Recording>> {
    let mut recordings = Vec::new();
    for step in schedule.steps(span) {
        let name = format!("{} of {}", step.workload.kind, step.workload.label);
        let mut dispatches = Vec::new();
        for bound in &step.dispatches {
            let ready = ready(gpu, memory, bound, &name).await;
            dispatches.push(ready.map_err(|e| match e {
                Error::Device(text) => Error::Device(format!("{name}: {text}")),
                other => other,
            })?);
        }
        let name = format!("{} {}", step.workload.label, step.workload.kind);
        recordings.push(Recording { name, workload: step.workload.clone(), steps: step.steps, dispatches });
    }
    Ok(recordings)
}

async fn ready(
    gpu: &Gpu,
    memory: &[wgpu::Buffer],
    bound: &BoundDispatch,
    name: &str,
) -> Result<RecordedDispatch> {
    let pipeline = gpu.pipelines().get(&dispatch(bound)).await?;
    let entries: Vec<wgpu::BindGroupEntry> = (0u32..)
        .zip(&bound.ranges)
        .map(|(binding, range)| {
            // An empty tensor still needs something to be bound.
            let size = wgpu::BufferSize::new((range.count as u64 * 4).max(4));
            let (buffer, offset) = (&memory[range.memory], range.first as u64 * 4);
            let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size });
            wgpu::BindGroupEntry { binding, resource }
        })
        .collect();
    let label = bound.shader.label();
    let scope = Scope::new(gpu.device());
    let bind_group = gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some(name),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    });
    match scope.error().await {
        Some(error) => Err(Error::Device(format!("pipeline {label}: {error}"))),
        None => {
            Ok(RecordedDispatch { label, pipeline, bind_group, groups: bound.groups, flops: bound.flops })
        }
    }
}

/// What a pipeline is made for.
fn dispatch(bound: &BoundDispatch) -> Dispatch {
    let BoundDispatch { shader, groups, rounds, .. } = *bound;
    let constants = bound.constants.clone();
    Dispatch { shader, kind: DispatchKind::Kernel, constants, bindings: Vec::new(), groups, rounds }
}
