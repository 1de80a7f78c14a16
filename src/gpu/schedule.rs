//! What a device has to do for a program: memory, and for each list the dispatches over parts of it. Made without a
//! device, from the program and the limits alone.

use super::fuse::{Unit, at, units};
use super::kernels::{
    Dispatch, Entry, Limits, Reduction, Shader, Source, check_rounds, reductions, update_table,
};
use super::layout::{Layout, Memory, Place, is_shared, partial, update_of};
use crate::error::{Error, Result};
use crate::ops::{Op, OperandKind};
use crate::program::{Piece, Program, Span};

/// The most elements of partial sums that wait to be added up together: 256 MiB.
const POOL: usize = 1 << 26;

/// A part of a memory, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Number of the memory.
    pub memory: usize,
    pub first: usize,
    pub count: usize,
}

/// One dispatch over parts of memory, bound as 0, 1, ... in `@group(0)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    pub shader: Shader,
    pub constants: Vec<(&'static str, f64)>,
    pub parts: Vec<Part>,
    /// Workgroups in x, y, z.
    pub groups: [u32; 3],
    /// The most loop rounds of one invocation.
    pub rounds: u64,
    /// Floating-point operations.
    pub flops: u64,
}

/// The launches of one step, or of several that run as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// What it is, and what it has to do at least.
    pub piece: Piece,
    /// Steps of the program that it stands for; none if it adds up what several steps left.
    pub steps: usize,
    pub launches: Vec<Launch>,
}

/// A program as memory and launches.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The buffers to make.
    pub memory: Vec<Memory>,
    /// Where each buffer of the program begins.
    pub places: Vec<Place>,
    forward: Vec<Task>,
    gradients: Vec<Task>,
    update: Vec<Task>,
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
            units(program, Span::Forward, limits, limits_of)?,
            units(program, Span::Gradients, limits, limits_of)?,
            units(program, Span::Update, limits, limits_of)?,
        ];
        let layout = Layout::new(program, &lists, limits);
        let mut writer = Writer::new(program, limits, layout);
        let [forward, gradients, update] = &lists;
        let forward = writer.list(forward)?;
        let gradients = writer.list(gradients)?;
        let update = writer.updates(update)?;
        let Layout { memory, places, .. } = writer.layout;
        // What operators need was checked with their names; this is for what stands for several.
        for launch in forward.iter().chain(&gradients).chain(&update).flat_map(|task| &task.launches) {
            check_rounds(launch.shader, launch.rounds, limits)?;
        }
        Ok(Schedule { memory, places, forward, gradients, update })
    }

    /// What `span` runs, in order.
    pub fn tasks(&self, span: Span) -> impl Iterator<Item = &Task> {
        let (first, second): (&[Task], &[Task]) = match span {
            Span::Forward => (&self.forward, &[]),
            Span::Gradients => (&self.gradients, &[]),
            Span::Update => (&self.update, &[]),
            Span::Train => (&self.gradients, &self.update),
        };
        first.iter().chain(second)
    }

    /// How many dispatches `span` has.
    pub fn dispatches(&self, span: Span) -> usize {
        self.tasks(span).map(|task| task.launches.len()).sum()
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

    fn list(&mut self, units: &[Unit<'_>]) -> Result<Vec<Task>> {
        let mut tasks = Vec::new();
        for unit in units {
            self.unit(unit, &mut tasks)?;
        }
        self.add_up(&mut tasks);
        Ok(tasks)
    }

    /// The update list: in place of the first member of a set of updates, one launch for all.
    fn updates(&mut self, units: &[Unit<'_>]) -> Result<Vec<Task>> {
        let sets = self.layout.updates.clone();
        let mut tasks = Vec::new();
        let mut number = 0;
        for unit in units {
            match sets.iter().find(|set| set.contains(&number)) {
                Some(set) if set.len() > 1 => {
                    if set.first() == Some(&number) {
                        let set: Vec<&Unit<'_>> = set.iter().filter_map(|&i| units.get(i)).collect();
                        tasks.push(self.update(&set)?);
                    }
                }
                _ => self.unit(unit, &mut tasks)?,
            }
            number += unit.steps.len();
        }
        self.add_up(&mut tasks);
        Ok(tasks)
    }

    fn unit(&mut self, unit: &Unit<'_>, tasks: &mut Vec<Task>) -> Result<()> {
        // Who looks at a sum needs it.
        let places = &self.layout.places;
        let needed = |w: &Waiting| {
            let is = |place: Place| (place.memory, place.first) == (w.memory, w.sum.sum);
            unit.buffers.iter().any(|id| is(places[id.index()]))
        };
        if self.waiting.iter().any(needed) {
            self.add_up(tasks);
        }
        let mut dispatches = unit.kernels.dispatches.as_slice();
        let mut pooled = None;
        if let Some(first) = self.wait(unit, tasks) {
            dispatches = &dispatches[..dispatches.len() - 1];
            pooled = Some(first);
        } else {
            // What waits lies in the pool, and needs no other scratch.
            self.reserve(&unit.kernels.scratch);
        }
        let share = unit.flops() / (dispatches.len().max(1) as u64);
        let launch = |dispatch: &Dispatch| self.launch(unit, dispatch, pooled, share);
        let launches = dispatches.iter().map(launch).collect::<Result<_>>();
        let launches =
            launches.map_err(|e| unit.steps.first().map_or_else(|| internal("empty"), |s| at(s, e)))?;
        tasks.push(Task { piece: unit.piece(self.program), steps: unit.steps.len(), launches });
        Ok(())
    }

    /// If the partial sums of `unit` can wait to be added up with others: where in the pool they go.
    fn wait(&mut self, unit: &Unit<'_>, tasks: &mut Vec<Task>) -> Option<usize> {
        let id = partial(unit).filter(|_| self.limits.fuse)?;
        let (pieces, _) = unit.kernels.dispatches.last()?.adds_up()?;
        let len = self.program.buffer(id).shape.len();
        let place = self.layout.places[id.index()];
        let most = POOL.min(self.limits.binding).min(self.limits.buffer);
        let bindable = self.layout.memory[place.memory].len <= self.limits.binding;
        if pieces * len > most || !bindable || !self.program.plan().is_kept(id) {
            return None;
        }
        if self.filled + pieces * len > most {
            self.add_up(tasks);
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

    /// Adds up everything that waits: one launch for each memory that sums go to.
    fn add_up(&mut self, tasks: &mut Vec<Task>) {
        let (waiting, pool) = (std::mem::take(&mut self.waiting), self.pool);
        self.filled = 0;
        let (Some(pool), false) = (pool, waiting.is_empty()) else { return };
        let mut targets: Vec<usize> = waiting.iter().map(|w| w.memory).collect();
        targets.sort_unstable();
        targets.dedup();
        let mut launches = Vec::new();
        let mut bytes = 0;
        for target in targets {
            let sums: Vec<Reduction> = waiting.iter().filter(|w| w.memory == target).map(|w| w.sum).collect();
            let entry = reductions(&sums, self.limits);
            bytes += sums.iter().map(|s| 4 * (s.pieces as u64 + 1) * s.len as u64).sum::<u64>();
            let flops = sums.iter().map(|s| (s.pieces * s.len) as u64).sum();
            let end = sums.iter().map(|s| s.source + s.pieces * s.len).max().unwrap_or(0);
            let partials = Part { memory: pool, first: 0, count: end };
            let parts = vec![partials, self.table(entry.table.clone()), self.whole(target)];
            let Entry { shader, constants, groups, rounds, .. } = entry;
            launches.push(Launch { shader, constants, parts, groups, rounds, flops });
        }
        let flops = launches.iter().map(|launch| launch.flops).sum();
        let label = format!("{} gradients", waiting.len());
        tasks.push(Task {
            piece: Piece { kind: "sum_partials".into(), label, flops, bytes },
            steps: 0,
            launches,
        });
    }

    /// One launch for updates whose tensors lie in arenas, at the same place in each.
    fn update(&mut self, set: &[&Unit<'_>]) -> Result<Task> {
        let first = set.first().and_then(|unit| unit.steps.first()).ok_or_else(|| internal("no update"))?;
        let tensors: Vec<_> = set
            .iter()
            .filter_map(|unit| {
                let place = self.layout.places[unit.buffers.first()?.index()];
                Some((place.first, *update_of(unit.steps.first()?)?))
            })
            .collect();
        let entry = update_table(&first.op, &tensors, self.limits).ok_or_else(|| internal("no update"))?;
        let mut parts = Vec::new();
        for (operand, &id) in first.op.operands().iter().zip(&first.buffers) {
            let place = self.layout.places[id.index()];
            parts.push(if is_shared(operand.kind) {
                Part { memory: place.memory, first: place.first, count: operand.shape.len() }
            } else {
                self.whole(place.memory)
            });
            if operand.kind == OperandKind::Hyper {
                parts.push(self.table(entry.table.clone()));
            }
        }
        let flops = set.iter().map(|unit| unit.flops()).sum();
        let bytes = set.iter().map(|unit| unit.bytes(self.program)).sum();
        let Entry { shader, constants, groups, rounds, .. } = entry;
        let launches = vec![Launch { shader, constants, parts, groups, rounds, flops }];
        let (kind, label) = (first.op.name().into(), format!("{} parameters", set.len()));
        Ok(Task { piece: Piece { kind, label, flops, bytes }, steps: set.len(), launches })
    }

    fn table(&mut self, words: Vec<u32>) -> Part {
        let count = words.len();
        let memory = self.layout.add(Memory { name: "table".into(), len: count, words, uniform: false });
        Part { memory, first: 0, count }
    }

    fn whole(&self, memory: usize) -> Part {
        Part { memory, first: 0, count: self.layout.memory[memory].len }
    }

    fn launch(&self, unit: &Unit<'_>, d: &Dispatch, pooled: Option<usize>, flops: u64) -> Result<Launch> {
        let part = |binding: &super::kernels::Binding| {
            let absent = || internal(&format!("no {:?}", binding.source));
            let (place, len, name) = match binding.source {
                Source::Operand(i) => {
                    let id = *unit.buffers.get(i).ok_or_else(absent)?;
                    let name = unit.operands().get(i).map_or("", |(operand, _)| operand.name);
                    (self.layout.places[id.index()], self.program.buffer(id).shape.len(), name)
                }
                Source::Scratch(i) => {
                    let len = *unit.kernels.scratch.get(i).ok_or_else(absent)?;
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
            Ok(Part { memory: place.memory, first: place.first + first, count })
        };
        let parts = d.bindings.iter().map(part).collect::<Result<_>>()?;
        let Dispatch { shader, groups, rounds, .. } = *d;
        Ok(Launch { shader, constants: d.constants.clone(), parts, groups, rounds, flops })
    }
}

fn internal(what: &str) -> Error {
    Error::Internal(what.into())
}
