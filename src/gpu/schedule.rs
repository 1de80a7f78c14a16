//! What a device has to do for a program: memory, and for each list the dispatches over ranges of it. Made without a
//! device, from the program and the limits alone.

use super::fuse::{FusedStep, at, fused_steps};
use super::kernels::{
    Dispatch, Limits, Reduction, Shader, Source, TableDispatch, check_rounds, reductions, update_table,
};
use super::layout::{Layout, Memory, Place, is_shared, partial, update_of};
use crate::error::{Error, Result};
use crate::ops::{Op, OperandKind};
use crate::program::{Program, Span, Workload};

/// The most elements of partial sums that wait to be added up together: 256 MiB.
const POOL: usize = 1 << 26;

/// A range of a memory, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// Number of the memory.
    pub memory: usize,
    pub first: usize,
    pub count: usize,
}

/// One dispatch over ranges of memory, bound as 0, 1, ... in `@group(0)`.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundDispatch {
    pub shader: Shader,
    pub constants: Vec<(&'static str, f64)>,
    pub ranges: Vec<MemoryRange>,
    /// Workgroups in x, y, z.
    pub groups: [u32; 3],
    /// The most loop rounds of one invocation.
    pub rounds: u64,
    /// Floating-point operations.
    pub flops: u64,
}

/// The dispatches of one step, or of several that run as one.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledStep {
    /// What it is, and what it has to do at least.
    pub workload: Workload,
    /// Steps of the program that it stands for; none if it adds up what several steps left.
    pub steps: usize,
    pub dispatches: Vec<BoundDispatch>,
}

/// A program as memory and dispatches.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The buffers to make.
    pub memory: Vec<Memory>,
    /// Where each buffer of the program begins.
    pub places: Vec<Place>,
    forward: Vec<ScheduledStep>,
    gradients: Vec<ScheduledStep>,
    update: Vec<ScheduledStep>,
}

impl Schedule {
    /// The schedule of `program` under `limits`.
    ///
    /// # Errors
    /// `Error::Memory` if a tensor cannot be bound, `Error::Device` if a loop is longer than the adapter runs it, with
    /// operator, layer and sizes.
    pub fn new(program: &Program, limits: &Limits) -> Result<Schedule> {
        Schedule::tuned(program, limits, &|_| *limits)
    }

    /// The same, where `limits_of` an operator may ask for another tile than `limits`.
    ///
    /// # Errors
    /// As [`Schedule::new`].
    pub fn tuned(program: &Program, limits: &Limits, limits_of: &dyn Fn(&Op) -> Limits) -> Result<Schedule> {
        let lists = [
            fused_steps(program, Span::Forward, limits, limits_of)?,
            fused_steps(program, Span::Gradients, limits, limits_of)?,
            fused_steps(program, Span::Update, limits, limits_of)?,
        ];
        let layout = Layout::new(program, &lists, limits);
        let mut writer = Writer::new(program, limits, layout);
        let [forward, gradients, update] = &lists;
        let forward = writer.list(forward)?;
        let gradients = writer.list(gradients)?;
        let update = writer.updates(update)?;
        let Layout { memory, places, .. } = writer.layout;
        // What operators need was checked with their names; this is for what stands for several.
        for dispatch in forward.iter().chain(&gradients).chain(&update).flat_map(|step| &step.dispatches) {
            check_rounds(dispatch.shader, dispatch.rounds, limits)?;
        }
        Ok(Schedule { memory, places, forward, gradients, update })
    }

    /// What `span` runs, in order.
    pub fn steps(&self, span: Span) -> impl Iterator<Item = &ScheduledStep> {
        let (first, second): (&[ScheduledStep], &[ScheduledStep]) = match span {
            Span::Forward => (&self.forward, &[]),
            Span::Gradients => (&self.gradients, &[]),
            Span::Update => (&self.update, &[]),
            Span::Train => (&self.gradients, &self.update),
        };
        first.iter().chain(second)
    }

    /// How many dispatches `span` has.
    pub fn dispatches(&self, span: Span) -> usize {
        self.steps(span).map(|step| step.dispatches.len()).sum()
    }

    /// Bytes of all memory.
    pub fn bytes(&self) -> u64 {
        self.memory.iter().map(|memory| memory.len as u64 * 4).sum()
    }
}

/// Partial sums that wait, and the memory that their sums go to.
struct Waiting {
    memory: usize,
    sum: Reduction,
}

struct Writer<'a> {
    program: &'a Program,
    limits: &'a Limits,
    layout: Layout,
    /// Numbers of the memories that are scratch: number i is as long as the longest number i.
    scratch: Vec<usize>,
    /// Number of the memory of waiting partial sums, made when there is one.
    pool: Option<usize>,
    filled: usize,
    waiting: Vec<Waiting>,
}

impl<'a> Writer<'a> {
    fn new(program: &'a Program, limits: &'a Limits, layout: Layout) -> Self {
        let (scratch, waiting) = (Vec::new(), Vec::new());
        Writer { program, limits, layout, scratch, pool: None, filled: 0, waiting }
    }

    /// Makes room for the scratch buffers of a step. Nothing is in them between steps, so all steps share them.
    fn reserve(&mut self, lengths: &[usize]) {
        for (i, &len) in lengths.iter().enumerate() {
            if i == self.scratch.len() {
                self.scratch.push(self.layout.add(Memory { name: "scratch".into(), ..Memory::default() }));
            }
            let memory = &mut self.layout.memory[self.scratch[i]];
            memory.len = memory.len.max(len);
        }
    }

    fn list(&mut self, steps: &[FusedStep<'_>]) -> Result<Vec<ScheduledStep>> {
        let mut scheduled = Vec::new();
        for step in steps {
            self.step(step, &mut scheduled)?;
        }
        self.add_up(&mut scheduled);
        Ok(scheduled)
    }

    /// The update list: in place of the first member of a set of updates, one dispatch for all.
    fn updates(&mut self, steps: &[FusedStep<'_>]) -> Result<Vec<ScheduledStep>> {
        let sets = self.layout.updates.clone();
        let mut scheduled = Vec::new();
        let mut number = 0;
        for step in steps {
            match sets.iter().find(|set| set.contains(&number)) {
                Some(set) if set.len() > 1 => {
                    if set.first() == Some(&number) {
                        let set: Vec<&FusedStep<'_>> = set.iter().filter_map(|&i| steps.get(i)).collect();
                        scheduled.push(self.update(&set)?);
                    }
                }
                _ => self.step(step, &mut scheduled)?,
            }
            number += step.steps.len();
        }
        self.add_up(&mut scheduled);
        Ok(scheduled)
    }

    fn step(&mut self, step: &FusedStep<'_>, scheduled: &mut Vec<ScheduledStep>) -> Result<()> {
        // Who looks at a sum needs it.
        let places = &self.layout.places;
        let needed = |w: &Waiting| {
            let is = |place: Place| (place.memory, place.first) == (w.memory, w.sum.sum);
            step.buffers.iter().any(|id| is(places[id.index()]))
        };
        if self.waiting.iter().any(needed) {
            self.add_up(scheduled);
        }
        let mut dispatches = step.kernels.dispatches.as_slice();
        let mut pooled = None;
        if let Some(first) = self.wait(step, scheduled) {
            dispatches = &dispatches[..dispatches.len() - 1];
            pooled = Some(first);
        } else {
            // What waits lies in the pool, and needs no other scratch.
            self.reserve(&step.kernels.scratch);
        }
        let share = step.flops() / (dispatches.len().max(1) as u64);
        let bind = |dispatch: &Dispatch| self.dispatch(step, dispatch, pooled, share);
        let dispatches = dispatches.iter().map(bind).collect::<Result<_>>();
        let dispatches =
            dispatches.map_err(|e| step.steps.first().map_or_else(|| internal("empty"), |s| at(s, e)))?;
        scheduled.push(ScheduledStep {
            workload: step.workload(self.program),
            steps: step.steps.len(),
            dispatches,
        });
        Ok(())
    }

    /// If the partial sums of `step` can wait to be added up with others: where in the pool they go.
    fn wait(&mut self, step: &FusedStep<'_>, scheduled: &mut Vec<ScheduledStep>) -> Option<usize> {
        let id = partial(step).filter(|_| self.limits.fuse)?;
        let (pieces, _) = step.kernels.dispatches.last()?.adds_up()?;
        let len = self.program.buffer(id).shape.len();
        let place = self.layout.places[id.index()];
        let most = POOL.min(self.limits.binding).min(self.limits.buffer);
        let bindable = self.layout.memory[place.memory].len <= self.limits.binding;
        if pieces * len > most || !bindable || !self.program.plan().is_kept(id) {
            return None;
        }
        if self.filled + pieces * len > most {
            self.add_up(scheduled);
        }
        let source = self.filled;
        self.filled = (source + pieces * len).next_multiple_of(self.limits.align);
        let pool = match self.pool {
            Some(pool) => pool,
            None => self.layout.add(Memory { name: "partial sums".into(), ..Memory::default() }),
        };
        self.pool = Some(pool);
        let memory = &mut self.layout.memory[pool];
        memory.len = memory.len.max(source + pieces * len);
        let sum = Reduction { source, sum: place.first, pieces, len };
        self.waiting.push(Waiting { memory: place.memory, sum });
        Some(source)
    }

    /// Adds up everything that waits: one dispatch for each memory that sums go to.
    fn add_up(&mut self, scheduled: &mut Vec<ScheduledStep>) {
        let (waiting, pool) = (std::mem::take(&mut self.waiting), self.pool);
        self.filled = 0;
        let (Some(pool), false) = (pool, waiting.is_empty()) else { return };
        let mut targets: Vec<usize> = waiting.iter().map(|w| w.memory).collect();
        targets.sort_unstable();
        targets.dedup();
        let mut dispatches = Vec::new();
        let mut bytes = 0;
        for target in targets {
            let sums: Vec<Reduction> = waiting.iter().filter(|w| w.memory == target).map(|w| w.sum).collect();
            let entry = reductions(&sums, self.limits);
            bytes += sums.iter().map(|s| 4 * (s.pieces as u64 + 1) * s.len as u64).sum::<u64>();
            let flops = sums.iter().map(|s| (s.pieces * s.len) as u64).sum();
            let end = sums.iter().map(|s| s.source + s.pieces * s.len).max().unwrap_or(0);
            let partials = MemoryRange { memory: pool, first: 0, count: end };
            let ranges = vec![partials, self.table(entry.table.clone()), self.whole(target)];
            let TableDispatch { shader, constants, groups, rounds, .. } = entry;
            dispatches.push(BoundDispatch { shader, constants, ranges, groups, rounds, flops });
        }
        let flops = dispatches.iter().map(|dispatch| dispatch.flops).sum();
        let label = format!("{} gradients", waiting.len());
        scheduled.push(ScheduledStep {
            workload: Workload { kind: "sum_partials".into(), label, flops, bytes },
            steps: 0,
            dispatches,
        });
    }

    /// One dispatch for updates whose tensors lie in arenas, at the same place in each.
    fn update(&mut self, set: &[&FusedStep<'_>]) -> Result<ScheduledStep> {
        let first = set.first().and_then(|step| step.steps.first()).ok_or_else(|| internal("no update"))?;
        let tensors: Vec<_> = set
            .iter()
            .filter_map(|step| {
                let place = self.layout.places[step.buffers.first()?.index()];
                Some((place.first, *update_of(step.steps.first()?)?))
            })
            .collect();
        let entry = update_table(&first.op, &tensors, self.limits).ok_or_else(|| internal("no update"))?;
        let mut ranges = Vec::new();
        for (operand, &id) in first.op.operands().iter().zip(&first.buffers) {
            let place = self.layout.places[id.index()];
            ranges.push(if is_shared(operand.kind) {
                MemoryRange { memory: place.memory, first: place.first, count: operand.shape.len() }
            } else {
                self.whole(place.memory)
            });
            if operand.kind == OperandKind::Hyper {
                ranges.push(self.table(entry.table.clone()));
            }
        }
        let flops = set.iter().map(|step| step.flops()).sum();
        let bytes = set.iter().map(|step| step.bytes(self.program)).sum();
        let TableDispatch { shader, constants, groups, rounds, .. } = entry;
        let dispatches = vec![BoundDispatch { shader, constants, ranges, groups, rounds, flops }];
        let (kind, label) = (first.op.name().into(), format!("{} parameters", set.len()));
        Ok(ScheduledStep { workload: Workload { kind, label, flops, bytes }, steps: set.len(), dispatches })
    }

    fn table(&mut self, words: Vec<u32>) -> MemoryRange {
        let count = words.len();
        let memory = self.layout.add(Memory { name: "table".into(), len: count, words, uniform: false });
        MemoryRange { memory, first: 0, count }
    }

    fn whole(&self, memory: usize) -> MemoryRange {
        MemoryRange { memory, first: 0, count: self.layout.memory[memory].len }
    }

    fn dispatch(
        &self,
        step: &FusedStep<'_>,
        d: &Dispatch,
        pooled: Option<usize>,
        flops: u64,
    ) -> Result<BoundDispatch> {
        let range = |binding: &super::kernels::Binding| {
            let absent = || internal(&format!("no {:?}", binding.source));
            let (place, len, name) = match binding.source {
                Source::Operand(i) => {
                    let id = *step.buffers.get(i).ok_or_else(absent)?;
                    let name = step.operands().get(i).map_or("", |(operand, _)| operand.name);
                    (self.layout.places[id.index()], self.program.buffer(id).shape.len(), name)
                }
                Source::Scratch(i) => {
                    let len = *step.kernels.scratch.get(i).ok_or_else(absent)?;
                    let place = match (pooled, self.pool) {
                        (Some(first), Some(memory)) => Place { memory, first },
                        _ => Place { memory: *self.scratch.get(i).ok_or_else(absent)?, first: 0 },
                    };
                    (place, len, "scratch")
                }
            };
            let (first, count) = binding.range.unwrap_or((0, len));
            if first + count > len || first % self.limits.align != 0 {
                return Err(internal(&format!("{name} of {len} elements bound at {first} for {count}")));
            }
            if count > self.limits.binding {
                return Err(Error::Memory(format!(
                    "{name} has {} bytes, but the adapter binds at most {} at once; a smaller batch needs less",
                    count as u64 * 4,
                    self.limits.binding as u64 * 4
                )));
            }
            Ok(MemoryRange { memory: place.memory, first: place.first + first, count })
        };
        let ranges = d.bindings.iter().map(range).collect::<Result<_>>()?;
        let Dispatch { shader, groups, rounds, .. } = *d;
        Ok(BoundDispatch { shader, constants: d.constants.clone(), ranges, groups, rounds, flops })
    }
}

fn internal(what: &str) -> Error {
    Error::Internal(what.into())
}
