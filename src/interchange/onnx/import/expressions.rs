//! Activations that a file writes as several nodes: arithmetic on one value, such as x * relu6(x + 3) / 6 for hard_swish. The
//! nodes are collected as a formula, and a formula that agrees with an operator at many points becomes that operator.

use super::activations;
use super::draft::{Call, GraphValue, NetworkDraft};
use super::formula::{Binary, Tree, Unary, recognised, tree_of};
use super::{linear, normalisation, products};

/// Most parts of a formula; the longest known one, gelu by tanh, has about twenty.
const LONGEST: usize = 100;

/// How many layers above a value a formula may start.
const DEEPEST: usize = 4;

/// A formula of the output of one layer (`None`: the network's input), element by element.
#[derive(Clone, Debug)]
pub struct Expression {
    from: Option<usize>,
    /// Shape without the batch.
    pub dims: Vec<usize>,
    tree: Tree,
}

/// The formulas that a value is: of itself, and of the layers above it.
fn formulas(draft: &NetworkDraft<'_>, value: &GraphValue<'_>) -> Vec<(Option<usize>, Tree)> {
    let mut found = match value {
        GraphValue::Layer { from, .. } => vec![(*from, Tree::X)],
        GraphValue::Expression(Expression { from, tree, .. }) => vec![(*from, tree.clone())],
        GraphValue::PartialLrn(response) => match normalisation::squared(response) {
            Some(from) => vec![(from, Tree::binary(Binary::Mul, Tree::X, Tree::X))],
            None => vec![],
        },
        _ => vec![],
    };
    while let Some((Some(layer), tree)) = found.last().cloned().filter(|_| found.len() < DEEPEST) {
        let layer = &draft.layers[layer];
        let (Some(inner), &[from]) = (tree_of(&layer.op), layer.inputs.as_slice()) else { break };
        found.push((from, tree.of(&inner)));
    }
    found
}

/// The formula of a value itself.
fn formula(draft: &NetworkDraft<'_>, value: &GraphValue<'_>) -> Result<(Option<usize>, Tree), String> {
    formulas(draft, value).into_iter().next().ok_or_else(|| "expected a layer's output".into())
}

/// The operator of a node with two inputs.
fn binary(op_type: &str) -> Option<Binary> {
    Some(match op_type {
        "Add" => Binary::Add,
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        "Div" => Binary::Div,
        "Pow" => Binary::Pow,
        "Min" => Binary::Min,
        "Max" => Binary::Max,
        _ => return None,
    })
}

/// Operators of one input that exist in formulas alone, and those that are layers, too.
const ONLY_IN_FORMULAS: [&str; 8] = ["Abs", "Erf", "Exp", "Log", "Neg", "Reciprocal", "Softplus", "Sqrt"];
const IN_FORMULAS: [&str; 6] = ["Clip", "HardSigmoid", "LeakyRelu", "Relu", "Sigmoid", "Tanh"];

/// True if an operator occurs in formulas alone.
pub(super) fn is_known(op_type: &str) -> bool {
    ONLY_IN_FORMULAS.contains(&op_type) || ["Div", "Pow", "Min", "Max"].contains(&op_type)
}

/// True if `call` begins or continues a formula.
pub(super) fn is_step<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<bool, String> {
    let node = call.node;
    let op = node.op_type.as_str();
    let Some(first) = draft.value(node, 0)? else { return Ok(false) };
    let is_formula = |value: &GraphValue<'_>| matches!(value, GraphValue::Expression(_));
    let is_layer = |value: &GraphValue<'_>| matches!(value, GraphValue::Layer { .. });
    if binary(op).is_none() {
        let continues = is_formula(first) && (IN_FORMULAS.contains(&op) || ONLY_IN_FORMULAS.contains(&op));
        return Ok(continues || (is_layer(first) && ONLY_IN_FORMULAS.contains(&op)));
    }
    if node.input.len() != 2 {
        return Ok(false);
    }
    let Some(second) = draft.value(node, 1)? else { return Ok(false) };
    let is_either = |value: &GraphValue<'_>| is_formula(value) || is_layer(value);
    let (first, second) = (first.clone(), second.clone());
    Ok(match (&first, &second) {
        (GraphValue::Constant(number), value) | (value, GraphValue::Constant(number)) => {
            let dims = match value {
                GraphValue::Layer { dims, .. } | GraphValue::Expression(Expression { dims, .. }) => dims,
                _ => return Ok(false),
            };
            let shape = draft.constants.dims(*number)?;
            let is_number = shape.iter().all(|&d| d == 1) && shape.len() <= dims.len() + 1;
            // x^2 begins a local response normalisation.
            let is_square = op == "Pow" && is_number && draft.constants.scalar(*number)? == 2.0;
            is_number && !(is_square && is_layer(value))
        }
        (GraphValue::PartialLrn(response), GraphValue::Layer { from, .. })
        | (GraphValue::Layer { from, .. }, GraphValue::PartialLrn(response)) => {
            op == "Mul" && normalisation::squared(response) == Some(*from)
        }
        (a, b) if is_either(a) && is_either(b) => {
            let has_formula = is_formula(a) || is_formula(b);
            let is_activation = matches!(op, "Mul" | "Div" | "Min" | "Max") && shared(draft, a, b).is_some();
            (has_formula && shared(draft, a, b).is_some()) || (is_activation && !same(a, b))
        }
        _ => false,
    })
}

/// True if both are the output of one layer.
fn same(a: &GraphValue<'_>, b: &GraphValue<'_>) -> bool {
    matches!((a, b), (GraphValue::Layer { from: a, .. }, GraphValue::Layer { from: b, .. }) if a == b)
}

/// The formulas of two values of the same layer, the lowest such layer.
fn shared(
    draft: &NetworkDraft<'_>,
    a: &GraphValue<'_>,
    b: &GraphValue<'_>,
) -> Option<(Option<usize>, Tree, Tree)> {
    let others = formulas(draft, b);
    formulas(draft, a).into_iter().find_map(|(from, tree)| {
        let (_, other) = others.iter().find(|(other, _)| *other == from)?;
        Some((from, tree, other.clone()))
    })
}

/// Translates a node of a formula: to a layer if the formula is an operator by now, else to a longer formula.
pub(super) fn step<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    let first = draft.value(node, 0)?.cloned().ok_or("expected an input, found none")?;
    let (from, dims, tree) = match binary(&node.op_type) {
        None => {
            let (from, tree) = formula(draft, &first)?;
            (from, shape(&first), Tree::unary(unary(draft, call)?, tree))
        }
        Some(op) => {
            let second = draft.value(node, 1)?.cloned().ok_or("expected two inputs, found one")?;
            match (&first, &second) {
                (GraphValue::Constant(number), value) | (value, GraphValue::Constant(number)) => {
                    let number = Tree::number(draft.constants.scalar(*number)?);
                    let (from, tree) = formula(draft, value)?;
                    let is_first = matches!(first, GraphValue::Constant(_));
                    let tree = match is_first {
                        true => Tree::binary(op, number, tree),
                        false => Tree::binary(op, tree, number),
                    };
                    (from, shape(value), tree)
                }
                (a, b) => {
                    let (from, a, b) = shared(draft, a, b).ok_or("expected two values of one layer")?;
                    (from, shape(&first), Tree::binary(op, a, b))
                }
            }
        }
    };
    if tree.len() > LONGEST {
        return Err(format!("expected a formula of at most {LONGEST} nodes"));
    }
    if let Some(op) = recognised(&tree) {
        return draft.push(node, op, vec![from], &[&dims]).map(|_| ());
    }
    // A product of two layers that is no activation is a layer by itself.
    let is_layer = |value: Option<&GraphValue<'_>>| matches!(value, Some(GraphValue::Layer { .. }));
    if node.op_type == "Mul" && is_layer(Some(&first)) && is_layer(draft.value(node, 1)?) {
        return products::mul(draft, call);
    }
    draft.alias(node, GraphValue::Expression(Expression { from, dims, tree }));
    Ok(())
}

fn shape(value: &GraphValue<'_>) -> Vec<usize> {
    match value {
        GraphValue::Layer { dims, .. } | GraphValue::Expression(Expression { dims, .. }) => dims.clone(),
        GraphValue::PartialLrn(response) => normalisation::dims(response),
        _ => Vec::new(),
    }
}

/// The function of a node with one input.
fn unary<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<Unary, String> {
    let a = &call.attributes;
    Ok(match call.node.op_type.as_str() {
        "Abs" => Unary::Abs,
        "Clip" => {
            let (min, max) = activations::limits(draft, call)?;
            Unary::Clip(f64::from(min), f64::from(max))
        }
        "Erf" => Unary::Erf,
        "Exp" => Unary::Exp,
        "HardSigmoid" => {
            Unary::HardSigmoid(f64::from(a.float("alpha", 0.2)?), f64::from(a.float("beta", 0.5)?))
        }
        "LeakyRelu" => Unary::LeakyRelu(f64::from(a.float("alpha", 0.01)?)),
        "Log" => Unary::Log,
        "Neg" => Unary::Neg,
        "Reciprocal" => Unary::Reciprocal,
        "Relu" => Unary::Clip(0.0, f64::INFINITY),
        "Sigmoid" => Unary::Sigmoid,
        "Softplus" => Unary::Softplus,
        "Sqrt" => Unary::Sqrt,
        "Tanh" => Unary::Tanh,
        other => return Err(format!("{other} is not supported in a formula")),
    })
}

/// Makes layers of the formulas among the values `names`, which a node other than the next step of a formula reads.
pub(super) fn settle<'a>(draft: &mut NetworkDraft<'a>, names: &'a [String]) -> Result<(), String> {
    names.iter().try_for_each(|name| settle_one(draft, name))
}

/// Makes a layer of the value `name` if it is a formula.
pub(super) fn settle_one<'a>(draft: &mut NetworkDraft<'a>, name: &'a str) -> Result<(), String> {
    let Some(GraphValue::Expression(expression)) = draft.values.get(name).cloned() else { return Ok(()) };
    let line = expression.tree.line();
    let [factor, offset] =
        line.ok_or("reads arithmetic on a layer's output that is no operator of Striate")?;
    linear::fixed_line(draft, name, expression.from, &expression.dims, [factor as f32, offset as f32])
}
