//! The executor: memory for the slots of a plan, and the steps of a span one after the other.

use super::dispatch;
use super::layout::{Layout, Layouts, to_blocks, to_plain};
use super::layout_plan::LayoutPlan;
use super::memory::Memory;
use super::options::CpuOptions;
use crate::error::{Error, Result};
use crate::ops::Access;
use crate::program::{
    BufferId, Clock, Executor as Seam, Pending, Profile, ProfileEntry, Program, Span, Step, Workload,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Most operands that an operator reads, and most that it writes.
const INPUTS: usize = 6;
const OUTPUTS: usize = 4;

/// Runs a program on the processor, in the rayon pool that it is called in.
pub struct Executor {
    program: Arc<Program>,
    options: CpuOptions,
    layouts: LayoutPlan,
    /// Of each step of the three lists.
    steps: [Vec<Places>; 3],
    /// One per slot of the plan; a buffer is the beginning of its slot.
    slots: Vec<Memory>,
    /// What operators keep between their own passes.
    workspace: Memory,
    /// Operands of a step in the layout that it wants, where they have another.
    converted: [Memory; INPUTS],
    reads: BTreeMap<u64, Vec<f32>>,
    next_read: u64,
}

/// Where a step finds its operands, decided when the executor is made.
struct Places {
    layouts: Layouts,
    read: Vec<Place>,
    written: Vec<Place>,
}

/// Where an operand lies.
struct Place {
    slot: usize,
    len: usize,
    /// The layout that it is converted to before it is read, and its pixels.
    conversion: Option<(Layout, usize)>,
}

impl Places {
    fn new(program: &Program, layouts: &LayoutPlan, step: &Step) -> Result<Places> {
        let mut places =
            Places { layouts: layouts.layouts(program, step), read: Vec::new(), written: Vec::new() };
        for (i, (operand, &id)) in step.op.operands().iter().zip(&step.buffers).enumerate() {
            let (slot, len) = (program.plan().slot(id), program.buffer(id).shape.len());
            match operand.access {
                Access::Read => {
                    let conversion = layouts.conversion(program, step, i);
                    places.read.push(Place { slot, len, conversion });
                }
                _ => places.written.push(Place { slot, len, conversion: None }),
            }
        }
        if places.written.len() > OUTPUTS || places.read.len() > INPUTS {
            return Err(Error::Internal(format!("{} has too many operands", step.op.name())));
        }
        Ok(places)
    }
}

/// The lists of steps that a span runs, as [`Executor::steps`] has them.
fn lists(span: Span) -> &'static [(usize, Span)] {
    const LISTS: [(usize, Span); 3] = [(0, Span::Forward), (1, Span::Gradients), (2, Span::Update)];
    match span {
        Span::Forward => &LISTS[..1],
        Span::Gradients => &LISTS[1..2],
        Span::Update => &LISTS[2..],
        Span::Train => &LISTS[1..],
    }
}

impl Executor {
    /// Allocates the memory of `program`, filled with zeros; `Error::Memory` if there is not enough.
    pub fn new(program: Arc<Program>) -> Result<Self> {
        Executor::with_options(program, CpuOptions::default())
    }

    /// The same with options.
    pub fn with_options(program: Arc<Program>, options: CpuOptions) -> Result<Self> {
        let mut slots = Vec::with_capacity(program.plan().slots().len());
        for &len in program.plan().slots() {
            slots.push(Memory::zeros(len).map_err(|_| {
                let mib = program.plan().bytes() >> 20;
                Error::Memory(format!("the program needs {mib} MiB of memory, more than there is"))
            })?);
        }
        let layouts = LayoutPlan::new(&program);
        let places = |span| {
            program.steps(span).map(|step| Places::new(&program, &layouts, step)).collect::<Result<Vec<_>>>()
        };
        let steps = [places(Span::Forward)?, places(Span::Gradients)?, places(Span::Update)?];
        Ok(Executor {
            program,
            options,
            layouts,
            steps,
            slots,
            workspace: Memory::new(),
            converted: Default::default(),
            reads: BTreeMap::new(),
            next_read: 0,
        })
    }

    /// Step `i` of list `list`.
    fn step(&mut self, step: &Step, list: usize, i: usize) -> Result<()> {
        let Places { layouts, read, written } = &self.steps[list][i];
        // The plan gives the operands that a step writes separate slots, so they can be taken out while the others are read.
        let mut taken: [Memory; OUTPUTS] = Default::default();
        for (taken, place) in taken.iter_mut().zip(written) {
            *taken = std::mem::take(&mut self.slots[place.slot]);
        }
        let mut inputs: [&[f32]; INPUTS] = [&[]; INPUTS];
        for ((input, place), converted) in inputs.iter_mut().zip(read).zip(&mut self.converted) {
            *input = &self.slots[place.slot][..place.len];
            if let Some((layout, pixels)) = place.conversion {
                let converted = converted.reserve(place.len);
                match layout {
                    Layout::Plain => to_plain(pixels, input, converted),
                    Layout::Blocks => to_blocks(pixels, input, converted),
                }
                *input = converted;
            }
        }
        let mut outputs: [&mut [f32]; OUTPUTS] = Default::default();
        for ((output, taken), place) in outputs.iter_mut().zip(&mut taken).zip(written) {
            *output = &mut taken[..place.len];
        }
        let (inputs, outputs) = (&inputs[..read.len()], &mut outputs[..written.len()]);
        let result = dispatch(&step.op, self.options, *layouts, inputs, outputs, &mut self.workspace);
        for (taken, place) in taken.iter_mut().zip(written) {
            self.slots[place.slot] = std::mem::take(taken);
        }
        result.map_err(|e| match e {
            Error::Internal(message) => Error::Internal(format!("step {}: {message}", step.label)),
            other => other,
        })
    }
}

impl Seam for Executor {
    fn write(&mut self, buffer: BufferId, data: &[f32]) -> Result<()> {
        self.program.check_access(buffer, Some(data.len()))?;
        let target = &mut self.slots[self.program.plan().slot(buffer)][..data.len()];
        match self.layouts.pixels_of_blocks(&self.program, buffer) {
            Some(pixels) => to_blocks(pixels, data, target),
            None => target.copy_from_slice(data),
        }
        Ok(())
    }

    fn start_read(&mut self, buffer: BufferId) -> Result<Pending> {
        self.program.check_access(buffer, None)?;
        let len = self.program.buffer(buffer).shape.len();
        let number = self.next_read;
        self.next_read += 1;
        let content = &self.slots[self.program.plan().slot(buffer)][..len];
        let values = match self.layouts.pixels_of_blocks(&self.program, buffer) {
            Some(pixels) => {
                let mut plain = vec![0.0; len];
                to_plain(pixels, content, &mut plain);
                plain
            }
            None => content.to_vec(),
        };
        self.reads.insert(number, values);
        Ok(Pending(number))
    }

    fn finish_read(&mut self, pending: Pending) -> Result<Vec<f32>> {
        self.reads
            .remove(&pending.0)
            .ok_or_else(|| Error::Internal(format!("no read number {} is pending", pending.0)))
    }

    fn run(&mut self, span: Span) -> Result<()> {
        let program = Arc::clone(&self.program);
        for &(list, span) in lists(span) {
            program.steps(span).enumerate().try_for_each(|(i, step)| self.step(step, list, i))?;
        }
        Ok(())
    }

    fn profile(&mut self, span: Span) -> Result<Profile> {
        let program = Arc::clone(&self.program);
        let mut entries = Vec::new();
        let began = Instant::now();
        for &(list, span) in lists(span) {
            for (i, step) in program.steps(span).enumerate() {
                let start = began.elapsed();
                self.step(step, list, i)?;
                let time = began.elapsed().saturating_sub(start);
                let pipelines = vec![variant(step, self.options, self.steps[list][i].layouts)];
                entries.push(ProfileEntry { workload: Workload::of(step), steps: 1, pipelines, start, time });
            }
        }
        Ok(Profile { clock: Clock::Host, dispatches: 0, entries })
    }

    fn wait(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The operator with the layouts that it runs in, and the algorithm of a convolution.
fn variant(step: &Step, options: CpuOptions, layouts: Layouts) -> String {
    let name = |layout: Layout| match layout {
        Layout::Plain => "plain",
        Layout::Blocks => "blocks",
    };
    let (x, y) = (name(layouts.x), name(layouts.y));
    let layout = if x == y { x.to_string() } else { format!("{x}-{y}") };
    match super::conv2d::algorithm(&step.op, layouts, options) {
        Some(algorithm) => format!("{}/{layout}/{algorithm}", step.op.name()),
        None => format!("{}/{layout}", step.op.name()),
    }
}
