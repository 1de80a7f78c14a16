//! A learned factor for each channel: ConvNeXt's layer scale.

use super::LayerKind;
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::{Declared, Start, TensorKind};
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{self, Op};

/// y = x w, with one weight for each channel (or feature).
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// Initial value of all weights; torchvision's `layer_scale`, timm's `init_values`.
    pub init_value: f32,
    /// The end of the name of the weights, after the layer's name and a point. torchvision's are a parameter `layer_scale` of
    /// a block.
    pub parameter: String,
    /// Whether the shape of the weights is `[channels, 1, 1]`, as torchvision's, rather than `[channels]`.
    pub spatial: bool,
}

impl Scale {
    /// The longest name of the weights, in bytes.
    pub const LONGEST_NAME: usize = 60;

    /// Whether weights can have this name: it ends a parameter's name, which is read up to its last point.
    pub fn is_name(name: &str) -> bool {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !name.is_empty() && name.len() <= Self::LONGEST_NAME && name.chars().all(is_plain)
    }

    fn geometry(&self, extents: &Extents) -> ops::Scale {
        ops::Scale { batch: extents.batch, channels: extents.channels(), inner: extents.inner() }
    }
}

impl LayerKind for Scale {
    fn read(t: &Table<'_>) -> Result<Self> {
        if t.has("init") {
            return Err(t.error("init", "expected `init_value`, the initial value of all weights"));
        }
        let parameter = t.or("parameter", "weight".to_string())?;
        if !Scale::is_name(&parameter) {
            let most = Self::LONGEST_NAME;
            return Err(t.error("parameter", format!("expected 1 to {most} letters, digits and `_`")));
        }
        Ok(Scale { init_value: t.or("init_value", 1.0)?, parameter, spatial: t.or("spatial", false)? })
    }
    fn write(&self, out: &mut Text) {
        out.put_unless("init_value", &self.init_value, &1.0);
        out.put_unless("parameter", &self.parameter, &"weight".to_string());
        out.put_unless("spatial", &self.spatial, &false);
    }
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        Ok(inputs[0].to_vec())
    }
    fn parameters(&self, x: &[usize], _init: &Init) -> Vec<Declared> {
        let shape = if self.spatial { vec![x[0], 1, 1] } else { vec![x[0]] };
        vec![Declared { kind: TensorKind::Weight, shape, start: Start::Fill(self.init_value) }]
    }
    fn tensor_name(&self, _kind: TensorKind) -> &str {
        &self.parameter
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::Scale(self.geometry(&at.extents)))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let (d, x, w, dy) = (self.geometry(at.extents()), at.operand(0), at.operand(1), at.dy);
        if let Some(dw) = at.parameter(0)? {
            at.step(Op::ScaleGradWeight(d), &[x, dy, dw]);
        }
        at.input_gradient(Op::Scale(d), &[dy, w])
    }
    fn takes_init(&self) -> bool {
        false
    }
}
