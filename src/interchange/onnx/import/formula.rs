//! Formulas of one number, and the activations that they equal. Two formulas are compared by their values at many points, so
//! that it does not matter how an exporter writes one.

use crate::model::{LayerOp, layers};

/// Largest difference from an operator, relative to its value or to 1. Constants of a formula are rounded to f32.
const TOLERANCE: f64 = 2e-6;

/// A formula of one number, x.
#[derive(Clone, Debug)]
pub enum Tree {
    X,
    Number(f64),
    Unary(Unary, Box<Tree>),
    Binary(Binary, Box<Tree>, Box<Tree>),
}

/// A function of one number.
#[derive(Clone, Copy, Debug)]
pub enum Unary {
    Abs,
    Clip(f64, f64),
    /// The error function.
    Erf,
    Exp,
    HardSigmoid(f64, f64),
    LeakyRelu(f64),
    Log,
    Neg,
    Reciprocal,
    Sigmoid,
    Softplus,
    Sqrt,
    Tanh,
}

/// A function of two numbers.
#[derive(Clone, Copy, Debug)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
}

impl Tree {
    pub fn number(value: f32) -> Tree {
        // 0.1 is meant, and not the nearest f32.
        Tree::Number(value.to_string().parse().unwrap_or(f64::from(value)))
    }

    pub fn unary(op: Unary, x: Tree) -> Tree {
        Tree::Unary(op, Box::new(x))
    }

    pub fn binary(op: Binary, a: Tree, b: Tree) -> Tree {
        Tree::Binary(op, Box::new(a), Box::new(b))
    }

    pub fn len(&self) -> usize {
        match self {
            Tree::X | Tree::Number(_) => 1,
            Tree::Unary(_, x) => 1 + x.len(),
            Tree::Binary(_, a, b) => 1 + a.len() + b.len(),
        }
    }

    /// The formula with `inner` in the place of x.
    pub fn of(self, inner: &Tree) -> Tree {
        match self {
            Tree::X => inner.clone(),
            Tree::Number(value) => Tree::Number(value),
            Tree::Unary(op, x) => Tree::unary(op, x.of(inner)),
            Tree::Binary(op, a, b) => Tree::binary(op, a.of(inner), b.of(inner)),
        }
    }

    fn at(&self, point: f64) -> f64 {
        match self {
            Tree::X => point,
            Tree::Number(value) => *value,
            Tree::Unary(op, x) => {
                let x = x.at(point);
                match *op {
                    Unary::Abs => x.abs(),
                    Unary::Clip(min, max) => x.max(min).min(max),
                    Unary::Erf => erf(x),
                    Unary::Exp => x.exp(),
                    Unary::HardSigmoid(alpha, beta) => (alpha * x + beta).clamp(0.0, 1.0),
                    Unary::LeakyRelu(slope) => {
                        if x < 0.0 {
                            slope * x
                        } else {
                            x
                        }
                    }
                    Unary::Log => x.ln(),
                    Unary::Neg => -x,
                    Unary::Reciprocal => x.recip(),
                    Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
                    Unary::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
                    Unary::Sqrt => x.sqrt(),
                    Unary::Tanh => x.tanh(),
                }
            }
            Tree::Binary(op, a, b) => {
                let (a, b) = (a.at(point), b.at(point));
                match op {
                    Binary::Add => a + b,
                    Binary::Sub => a - b,
                    Binary::Mul => a * b,
                    Binary::Div => a / b,
                    Binary::Pow => a.powf(b),
                    Binary::Min => a.min(b),
                    Binary::Max => a.max(b),
                }
            }
        }
    }

    /// The numbers in the formula, near which a function may have its kinks.
    fn numbers(&self, into: &mut Vec<f64>) {
        match self {
            Tree::X => {}
            Tree::Number(value) => into.push(*value),
            Tree::Unary(op, x) => {
                if let Unary::Clip(a, b) | Unary::HardSigmoid(a, b) = op {
                    into.extend([*a, *b].into_iter().filter(|value| value.abs() < 1e4));
                }
                x.numbers(into);
            }
            Tree::Binary(_, a, b) => {
                a.numbers(into);
                b.numbers(into);
            }
        }
    }

    /// The points at which formulas are compared.
    fn points(&self) -> Vec<f64> {
        let mut points: Vec<f64> = (-320..=320).map(|i| f64::from(i) / 16.0 + 0.003).collect();
        points.extend([-1e4, -500.3, -60.1, 60.1, 500.3, 1e4]);
        let mut numbers = Vec::new();
        self.numbers(&mut numbers);
        points.extend(numbers.iter().take(16).flat_map(|&n| [n - 0.01, n + 0.01, -n - 0.01, -n + 0.01]));
        points
    }

    /// Whether both formulas have the same values.
    fn equals(&self, other: &Tree) -> bool {
        self.points().into_iter().all(|point| {
            let (found, expected) = (self.at(point), other.at(point));
            (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0)
        })
    }

    /// The factor and offset of a formula that is a straight line.
    pub fn line(&self) -> Option<[f64; 2]> {
        let offset = self.at(0.0);
        let factor = self.at(1.0) - offset;
        let line = Tree::binary(
            Binary::Add,
            Tree::binary(Binary::Mul, Tree::X, Tree::Number(factor)),
            Tree::Number(offset),
        );
        (factor.is_finite() && offset.is_finite() && self.equals(&line)).then_some([factor, offset])
    }
}

/// The error function to 1e-14, by the series 2 / sqrt(pi) exp(-x^2) (x + 2 x^3 / 3 + 4 x^5 / 15 + ...) (Abramowitz and Stegun,
/// Handbook of Mathematical Functions, 7.1.6).
fn erf(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 6.0 {
        // 1 - erf(6) is less than 1e-16.
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// The formula of gelu: x times the distribution function of the standard normal distribution, or its approximation by tanh.
fn gelu(tanh: bool) -> Tree {
    let times = |factor: f64, tree: Tree| Tree::binary(Binary::Mul, Tree::Number(factor), tree);
    let odd = if tanh {
        let cube = Tree::binary(Binary::Pow, Tree::X, Tree::Number(3.0));
        let inner = Tree::binary(Binary::Add, Tree::X, times(0.044715, cube));
        Tree::unary(Unary::Tanh, times((2.0 / std::f64::consts::PI).sqrt(), inner))
    } else {
        Tree::unary(Unary::Erf, times(std::f64::consts::FRAC_1_SQRT_2, Tree::X))
    };
    let gate = times(0.5, Tree::binary(Binary::Add, Tree::Number(1.0), odd));
    Tree::binary(Binary::Mul, Tree::X, gate)
}

/// The formula of an activation; `None` for other layers.
pub fn tree_of(op: &LayerOp) -> Option<Tree> {
    let wide = |value: f32| f64::from(value);
    let times_x = |gate: Tree| Tree::binary(Binary::Mul, Tree::X, gate);
    let hard = |sigmoid: &layers::HardSigmoid| Unary::HardSigmoid(wide(sigmoid.alpha), wide(sigmoid.beta));
    Some(match op {
        LayerOp::Relu(layers::Relu) => Tree::unary(Unary::Clip(0.0, f64::INFINITY), Tree::X),
        LayerOp::Relu6(layers::Relu6) => Tree::unary(Unary::Clip(0.0, 6.0), Tree::X),
        LayerOp::Clip(layers::Clip { min, max }) => Tree::unary(Unary::Clip(wide(*min), wide(*max)), Tree::X),
        LayerOp::LeakyRelu(layers::LeakyRelu { negative_slope }) => {
            Tree::unary(Unary::LeakyRelu(wide(*negative_slope)), Tree::X)
        }
        LayerOp::Sigmoid(layers::Sigmoid) => Tree::unary(Unary::Sigmoid, Tree::X),
        LayerOp::Tanh(layers::Tanh) => Tree::unary(Unary::Tanh, Tree::X),
        LayerOp::HardSigmoid(sigmoid) => Tree::unary(hard(sigmoid), Tree::X),
        LayerOp::Silu(layers::Silu) => times_x(Tree::unary(Unary::Sigmoid, Tree::X)),
        LayerOp::HardSwish(layers::HardSwish) => {
            times_x(Tree::unary(hard(&layers::HardSigmoid::PYTORCH), Tree::X))
        }
        LayerOp::Gelu(layers::Gelu { tanh }) => gelu(*tanh),
        _ => return None,
    })
}

/// The operators that a formula may turn out to be.
fn candidates() -> Vec<LayerOp> {
    vec![
        layers::Relu.into(),
        layers::Relu6.into(),
        layers::Sigmoid.into(),
        layers::Tanh.into(),
        layers::Silu.into(),
        layers::HardSwish.into(),
        layers::HardSigmoid::PYTORCH.into(),
        layers::Gelu { tanh: false }.into(),
        layers::Gelu { tanh: true }.into(),
    ]
}

/// The operator that has the values of a formula.
pub fn recognised(tree: &Tree) -> Option<LayerOp> {
    candidates().into_iter().find(|op| tree_of(op).is_some_and(|candidate| tree.equals(&candidate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(a: Tree, b: Tree) -> Tree {
        Tree::binary(Binary::Mul, a, b)
    }

    fn plus(a: Tree, b: Tree) -> Tree {
        Tree::binary(Binary::Add, a, b)
    }

    #[test]
    fn formulas_are_the_operators_that_they_equal() {
        let relu6 = |tree| Tree::unary(Unary::Clip(0.0, 6.0), tree);
        let shifted = || relu6(plus(Tree::X, Tree::number(3.0)));
        let hard_swish = Tree::binary(Binary::Div, times(Tree::X, shifted()), Tree::number(6.0));
        assert_eq!(recognised(&hard_swish), Some(layers::HardSwish.into()));
        let sixth = times(shifted(), Tree::number(1.0 / 6.0));
        assert_eq!(recognised(&sixth), Some(layers::HardSigmoid::PYTORCH.into()));
        let exp = Tree::unary(Unary::Exp, Tree::unary(Unary::Neg, Tree::X));
        let silu = Tree::binary(Binary::Div, Tree::X, plus(Tree::number(1.0), exp));
        assert_eq!(recognised(&silu), Some(layers::Silu.into()));
        assert_eq!(
            recognised(&Tree::binary(Binary::Max, Tree::X, Tree::number(0.0))),
            Some(layers::Relu.into())
        );
    }

    #[test]
    fn formulas_that_differ_a_little_are_no_operators() {
        let clipped = |max| Tree::unary(Unary::Clip(0.0, max), plus(Tree::X, Tree::number(3.0)));
        for (max, divisor) in [(6.0, 6.001), (5.99, 6.0), (6.01, 6.0)] {
            let tree = Tree::binary(Binary::Div, times(Tree::X, clipped(max)), Tree::number(divisor));
            assert_eq!(recognised(&tree), None, "{max} {divisor}");
        }
        assert_eq!(recognised(&Tree::unary(Unary::Clip(0.0, 2000.0), Tree::X)), None);
        assert_eq!(recognised(&Tree::unary(Unary::Sqrt, Tree::X)), None, "NaN");
    }

    #[test]
    fn the_error_function() {
        // Abramowitz and Stegun, table 7.1.
        for (x, expected) in [(0.0, 0.0), (0.5, 0.5204998778), (1.0, 0.8427007929), (2.0, 0.9953222650)] {
            assert!((erf(x) - expected).abs() < 1e-10 && (erf(-x) + expected).abs() < 1e-10, "{x}");
        }
        assert!((erf(5.9) - 1.0).abs() < 1e-14 && erf(-1e4) == -1.0 && erf(f64::NAN).is_nan());
    }

    #[test]
    fn gelu_is_no_function_of_its_shape() {
        let gate = |odd| times(Tree::X, times(Tree::number(0.5), plus(odd, Tree::number(1.0))));
        let half = |tree| Tree::binary(Binary::Div, tree, Tree::number(std::f32::consts::SQRT_2));
        let exact = gate(Tree::unary(Unary::Erf, half(Tree::X)));
        assert_eq!(recognised(&exact), Some(layers::Gelu { tanh: false }.into()));
        let root = Tree::unary(Unary::Sqrt, plus(times(Tree::X, Tree::X), Tree::number(2.0)));
        assert_eq!(recognised(&gate(Tree::binary(Binary::Div, Tree::X, root))), None);
        assert_eq!(recognised(&gate(Tree::unary(Unary::Erf, Tree::X))), None);
    }

    #[test]
    fn straight_lines_are_found() {
        let line = Tree::binary(Binary::Div, plus(Tree::X, Tree::number(3.0)), Tree::number(2.0));
        assert_eq!(line.line(), Some([0.5, 1.5]));
        assert_eq!(Tree::unary(Unary::Abs, Tree::X).line(), None);
    }
}
