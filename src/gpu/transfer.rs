//! Reading back: a ring of staging buffers that are mapped, read and used again.

use super::device::Gpu;
use crate::error::{Error, Result};
use crate::program::Pending;
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

type Outcome = Result<(), wgpu::BufferAsyncError>;

/// Whether a mapping has arrived, and the waker of the task that waits for it.
#[derive(Debug, Default)]
struct Arrival {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

/// A copy under way into a staging buffer.
#[derive(Debug)]
struct Flight {
    staging: wgpu::Buffer,
    bytes: u64,
    submission: wgpu::SubmissionIndex,
    arrival: Arc<Mutex<Arrival>>,
}

/// The staging buffers of an executor.
#[derive(Debug, Default)]
pub(super) struct Transfer {
    free: Vec<wgpu::Buffer>,
    flights: HashMap<u64, Flight>,
    next: u64,
    made: usize,
}

impl Transfer {
    /// Copies `len` elements of `source` from byte `first` on, as they are after everything submitted so far.
    pub async fn start(
        &mut self,
        gpu: &Gpu,
        source: &wgpu::Buffer,
        first: u64,
        len: usize,
    ) -> Result<Pending> {
        let bytes = len as u64 * 4;
        let staging = self.staging(gpu, bytes.max(4)).await?;
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(source, first, &staging, 0, bytes);
        let submission = gpu.queue().submit([encoder.finish()]);
        let arrival = Arc::new(Mutex::new(Arrival::default()));
        let arrived = arrival.clone();
        staging.slice(..bytes.max(4)).map_async(wgpu::MapMode::Read, move |outcome| {
            let mut arrival = arrived.lock().unwrap_or_else(PoisonError::into_inner);
            arrival.outcome = Some(outcome);
            if let Some(waker) = arrival.waker.take() {
                waker.wake();
            }
        });
        gpu.check()?;
        let id = self.next;
        self.next += 1;
        self.flights.insert(id, Flight { staging, bytes, submission, arrival });
        Ok(Pending(id))
    }

    /// Makes the copy arrive where the device is not polled for us (everywhere but in a browser).
    pub fn drive(&self, gpu: &Gpu, pending: &Pending) -> Result<()> {
        let flight = self.flights.get(&pending.0).ok_or_else(unknown)?;
        let wait = wgpu::PollType::Wait { submission_index: Some(flight.submission.clone()), timeout: None };
        gpu.poll(wait)?;
        let arrived = flight.arrival.lock().unwrap_or_else(PoisonError::into_inner).outcome.is_some();
        if arrived { Ok(()) } else { Err(Error::Device("the device did not deliver a read".into())) }
    }

    /// The values of a copy, waiting for it.
    pub async fn finish(&mut self, pending: Pending) -> Result<Vec<f32>> {
        let flight = self.flights.remove(&pending.0).ok_or_else(unknown)?;
        let outcome = poll_fn(|context| {
            let mut arrival = flight.arrival.lock().unwrap_or_else(PoisonError::into_inner);
            match arrival.outcome.take() {
                Some(outcome) => Poll::Ready(outcome),
                None => {
                    arrival.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        });
        let refused = |e: &dyn std::fmt::Display| Error::Device(format!("reading from the device: {e}"));
        outcome.await.map_err(|e| refused(&e))?;
        let mut values = vec![0.0f32; (flight.bytes / 4) as usize];
        if !values.is_empty() {
            let view = flight.staging.slice(..flight.bytes).get_mapped_range().map_err(|e| refused(&e))?;
            bytemuck::cast_slice_mut(&mut values).copy_from_slice(&view);
        }
        flight.staging.unmap();
        self.free.push(flight.staging);
        Ok(values)
    }

    /// How many staging buffers have been made.
    pub fn made(&self) -> usize {
        self.made
    }

    /// The smallest free staging buffer that is large enough, or a new one.
    async fn staging(&mut self, gpu: &Gpu, bytes: u64) -> Result<wgpu::Buffer> {
        let fitting = self.free.iter().enumerate().filter(|(_, b)| b.size() >= bytes);
        if let Some((i, _)) = fitting.min_by_key(|(_, b)| b.size()) {
            return Ok(self.free.swap_remove(i));
        }
        let scope = gpu.device().push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("staging"),
            size: bytes,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        if scope.pop().await.is_some() {
            return Err(Error::Memory(format!("no memory for a staging buffer of {bytes} bytes")));
        }
        self.made += 1;
        Ok(buffer)
    }
}

fn unknown() -> Error {
    Error::Internal("a read that was never started, or was finished before".into())
}
