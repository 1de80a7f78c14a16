//! Where the tensors of a program lie on a device. Most have a separate buffer (or share one, as the memory plan
//! says). The operands of updates lie in arenas, one for gradients, one for weights, one for each part of the
//! optimiser's state, at the same place in each: so one dispatch can update them all. Gradients whose partial sums are
//! added up together lie in an arena too.

use super::fuse::FusedStep;
use super::kernels::{Limits, Source};
use crate::ops::{Access, Op, OperandKind, Update};
use crate::program::{BufferId, Plan, Program, Span, Step};
use std::collections::{HashMap, HashSet};

/// A buffer of the device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// For messages.
    pub name: String,
    /// In elements.
    pub len: usize,
    /// Whether it is bound as a uniform.
    pub uniform: bool,
    /// What it holds from the beginning, if not zeros.
    pub words: Vec<u32>,
}

/// Where a tensor begins: number of the [`Memory`], and element in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub memory: usize,
    pub first: usize,
}

/// The memory of a program.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub memory: Vec<Memory>,
    /// Of each buffer of the program.
    pub places: Vec<Place>,
    /// Sets of steps of the update list that can run as one, as positions in that list.
    pub updates: Vec<Vec<usize>>,
}

/// The update of one parameter, if `step` is that.
pub(super) fn update_of(step: &Step) -> Option<&Update> {
    match &step.op {
        Op::Sgd(d) | Op::Adam(d) | Op::AdamW(d) | Op::RmsProp(d) => Some(d),
        _ => None,
    }
}

/// The operands of an update that are as long as its parameter: number, name, buffer.
fn tensors(step: &Step) -> Vec<(usize, &'static str, BufferId)> {
    let operands = step.op.operands().into_iter().zip(&step.buffers).enumerate();
    let own = operands.filter(|(_, (operand, _))| !is_shared(operand.kind));
    own.map(|(i, (operand, &id))| (i, operand.name, id)).collect()
}

/// Whether an operand of an update serves all parameters, so that it has no element per element of the weight.
pub(super) fn is_shared(kind: OperandKind) -> bool {
    matches!(kind, OperandKind::Hyper | OperandKind::Factor | OperandKind::Record)
}

/// Tensors at their places in an arena, and its length.
#[derive(Default)]
struct Arena {
    name: String,
    members: Vec<(BufferId, usize)>,
    len: usize,
}

impl Layout {
    /// Lays out the buffers of `program`, whose lists run as `lists`.
    pub fn new(program: &Program, lists: &[Vec<FusedStep<'_>>; 3], limits: &Limits) -> Layout {
        // A tensor that some kernel would have to read in one arena and write in the same cannot be there: a buffer
        // is either read or written by a dispatch, as a whole.
        let mut outside = HashSet::new();
        loop {
            let updates = updates(program, &outside, limits);
            let arenas = arenas(program, lists, &updates, &outside, limits);
            let conflicts = conflicts(lists, &arenas);
            if conflicts.is_empty() {
                return Layout::with(program, lists, arenas, updates);
            }
            outside.extend(conflicts);
        }
    }

    fn with(
        program: &Program,
        lists: &[Vec<FusedStep<'_>>; 3],
        arenas: Vec<Arena>,
        updates: Vec<Vec<usize>>,
    ) -> Layout {
        let mut layout = Layout { updates, ..Layout::default() };
        let mut places: Vec<Option<Place>> = vec![None; program.buffers().len()];
        for arena in arenas {
            for (id, first) in arena.members {
                places[id.index()] = Some(Place { memory: layout.memory.len(), first });
            }
            layout.memory.push(Memory { name: arena.name, len: arena.len, ..Memory::default() });
        }
        // Steps that run as one need their operands at the same time, so lifetimes are theirs.
        let ids = || (0u32..).zip(program.buffers()).map(|(i, buffer)| (BufferId(i), buffer));
        let keep = ids().all(|(id, _)| program.plan().is_kept(id));
        let touches: Vec<Vec<Vec<BufferId>>> =
            lists.iter().map(|steps| steps.iter().map(FusedStep::touched).collect()).collect();
        let plan = Plan::of_touches(program.buffers(), &touches, keep);
        let used: HashSet<BufferId> = touches.iter().flatten().flatten().copied().collect();
        let mut slots: HashMap<usize, usize> = HashMap::new();
        for (id, buffer) in ids() {
            let place = places[id.index()].unwrap_or_else(|| {
                let memory = *slots.entry(plan.slot(id)).or_insert_with(|| {
                    layout.memory.push(Memory { name: buffer.name.clone(), ..Memory::default() });
                    layout.memory.len() - 1
                });
                // What lies between steps that run as one is never stored, and needs no room.
                if plan.is_kept(id) || used.contains(&id) {
                    layout.memory[memory].len = layout.memory[memory].len.max(buffer.shape.len());
                }
                Place { memory, first: 0 }
            });
            layout.places.push(place);
        }
        // The hyper words are bound as a uniform.
        for (operand, id) in lists.iter().flatten().flat_map(FusedStep::operands) {
            let memory = &mut layout.memory[layout.places[id.index()].memory];
            memory.uniform |= operand.kind == OperandKind::Hyper;
        }
        layout
    }

    /// Adds memory that belongs to no buffer of the program; its number.
    pub fn add(&mut self, memory: Memory) -> usize {
        self.memory.push(memory);
        self.memory.len() - 1
    }
}

/// The longest arena, in elements: it is bound as a whole.
fn most(limits: &Limits) -> usize {
    limits.binding.min(limits.buffer)
}

/// Sets of updates that differ in nothing but their tensors and multipliers, and fit arenas together.
fn updates(program: &Program, outside: &HashSet<BufferId>, limits: &Limits) -> Vec<Vec<usize>> {
    let steps = program.list(Span::Update);
    let mut sets = Vec::new();
    if !limits.fuse {
        return sets;
    }
    let mut first = 0;
    while first < steps.len() {
        // Updates that follow each other; those that share no tensor with another may change places.
        let run = steps[first..].iter().take_while(|step| update_of(step).is_some()).count();
        let mut uses: HashMap<BufferId, usize> = HashMap::new();
        for (_, _, id) in steps[first..first + run].iter().flat_map(tensors) {
            *uses.entry(id).or_default() += 1;
        }
        let mut open: Vec<(usize, usize)> = Vec::new();
        for (number, step) in steps.iter().enumerate().skip(first).take(run) {
            let Some(len) = update_of(step).map(|d| d.len) else { continue };
            let fits = |(_, _, id): (usize, &str, BufferId)| {
                uses.get(&id) == Some(&1) && program.plan().is_kept(id) && !outside.contains(&id)
            };
            if len == 0 || len > most(limits) || !tensors(step).into_iter().all(fits) {
                continue;
            }
            let len = len.next_multiple_of(limits.align);
            let set = open.iter_mut().find(|(set, filled)| {
                let member: &Vec<usize> = &sets[*set];
                alike(&steps[member[0]], step) && *filled + len <= most(limits)
            });
            match set {
                Some((set, filled)) => {
                    sets[*set].push(number);
                    *filled += len;
                }
                None => {
                    open.push((sets.len(), len));
                    sets.push(vec![number]);
                }
            }
        }
        first += run.max(1);
    }
    sets
}

/// Whether two updates can run as one.
fn alike(a: &Step, b: &Step) -> bool {
    let (Some(x), Some(y)) = (update_of(a), update_of(b)) else { return false };
    let shared = |step: &Step| {
        let own: Vec<BufferId> = tensors(step).into_iter().map(|(_, _, id)| id).collect();
        step.buffers.iter().copied().filter(|id| !own.contains(id)).collect::<Vec<_>>()
    };
    std::mem::discriminant(&a.op) == std::mem::discriminant(&b.op)
        && (x.momentum, x.nesterov, x.clip, x.scaled) == (y.momentum, y.nesterov, y.clip, y.scaled)
        && (x.number > 0, x.slots) == (y.number > 0, y.slots)
        && shared(a) == shared(b)
}

/// The arenas of the operands of `updates`, and of other gradients whose partial sums wait.
fn arenas(
    program: &Program,
    lists: &[Vec<FusedStep<'_>>; 3],
    updates: &[Vec<usize>],
    outside: &HashSet<BufferId>,
    limits: &Limits,
) -> Vec<Arena> {
    let steps = program.list(Span::Update);
    let mut arenas: Vec<Arena> = Vec::new();
    let mut inside = HashSet::new();
    for set in updates {
        let operands = tensors(&steps[set[0]]);
        for (operand, name, _) in operands {
            let mut arena = Arena { name: format!("{name} of {} parameters", set.len()), ..Arena::default() };
            for &number in set {
                let id = steps[number].buffers[operand];
                inside.insert(id);
                arena.push(id, program, limits);
            }
            arenas.push(arena);
        }
    }
    if !limits.fuse {
        return arenas;
    }
    let mut open: Option<Arena> = None;
    for id in lists.iter().flatten().filter_map(partial) {
        let len = program.buffer(id).shape.len();
        let taken = !inside.insert(id) || outside.contains(&id);
        if taken || len > most(limits) || !program.plan().is_kept(id) {
            continue;
        }
        arenas.extend(open.take_if(|arena| arena.len.next_multiple_of(limits.align) + len > most(limits)));
        let name = "gradients".to_string();
        open.get_or_insert_with(|| Arena { name, ..Arena::default() }).push(id, program, limits);
    }
    arenas.extend(open);
    arenas
}

/// The buffer that gets the sum of partial sums at the end of a step, if there is one.
pub(super) fn partial(step: &FusedStep<'_>) -> Option<BufferId> {
    let (_, operand) = step.kernels.dispatches.last()?.adds_up()?;
    step.buffers.get(operand).copied()
}

impl Arena {
    fn push(&mut self, id: BufferId, program: &Program, limits: &Limits) {
        let first = self.len.next_multiple_of(limits.align);
        self.members.push((id, first));
        self.len = first + program.buffer(id).shape.len();
    }
}

/// Tensors in arenas that one dispatch reads while it writes another of the same arena.
fn conflicts(lists: &[Vec<FusedStep<'_>>; 3], arenas: &[Arena]) -> Vec<BufferId> {
    let mut arena_of: HashMap<BufferId, usize> = HashMap::new();
    for (number, arena) in arenas.iter().enumerate() {
        arena_of.extend(arena.members.iter().map(|&(id, _)| (id, number)));
    }
    let mut found = Vec::new();
    for step in lists.iter().flatten() {
        let operands = step.operands();
        for dispatch in &step.kernels.dispatches {
            let bound = |read: bool| {
                let operands = &operands;
                dispatch.bindings.iter().filter_map(move |binding| match binding.source {
                    Source::Operand(i) => {
                        operands.get(i).filter(|o| (o.0.access == Access::Read) == read).map(|o| o.1)
                    }
                    Source::Scratch(_) => None,
                })
            };
            for (a, b) in bound(true).flat_map(|a| bound(false).map(move |b| (a, b))) {
                if a != b && arena_of.contains_key(&a) && arena_of.get(&a) == arena_of.get(&b) {
                    found.extend([a, b]);
                }
            }
        }
    }
    found
}
