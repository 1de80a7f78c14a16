//! How long each step takes on the device, by timestamp queries.

use super::device::Gpu;
use super::executor::{Executor, Recording};
use super::kernels::{Dispatch, NOOP};
use super::pipeline::Scope;
use crate::error::{Error, Result};
use crate::program::{Span, Timed};
use std::time::Duration;

/// Two timestamps for each of so many steps fill the largest query set that wgpu allows (4096).
const STEPS: usize = 2048;

impl Executor {
    /// Runs `span` with every step (or what runs as one of several) in a pass of its own and returns what each took
    /// on the device, in order. The sum is more than a run takes: a pass cannot start before the one before it has
    /// drained.
    ///
    /// # Errors
    /// `Error::Device` if the adapter has no timestamps.
    pub fn profile(&mut self, span: Span) -> Result<Vec<Timed>> {
        if !self.gpu.device().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            let name = &self.gpu.info().name;
            return Err(Error::Device(format!("{name} has no timestamps, so steps cannot be timed")));
        }
        self.gpu.check()?;
        let recordings: Vec<&Recording> = self.recordings(span).collect();
        let mut durations = Vec::with_capacity(recordings.len());
        for part in recordings.chunks(STEPS) {
            durations.extend(pollster::block_on(time(&self.gpu, part))?);
        }
        let timed = |(recording, time): (&&Recording, Duration)| Timed {
            name: recording.name.clone(),
            flops: recording.flops,
            bytes: recording.bytes,
            time,
        };
        Ok(recordings.iter().zip(durations).map(timed).collect())
    }
}

impl Gpu {
    /// Runs `count` dispatches that do nothing, one after the other in one submission, and waits for them. What
    /// that takes is the floor under the time of any program with as many dispatches.
    pub fn noop(&self, count: usize) -> Result<()> {
        pollster::block_on(noop(self, count))
    }
}

async fn noop(gpu: &Gpu, count: usize) -> Result<()> {
    let dispatch = Dispatch { shader: NOOP, constants: Vec::new(), bindings: Vec::new(), groups: [1, 1, 1] };
    let pipeline = gpu.pipelines().get(gpu, &dispatch).await?;
    let scope = Scope::new(gpu.device());
    let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some("noop"),
        size: 16,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    });
    let bind_group = gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("noop"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() }],
    });
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &bind_group, &[]);
    (0..count).for_each(|_| pass.dispatch_workgroups(1, 1, 1));
    drop(pass);
    gpu.queue().submit([encoder.finish()]);
    let polled = gpu.device().poll(wgpu::PollType::wait_indefinitely());
    if let Some(error) = scope.error().await {
        return Err(Error::Device(format!("empty dispatches: {error}")));
    }
    gpu.check()?;
    polled.map(|_| ()).map_err(|e| Error::Device(format!("waiting for the device: {e}")))
}

async fn time(gpu: &Gpu, steps: &[&Recording]) -> Result<Vec<Duration>> {
    let count = 2 * steps.len() as u32;
    let (bytes, device) = (u64::from(count) * 8, gpu.device());
    let scope = Scope::new(device);
    let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
        label: Some("profile"),
        ty: wgpu::QueryType::Timestamp,
        count,
    });
    let buffer = |usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("profile"),
            size: bytes,
            usage,
            mapped_at_creation: false,
        })
    };
    let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
    let staging = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
    for (i, step) in (0u32..).zip(steps) {
        let mut encoder = device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: None,
            timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                query_set: &queries,
                beginning_of_pass_write_index: Some(2 * i),
                end_of_pass_write_index: Some(2 * i + 1),
            }),
        });
        step.dispatches.iter().for_each(|dispatch| dispatch.record(&mut pass));
        drop(pass);
        gpu.queue().submit([encoder.finish()]);
    }
    let mut encoder = device.create_command_encoder(&Default::default());
    encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
    encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, bytes);
    gpu.queue().submit([encoder.finish()]);
    if let Some(error) = scope.error().await {
        return Err(Error::Device(format!("timing the steps: {error}")));
    }
    staging.slice(..).map_async(wgpu::MapMode::Read, |_| {});
    let polled = device.poll(wgpu::PollType::wait_indefinitely());
    gpu.check()?;
    polled.map_err(|e| Error::Device(format!("waiting for the device: {e}")))?;
    let view = staging
        .slice(..)
        .get_mapped_range()
        .map_err(|e| Error::Device(format!("reading the timestamps: {e}")))?;
    let period = f64::from(gpu.queue().get_timestamp_period());
    let ticks: Vec<u64> = view.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect();
    let elapsed = |pair: &[u64]| pair[1].saturating_sub(pair[0]) as f64 * period;
    Ok(ticks.chunks_exact(2).map(|pair| Duration::from_nanos(elapsed(pair) as u64)).collect())
}
