//! Initial values of parameters, drawn from the seed. Every parameter has its own random stream, so adding a layer
//! at the end leaves the others as they were.

use super::reader::{Literal, Table, suggestion};
use crate::error::Result;
use crate::random::Stream;

/// Which side of a layer the variance is kept for: fan_in forward, fan_out backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fan {
    In,
    Out,
}

/// How a weight is drawn. `fan_in` is inputs per output (times kernel area), `fan_out` the reverse.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum WeightInit {
    /// PyTorch's default for conv2d and linear: uniform in +-1 / sqrt(fan_in).
    Default,
    /// Normal with the given standard deviation.
    Normal { std: f32 },
    /// Uniform in +-bound.
    Uniform { bound: f32 },
    /// Normal with standard deviation sqrt(2 / fan) (He et al. 2015).
    Kaiming { fan: Fan },
    /// Uniform in +-sqrt(6 / fan).
    KaimingUniform { fan: Fan },
    /// Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010).
    Xavier,
    /// Normal with standard deviation sqrt(2 / (fan_in + fan_out)).
    XavierNormal,
    /// The same value everywhere.
    Constant { value: f32 },
    /// These values.
    Values(Vec<f32>),
}

/// Initial values of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Init {
    pub weight: WeightInit,
    /// `None`: uniform in +-1 / sqrt(fan_in), PyTorch's default.
    pub bias: Option<f32>,
}

impl Default for Init {
    fn default() -> Self {
        Init { weight: WeightInit::Default, bias: None }
    }
}

const NAMES: [&str; 8] =
    ["default", "normal", "uniform", "kaiming", "kaiming-uniform", "xavier", "xavier-normal", "constant"];

impl Init {
    /// Reads `{ weight = "normal", std = 0.01, bias = 1.0 }`; what is missing comes from `default`, but a weight
    /// that is given without a bias means bias 0.
    pub(super) fn read(t: &Table<'_>, default: &Init) -> Result<Self> {
        let fan = t.word("mode", &[("fan_in", Fan::In), ("fan_out", Fan::Out)], Fan::In)?;
        let std: Option<f32> = t.get("std")?;
        let value: Option<f32> = t.get("value")?;
        let bound: Option<f32> = t.get("bound")?;
        let bias: Option<f32> = t.get("bias")?;
        let weight = match t.get::<Literal>("weight")? {
            None => {
                t.finish()?;
                return Ok(Init { weight: default.weight.clone(), bias: bias.or(default.bias) });
            }
            Some(Literal::Number(value)) => WeightInit::Constant { value },
            Some(Literal::List(values)) => WeightInit::Values(values),
            Some(Literal::Name(name)) => {
                let need = |key: &'static str, value: Option<f32>| {
                    value.ok_or_else(|| {
                        t.error("weight", format!("\"{name}\" needs the key `{key}` beside it"))
                    })
                };
                match name.as_str() {
                    "default" => WeightInit::Default,
                    "normal" => WeightInit::Normal { std: need("std", std)? },
                    "uniform" => WeightInit::Uniform { bound: need("bound", bound)? },
                    "kaiming" => WeightInit::Kaiming { fan },
                    "kaiming-uniform" => WeightInit::KaimingUniform { fan },
                    "xavier" => WeightInit::Xavier,
                    "xavier-normal" => WeightInit::XavierNormal,
                    "constant" => WeightInit::Constant { value: need("value", value)? },
                    _ => {
                        let near = suggestion(&name, NAMES);
                        let known = NAMES.join(", ");
                        return Err(
                            t.error("weight", format!("expected one of {known}, found \"{name}\"{near}"))
                        );
                    }
                }
            }
        };
        t.finish()?;
        let bias = bias.or(if weight == WeightInit::Default { None } else { Some(0.0) });
        Ok(Init { weight, bias })
    }

    /// Values of a weight of `len` elements.
    pub(super) fn weight(&self, len: usize, fan_in: usize, fan_out: usize, mut random: Stream) -> Vec<f32> {
        let mut normal = |std: f64| (0..len).map(|_| (f64::from(random.normal()) * std) as f32).collect();
        let fan = |f: Fan| if f == Fan::In { fan_in } else { fan_out } as f64;
        let sum = (fan_in + fan_out) as f64;
        match &self.weight {
            WeightInit::Normal { std } => normal(f64::from(*std)),
            WeightInit::Kaiming { fan: f } => normal((2.0 / fan(*f)).sqrt()),
            WeightInit::XavierNormal => normal((2.0 / sum).sqrt()),
            WeightInit::Default => uniform(len, (1.0 / fan_in as f64).sqrt(), random),
            WeightInit::Uniform { bound } => uniform(len, f64::from(*bound), random),
            WeightInit::KaimingUniform { fan: f } => uniform(len, (6.0 / fan(*f)).sqrt(), random),
            WeightInit::Xavier => uniform(len, (6.0 / sum).sqrt(), random),
            WeightInit::Constant { value } => vec![*value; len],
            WeightInit::Values(values) => values.clone(),
        }
    }

    /// Values of a bias of `len` elements.
    pub(super) fn bias(&self, len: usize, fan_in: usize, random: Stream) -> Vec<f32> {
        match self.bias {
            Some(value) => vec![value; len],
            None => uniform(len, (1.0 / fan_in as f64).sqrt(), random),
        }
    }
}

fn uniform(len: usize, bound: f64, mut random: Stream) -> Vec<f32> {
    (0..len).map(|_| ((2.0 * f64::from(random.uniform()) - 1.0) * bound) as f32).collect()
}
