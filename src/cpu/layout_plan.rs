//! Which layout each activation of a program has, decided once when the executor is handed the program.
//!
//! An operator that works on whole blocks gets blocks where it can; elementwise ones take whatever they are given. What an
//! operator reads in another layout than its own is converted for it.

use super::direct::is_narrow;
use super::layout::{BLOCK, Layout, Layouts};
use crate::ops::{Access, Conv2d, Op};
use crate::program::{BufferId, Program, Span, Step};

/// The layouts of a program's buffers and steps.
#[derive(Debug)]
pub struct LayoutPlan {
    buffers: Vec<Layout>,
}

/// What an operator asks of its activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    /// Each as it is: a convolution.
    Any,
    /// All in one layout, preferably blocks.
    Blocks,
    /// All in one layout, whichever they have.
    Same,
}

/// The operands of `op` that are activations and may lie in blocks, and what it asks of them; none if all must be plain.
fn activations(op: &Op) -> Option<(&'static [usize], Demand)> {
    Some(match op {
        Op::Conv2dForward(d) => (if d.bias { &[0, 3] } else { &[0, 2] }, of_convolution(d, d.c_out_group())?),
        Op::Conv2dGradInput(d) => (&[0, 2], of_convolution(d, d.c_in_group())?),
        Op::Conv2dGradWeight(d) => (&[0, 1], of_convolution(d, d.c_out_group())?),
        Op::BiasGrad(_) | Op::BatchNorm2dStats(_) => (&[0], Demand::Blocks),
        Op::BatchNorm2dForward(_) => (&[0, 5], Demand::Blocks),
        Op::BatchNorm2dGradParameters(_) => (&[0, 4], Demand::Blocks),
        Op::BatchNorm2dGradInput(_) => (&[0, 2, 4], Demand::Blocks),
        Op::MaxPool2dForward(_) | Op::MaxPool2dBackward(_) => (&[0, 1, 2], Demand::Blocks),
        Op::AvgPool2dForward(_)
        | Op::AvgPool2dBackward(_)
        | Op::AdaptiveAvgPool2dForward(_)
        | Op::AdaptiveAvgPool2dBackward(_) => (&[0, 1], Demand::Blocks),
        Op::LocalResponseNormForward(_) => (&[0, 1, 2], Demand::Blocks),
        Op::LocalResponseNormBackward(_) => (&[0, 1, 2, 3], Demand::Blocks),
        Op::ReluForward(_)
        | Op::LeakyReluForward(_)
        | Op::SigmoidForward(_)
        | Op::TanhForward(_)
        | Op::SiluForward(_)
        | Op::HardSwishForward(_)
        | Op::HardSigmoidForward(_)
        | Op::ClipForward(_)
        | Op::GeluForward(_)
        | Op::EluForward(_) => (&[0, 1], Demand::Same),
        Op::ReluBackward(_)
        | Op::LeakyReluBackward(_)
        | Op::SigmoidBackward(_)
        | Op::TanhBackward(_)
        | Op::SiluBackward(_)
        | Op::HardSwishBackward(_)
        | Op::HardSigmoidBackward(_)
        | Op::ClipBackward(_)
        | Op::GeluBackward(_)
        | Op::EluBackward(_)
        | Op::Mul(_)
        | Op::Add(_) => (&[0, 1, 2], Demand::Same),
        // The gates, one pixel to a channel, lie in the same order in either layout.
        Op::MulGate(_) => (&[0, 2], Demand::Same),
        Op::MulGradGate(_) | Op::PreluGradWeight(_) => (&[0, 1], Demand::Blocks),
        Op::PreluForward(_) => (&[0, 2], Demand::Same),
        Op::PreluGradInput(_) => (&[0, 2, 3], Demand::Same),
        // Channels of whole blocks are as contiguous in blocks as they are plain.
        Op::ConcatForward(d) | Op::ConcatBackward(d) | Op::SliceForward(d) | Op::SliceBackward(d)
            if d.offset.is_multiple_of(BLOCK) && d.channels.is_multiple_of(BLOCK) =>
        {
            (&[0, 1], Demand::Same)
        }
        Op::ChannelShuffle(_)
        | Op::PadForward(_)
        | Op::PadBackward(_)
        | Op::UpsampleForward(_)
        | Op::UpsampleBackward(_) => (&[0, 1], Demand::Same),
        Op::Scale(_) | Op::StructuredDropout(_) => (&[0, 2], Demand::Same),
        Op::ScaleGradWeight(_) => (&[0, 1], Demand::Blocks),
        Op::LayerNormForward(_) => (&[0, 3], Demand::Blocks),
        Op::LayerNormGradInput(_) => (&[0, 4, 5], Demand::Blocks),
        Op::LayerNormGradWeight(_) => (&[0, 3], Demand::Blocks),
        _ => return None,
    })
}

/// What a convolution asks of x and y, whose results have `results` channels to a group; `None` if it runs along pixels, or
/// groups share a block of channels.
fn of_convolution(d: &Conv2d, results: usize) -> Option<Demand> {
    let is_whole = |channels: usize| (channels / d.groups).is_multiple_of(BLOCK);
    match d.groups {
        1 => (!is_narrow(results)).then_some(Demand::Any),
        _ if is_whole(d.c_in) && is_whole(d.c_out) => Some(Demand::Any),
        groups => (groups == d.c_in && d.c_in == d.c_out).then_some(Demand::Blocks),
    }
}

/// [`activations`] of a step, if its operator and its buffers agree about what a channel is: one that takes every pixel of
/// a flattened image for a channel, or an image and a flattened one together, is given plain tensors.
fn demand(program: &Program, step: &Step) -> Option<(&'static [usize], Demand)> {
    let (operands, demand) = activations(&step.op)?;
    let described = step.op.operands();
    let dims = |i: usize| program.buffer(step.buffers[i]).shape.dims();
    let agrees = |&i: &usize| match described[i].shape.dims() {
        [_, channels, ..] => dims(i).get(1) == Some(channels),
        _ => dims(i).get(1..) == dims(operands[0]).get(1..),
    };
    operands.iter().all(agrees).then_some((operands, demand))
}

/// The pixels of an image, if the buffer has whole blocks of channels and more than one pixel.
fn blocks(program: &Program, id: BufferId) -> Option<usize> {
    let dims = program.buffer(id).shape.dims();
    let [_, channels, size @ ..] = dims else { return None };
    let pixels = size.iter().product();
    (channels.is_multiple_of(BLOCK) && pixels > 1).then_some(pixels)
}

impl LayoutPlan {
    /// Decides.
    pub fn new(program: &Program) -> LayoutPlan {
        let mut plan = LayoutPlan { buffers: vec![Layout::Plain; program.buffers().len()] };
        let steps =
            || [Span::Forward, Span::Gradients, Span::Update].into_iter().flat_map(|s| program.steps(s));
        for step in steps() {
            for &i in demand(program, step).map_or(&[][..], |(operands, _)| operands) {
                if blocks(program, step.buffers[i]).is_some() {
                    plan.buffers[step.buffers[i].index()] = Layout::Blocks;
                }
            }
        }
        // A buffer that some step has to write plain is plain, and so is what elementwise operators make of such.
        loop {
            let mut is_settled = true;
            for step in steps() {
                if plan.layout(program, step) == Layout::Blocks {
                    continue;
                }
                let any = demand(program, step).filter(|&(_, demand)| demand == Demand::Any);
                for (i, operand) in step.op.operands().iter().enumerate() {
                    let layout = &mut plan.buffers[step.buffers[i].index()];
                    let is_own = any.is_some_and(|(operands, _)| operands.contains(&i));
                    if operand.access != Access::Read && !is_own && *layout == Layout::Blocks {
                        *layout = Layout::Plain;
                        is_settled = false;
                    }
                }
            }
            if is_settled {
                return plan;
            }
        }
    }

    /// The layout of a buffer.
    pub fn buffer(&self, id: BufferId) -> Layout {
        self.buffers[id.index()]
    }

    /// The pixels of an image of a buffer in blocks; `None` if it is plain.
    pub fn pixels_of_blocks(&self, program: &Program, id: BufferId) -> Option<usize> {
        blocks(program, id).filter(|_| self.buffer(id) == Layout::Blocks)
    }

    /// The layout of all activations of a step, if it has one; plain for convolutions, which have two.
    pub fn layout(&self, program: &Program, step: &Step) -> Layout {
        let Some((operands, demand)) = demand(program, step) else { return Layout::Plain };
        if demand == Demand::Any {
            return Layout::Plain;
        }
        let described = step.op.operands();
        let written = operands.iter().filter(|&&i| described[i].access != Access::Read);
        let mut written = written.map(|&i| self.buffer(step.buffers[i])).peekable();
        let is_written = written.peek().is_some();
        let mut read = operands.iter().map(|&i| self.buffer(step.buffers[i]));
        let is_blocked = match (is_written, demand) {
            // All that it writes is in blocks, and something that it reads is.
            (true, Demand::Same) => {
                written.all(|l| l == Layout::Blocks)
                    && operands.iter().any(|&i| {
                        described[i].access == Access::Read && self.buffer(step.buffers[i]) == Layout::Blocks
                    })
            }
            (true, _) => written.all(|l| l == Layout::Blocks),
            (false, _) => read.all(|l| l == Layout::Blocks),
        };
        if is_blocked { Layout::Blocks } else { Layout::Plain }
    }

    /// The layouts of a step: of x and y of a convolution, else twice the same.
    pub fn layouts(&self, program: &Program, step: &Step) -> Layouts {
        let of = |i: usize| self.buffer(step.buffers[i]);
        match (demand(program, step), &step.op) {
            (Some((&[dy, dx], Demand::Any)), Op::Conv2dGradInput(_)) => Layouts { x: of(dx), y: of(dy) },
            (Some((&[x, y], Demand::Any)), _) => Layouts { x: of(x), y: of(y) },
            _ => Layouts { x: self.layout(program, step), y: self.layout(program, step) },
        }
    }

    /// What operand `i` of a step has to be converted to before the step reads it, and its pixels; `None` if it already is.
    pub fn conversion(&self, program: &Program, step: &Step, i: usize) -> Option<(Layout, usize)> {
        let id = step.buffers[i];
        let wanted = match demand(program, step) {
            Some((operands, Demand::Any)) if operands.contains(&i) => return None,
            Some((operands, _)) if operands.contains(&i) => self.layout(program, step),
            _ => Layout::Plain,
        };
        let pixels = blocks(program, id)?;
        (wanted != self.buffer(id)).then_some((wanted, pixels))
    }
}
