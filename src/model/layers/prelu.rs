//! The rectifier with a trained slope.

use super::LayerKind;
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::{Init, WeightInit};
use crate::model::parameter::{Declared, Start, TensorKind};
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{self, Op};

/// y = x if x > 0, else w x.
#[derive(Clone, Debug, PartialEq)]
pub struct Prelu {
    /// Elements of w: 1, or one for each channel.
    pub num_parameters: usize,
}

/// The slope at the start, unless `init` says otherwise.
const SLOPE: f32 = 0.25;

impl Prelu {
    fn geometry(&self, extents: &Extents) -> ops::Prelu {
        let (batch, channels, inner) = (extents.batch, extents.channels(), extents.inner());
        ops::Prelu { batch, channels, inner, shared: self.num_parameters == 1 }
    }
}

impl LayerKind for Prelu {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(Prelu { num_parameters: t.or("num_parameters", 1)? })
    }
    fn write(&self, out: &mut Text) {
        out.put_unless("num_parameters", &self.num_parameters, &1);
    }
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        let (x, found) = (inputs[0], self.num_parameters);
        match x {
            [channels, ..] if found == 1 || found == *channels => Ok(x.to_vec()),
            [channels, ..] => {
                Err(format!("num_parameters: expected 1 or {channels} (channels), found {found}"))
            }
            [] => Err("expected an input with channels".into()),
        }
    }
    fn parameters(&self, _x: &[usize], init: &Init) -> Vec<Declared> {
        let start = match init.weight == WeightInit::Default {
            true => Start::Fill(SLOPE),
            false => Start::Weight { init: init.clone(), fan_in: 1, fan_out: 1 },
        };
        vec![Declared { kind: TensorKind::Weight, shape: vec![self.num_parameters], start }]
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::PreluForward(self.geometry(&at.extents)))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let (d, x, w, dy) = (self.geometry(at.extents()), at.x(), at.operand(1), at.dy);
        if let Some(dw) = at.parameter(0)? {
            at.step(Op::PreluGradWeight(d), &[x, dy, dw]);
        }
        at.input_gradient(Op::PreluGradInput(d), &[x, w, dy])
    }
    fn inherits_init(&self) -> bool {
        false
    }
}
