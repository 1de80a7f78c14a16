//! How long the steps of a run take on the device, by timestamp queries.

use super::device::Gpu;
use super::executor::{Executor, RecordedDispatch, Recording};
use super::pipeline::Scope;
use crate::error::{Error, Result};
use crate::program::{Clock, Profile, ProfileEntry, Span, Workload};
use std::time::Duration;

/// Most stretches of one submission: two timestamps for each fill the largest query set that wgpu allows (4096).
const STRETCHES: usize = 2047;

/// What is timed as one.
struct TimedEntry<'a> {
    name: &'a str,
    workload: &'a Workload,
    steps: usize,
    dispatches: &'a [RecordedDispatch],
}

/// The dispatches of an entry, or as many of them as one submission takes.
struct Stretch<'a> {
    entry: usize,
    /// By which other profilers show it.
    name: &'a str,
    dispatches: &'a [RecordedDispatch],
}

impl Gpu {
    /// An error if the adapter has no timestamps.
    pub fn check_clock(&self) -> Result<()> {
        if self.device().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Ok(());
        }
        Err(Error::Device(format!("{} has no timestamps, so steps cannot be timed", self.info().name)))
    }
}

impl Executor {
    /// Runs `span` as `run` does, cut into submissions at the same places, with timestamps between the entries.
    ///
    /// # Errors
    /// `Error::Device` if the adapter has no timestamps.
    pub(super) fn time(&mut self, span: Span) -> Result<Profile> {
        self.gpu.check_clock()?;
        self.gpu.check()?;
        let features = self.gpu.device().features();
        let inside = features.contains(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES);
        let clock = if inside { Clock::InsidePass } else { Clock::PassEach };
        let entries = self.entries(span);
        let mut submissions = Vec::new();
        for submission in cut(&entries, self.gpu.submission()) {
            submissions.push(Submission::record(&self.gpu, clock, submission)?);
        }
        let times = pollster::block_on(collect(&self.gpu, &submissions, entries.len()))?;
        let dispatches = entries.iter().map(|entry| entry.dispatches.len()).sum();
        let timed = |(entry, (start, time)): (&TimedEntry, (Duration, Duration))| {
            let mut pipelines: Vec<String> = Vec::new();
            for dispatch in entry.dispatches {
                if !pipelines.contains(&dispatch.label) {
                    pipelines.push(dispatch.label.clone());
                }
            }
            ProfileEntry { workload: entry.workload.clone(), steps: entry.steps, pipelines, start, time }
        };
        Ok(Profile { clock, dispatches, entries: entries.iter().zip(times).map(timed).collect() })
    }

    /// What is timed as one: each step, or several that run as one.
    fn entries(&self, span: Span) -> Vec<TimedEntry<'_>> {
        fn entry(r: &Recording) -> TimedEntry<'_> {
            TimedEntry { name: &r.name, workload: &r.workload, steps: r.steps, dispatches: &r.dispatches }
        }
        self.recordings(span).map(entry).collect()
    }
}

/// Submissions of at most `budget` floating-point operations each, as far as single dispatches allow.
fn cut<'a>(entries: &[TimedEntry<'a>], budget: u64) -> Vec<Vec<Stretch<'a>>> {
    let mut submissions = Vec::new();
    let mut submission: Vec<Stretch> = Vec::new();
    let mut flops = 0;
    for (number, entry) in entries.iter().enumerate() {
        let mut first = 0;
        for (at, dispatch) in entry.dispatches.iter().enumerate() {
            if flops > 0 && (flops + dispatch.flops > budget || submission.len() == STRETCHES) {
                if at > first {
                    let dispatches = &entry.dispatches[first..at];
                    submission.push(Stretch { entry: number, name: entry.name, dispatches });
                }
                submissions.push(std::mem::take(&mut submission));
                (flops, first) = (0, at);
            }
            flops += dispatch.flops.max(1);
        }
        let rest = &entry.dispatches[first..];
        if !rest.is_empty() {
            submission.push(Stretch { entry: number, name: entry.name, dispatches: rest });
        }
    }
    submissions.push(submission);
    submissions.retain(|stretches| !stretches.is_empty());
    submissions
}

/// A submission under way.
struct Submission {
    /// The entry of each stretch.
    entries: Vec<usize>,
    clock: Clock,
    staging: wgpu::Buffer,
}

impl Submission {
    fn record(gpu: &Gpu, clock: Clock, stretches: Vec<Stretch<'_>>) -> Result<Submission> {
        let stamps = match clock {
            Clock::InsidePass => stretches.len() + 1,
            Clock::Host | Clock::PassEach => 2 * stretches.len(),
        };
        let count = stamps as u32;
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
        let mut encoder = device.create_command_encoder(&Default::default());
        if clock == Clock::InsidePass {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.write_timestamp(&queries, 0);
            for (i, stretch) in (1u32..).zip(&stretches) {
                pass.push_debug_group(stretch.name);
                stretch.dispatches.iter().for_each(|dispatch| dispatch.record(&mut pass, true));
                pass.pop_debug_group();
                pass.write_timestamp(&queries, i);
            }
        } else {
            for (i, stretch) in (0u32..).zip(&stretches) {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: Some(stretch.name),
                    timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                        query_set: &queries,
                        beginning_of_pass_write_index: Some(2 * i),
                        end_of_pass_write_index: Some(2 * i + 1),
                    }),
                });
                stretch.dispatches.iter().for_each(|dispatch| dispatch.record(&mut pass, true));
            }
        }
        encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, bytes);
        gpu.queue().submit([encoder.finish()]);
        if let Some(error) = pollster::block_on(scope.error()) {
            return Err(Error::Device(format!("timing the steps: {error}")));
        }
        let entries = stretches.iter().map(|stretch| stretch.entry).collect();
        Ok(Submission { entries, clock, staging })
    }
}

/// Waits, and for each of `count` entries finds when it began, counted from the first timestamp, and adds up what it took.
async fn collect(gpu: &Gpu, submissions: &[Submission], count: usize) -> Result<Vec<(Duration, Duration)>> {
    for submission in submissions {
        submission.staging.slice(..).map_async(wgpu::MapMode::Read, |_| {});
    }
    gpu.poll(wgpu::PollType::wait_indefinitely())?;
    let period = f64::from(gpu.queue().get_timestamp_period());
    let mut nanoseconds = vec![0.0; count];
    let (mut first, mut starts) = (None, vec![None; count]);
    for submission in submissions {
        let view = submission
            .staging
            .slice(..)
            .get_mapped_range()
            .map_err(|e| Error::Device(format!("reading the timestamps: {e}")))?;
        let ticks: Vec<u64> = view.chunks_exact(8).map(bytemuck::pod_read_unaligned).collect();
        // Within a pass, the end of one stretch is the beginning of the next.
        let apart = if submission.clock == Clock::InsidePass { 1 } else { 2 };
        for (pair, &entry) in ticks.windows(2).step_by(apart).zip(&submission.entries) {
            nanoseconds[entry] += pair[1].saturating_sub(pair[0]) as f64 * period;
            let first = *first.get_or_insert(pair[0]);
            starts[entry].get_or_insert(pair[0].saturating_sub(first) as f64 * period);
        }
    }
    let duration = |nanoseconds: f64| Duration::from_nanos(nanoseconds as u64);
    let entries = starts.into_iter().zip(nanoseconds);
    Ok(entries.map(|(start, time)| (duration(start.unwrap_or(0.0)), duration(time))).collect())
}
