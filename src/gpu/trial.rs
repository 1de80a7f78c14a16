//! Timing the candidate kernels of matrix products on buffers of random numbers.

use super::device::Gpu;
use super::kernels::{Binding, Dispatch, GemmKernel, Kernels, Limits, Source};
use super::pipeline::{Pipelines, Scope};
use super::progress::Progress;
use super::tune::TunedProduct;
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::program::Program;
use crate::random::{Purpose, Stream};

/// Seconds that a measurement should last at least, if 64 times the product do it: timestamps are coarse.
const LONG_ENOUGH: f64 = 2e-3;

/// Measurements of each candidate; the fastest counts, since any disturbance makes it slower.
const ROUNDS: usize = 3;

/// A candidate that is this many times slower than another at the first try is not tried again.
const HOPELESS: f64 = 2.0;

/// Random numbers that are copied over and over into every buffer.
const PATTERN: usize = 1 << 20;

impl Gpu {
    /// Times the products of `program` whose fastest kernel is not known, as far as [`super::Tuning`] asks for it, and stores
    /// the choices.
    ///
    /// # Errors
    /// `Error::Device` if the device fails. A kernel that cannot be compiled or timed is left out.
    pub(super) async fn tune(&self, program: &Program) -> Result<()> {
        let tuner = self.tuner();
        let products = tuner.missing(program, self.limits());
        if products.is_empty() {
            return Ok(());
        }
        if !self.device().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            if tuner.is_forced() {
                let text = format!("{} has no timestamps, so its products are not timed", self.info().name);
                self.progress().report(Progress::Warning(&text));
            }
            return Ok(());
        }
        // These pipelines are dropped afterwards, and not stored with those that training needs.
        let pipelines = self.pipelines().detached();
        #[cfg(not(target_arch = "wasm32"))]
        {
            let kernels =
                products.iter().flat_map(|product| &product.candidates).map(|candidate| &candidate.1);
            let dispatches: Vec<_> = kernels.flat_map(|kernels| &kernels.dispatches).collect();
            pipelines.prepare(&dispatches);
        }
        let Some(bench) = Bench::new(self, &pipelines, &products).await? else {
            let text = "no memory to time matrix products; kernels are estimated";
            self.progress().report(Progress::Warning(text));
            return Ok(());
        };
        let all = products.len();
        self.progress().report(Progress::Tuning { done: 0, all });
        for (done, product) in (1..).zip(&products) {
            let times = bench.times(product).await?;
            let fastest = times.iter().min_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((kernel, seconds)) = fastest {
                let list: Vec<String> = times.iter().map(|(t, s)| format!("{t} {:.3}", s * 1e3)).collect();
                log::info!("{}: {kernel} in {:.3} ms ({})", product.name, seconds * 1e3, list.join(", "));
                tuner.choose(product, *kernel);
            }
            self.progress().report(Progress::Tuning { done, all });
        }
        drop(bench);
        tuner.save();
        // This frees the memory of the trials.
        self.poll(wgpu::PollType::wait_indefinitely())
    }

    /// What the dispatches of `op` have to respect, with the kernel that was chosen for it.
    pub fn limits_of(&self, op: &Op) -> Limits {
        self.tuner().limits(op, self.limits())
    }
}

/// Buffers for all products, one after the other, and timestamps.
struct Bench<'a> {
    gpu: &'a Gpu,
    pipelines: &'a Pipelines,
    /// Number i is as long as the longest operand i, or scratch buffer i.
    operands: Vec<wgpu::Buffer>,
    scratch: Vec<wgpu::Buffer>,
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
}

/// A dispatch that only has to be recorded.
struct TrialDispatch {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    groups: [u32; 3],
}

impl<'a> Bench<'a> {
    /// `None` if there is no memory for it.
    pub async fn new(
        gpu: &'a Gpu,
        pipelines: &'a Pipelines,
        products: &[TunedProduct],
    ) -> Result<Option<Self>> {
        let (mut operands, mut scratch) = (Vec::new(), Vec::new());
        for product in products {
            let lengths: Vec<usize> = product.op.operands().iter().map(|o| o.shape.len()).collect();
            longest(&mut operands, &lengths);
            product.candidates.iter().for_each(|candidate| longest(&mut scratch, &candidate.1.scratch));
        }
        let device = gpu.device();
        let scope = Scope::new(device);
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = |size, usage| {
            let label = Some("trial");
            device.create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation: false })
        };
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::UNIFORM;
        let copied = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let make = |lengths: Vec<usize>| -> Vec<wgpu::Buffer> {
            lengths.iter().map(|&len| buffer((len as u64 * 4).max(16), storage | copied)).collect()
        };
        let bench = Bench {
            gpu,
            pipelines,
            operands: make(operands),
            scratch: make(scratch),
            queries: device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("trial"),
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            }),
            resolved: buffer(16, wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
            staging: buffer(16, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
        };
        let full = memory.pop().await.is_some();
        // The executor reports a buffer that is larger than the device can have.
        if full || scope.error().await.is_some() {
            return Ok(None);
        }
        bench.fill(&buffer(PATTERN as u64 * 4, copied));
        gpu.check()?;
        Ok(Some(bench))
    }

    /// Random numbers between -1 and 1: with zeros some devices use less power and are faster.
    fn fill(&self, pattern: &wgpu::Buffer) {
        let mut stream = Stream::new(0, Purpose::Test, 0);
        let values: Vec<f32> = (0..PATTERN).map(|_| 2.0 * stream.uniform() - 1.0).collect();
        self.gpu.queue().write_buffer(pattern, 0, bytemuck::cast_slice(&values));
        let mut encoder = self.gpu.device().create_command_encoder(&Default::default());
        for buffer in self.operands.iter().chain(&self.scratch) {
            for at in (0..buffer.size()).step_by(PATTERN * 4) {
                encoder.copy_buffer_to_buffer(pattern, 0, buffer, at, pattern.size().min(buffer.size() - at));
            }
        }
        self.gpu.queue().submit([encoder.finish()]);
    }

    /// Seconds that each candidate of `product` takes, without those that fail or are hopeless.
    pub async fn times(&self, product: &TunedProduct) -> Result<Vec<(GemmKernel, f64)>> {
        let mut times = Vec::new();
        for (kernel, kernels) in &product.candidates {
            // Drivers do some of their work at the first dispatch, so the first measurement is discarded.
            match self.ready(product, kernels).await {
                Ok(ready) => {
                    self.measure(&ready, 1)?;
                    times.push((*kernel, self.measure(&ready, 1)?, ready));
                }
                Err(error) => log::warn!("{}: {kernel} is left out: {error}", product.name),
            }
        }
        let best = times.iter().map(|time| time.1).fold(f64::INFINITY, f64::min);
        times.retain(|time| time.1 <= best * HOPELESS);
        let repeats = (LONG_ENOUGH / best.max(1e-9)).ceil().clamp(1.0, 64.0) as u32;
        for _ in 0..ROUNDS {
            // In turn, so that a clock that changes does so for all.
            for (_, fastest, ready) in &mut times {
                *fastest = self.measure(ready, repeats)?.min(*fastest);
            }
        }
        // Timestamps that do not advance measure nothing.
        Ok(times
            .into_iter()
            .map(|(kernel, seconds, _)| (kernel, seconds))
            .filter(|time| time.1 > 0.0)
            .collect())
    }

    /// The dispatches of a candidate, as many as one submission may have: all parts of a product are alike.
    async fn ready(&self, product: &TunedProduct, kernels: &Kernels) -> Result<Vec<TrialDispatch>> {
        let share = (product.op.flops() / kernels.dispatches.len().max(1) as u64).max(1);
        let most = usize::try_from(self.gpu.submission() / share).unwrap_or(usize::MAX).max(1);
        let mut ready = Vec::new();
        for dispatch in kernels.dispatches.iter().take(most) {
            let pipeline = self.pipelines.get(dispatch).await?;
            let bind_group = self.bind(&product.op, kernels, dispatch, &pipeline).await?;
            ready.push(TrialDispatch { pipeline, bind_group, groups: dispatch.groups });
        }
        Ok(ready)
    }

    async fn bind(
        &self,
        op: &Op,
        kernels: &Kernels,
        dispatch: &Dispatch,
        pipeline: &wgpu::ComputePipeline,
    ) -> Result<wgpu::BindGroup> {
        let operands = op.operands();
        let part = |binding: &Binding| {
            let (buffer, len) = match binding.source {
                Source::Operand(i) => (self.operands.get(i)?, operands.get(i)?.shape.len()),
                Source::Scratch(i) => (self.scratch.get(i)?, *kernels.scratch.get(i)?),
            };
            let (first, count) = binding.range.unwrap_or((0, len));
            let size = wgpu::BufferSize::new((count as u64 * 4).max(4));
            Some(wgpu::BufferBinding { buffer, offset: first as u64 * 4, size })
        };
        let mut entries = Vec::new();
        for (number, binding) in (0u32..).zip(&dispatch.bindings) {
            let part = part(binding).ok_or_else(|| Error::Internal(format!("no {:?}", binding.source)))?;
            let resource = wgpu::BindingResource::Buffer(part);
            entries.push(wgpu::BindGroupEntry { binding: number, resource });
        }
        let scope = Scope::new(self.gpu.device());
        let bind_group = self.gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("trial"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        match scope.error().await {
            Some(error) => Err(Error::Device(error)),
            None => Ok(bind_group),
        }
    }

    /// Seconds for one of `repeats` times these dispatches.
    fn measure(&self, dispatches: &[TrialDispatch], repeats: u32) -> Result<f64> {
        let device = self.gpu.device();
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("trial"),
            timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                query_set: &self.queries,
                beginning_of_pass_write_index: Some(0),
                end_of_pass_write_index: Some(1),
            }),
        });
        for _ in 0..repeats {
            for TrialDispatch { pipeline, bind_group, groups: [x, y, z] } in dispatches {
                pass.set_pipeline(pipeline);
                pass.set_bind_group(0, bind_group, &[]);
                pass.dispatch_workgroups(*x, *y, *z);
            }
        }
        drop(pass);
        encoder.resolve_query_set(&self.queries, 0..2, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.staging, 0, 16);
        self.gpu.queue().submit([encoder.finish()]);
        self.staging.slice(..).map_async(wgpu::MapMode::Read, |_| {});
        self.gpu.poll(wgpu::PollType::wait_indefinitely())?;
        let failed = |e| Error::Device(format!("reading the timestamps: {e}"));
        let view = self.staging.slice(..).get_mapped_range().map_err(failed)?;
        let ticks: Vec<u64> = view.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect();
        drop(view);
        self.staging.unmap();
        let period = f64::from(self.gpu.queue().get_timestamp_period()) * 1e-9;
        Ok(ticks[1].saturating_sub(ticks[0]) as f64 * period / f64::from(repeats))
    }
}

/// Raises each of `longest` to what is in its place in `lengths`.
fn longest(longest: &mut Vec<usize>, lengths: &[usize]) {
    longest.resize(longest.len().max(lengths.len()), 0);
    for (most, &len) in longest.iter_mut().zip(lengths) {
        *most = len.max(*most);
    }
}
