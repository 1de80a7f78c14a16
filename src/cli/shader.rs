//! `striate shader`: the WGSL modules that a GPU compiles, without a GPU.

use super::Context;
use super::recipe::MOST_ROWS;
use crate::error::{Error, Result};
use crate::gpu::Schedule;
use crate::gpu::kernels::{GemmKernel, Limits, Shader, kernels};
use crate::model::{BuildOptions, Model, Spec};
use crate::program::Span;
use crate::verify::cases::{alexnet_cases, cases};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Value, json};
use std::collections::HashSet;

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  striate shader\n  striate shader --op conv2d_forward --tile 64x128x16 > conv2d_forward.wgsl\n  \
                  striate shader -m alexnet -b 128 --op conv2d_forward/128x128x8/vec4"
)]
pub(crate) struct ShaderArgs {
    /// Print the module of an operator, or the one with this label [default: list all labels]
    #[arg(long, value_name = "OP|LABEL")]
    op: Option<String>,
    /// Take the kernels and their constants from the training step of a network [default: the cases of selftest]
    #[arg(short, long, value_name = "NAME|FILE")]
    model: Option<String>,
    /// Set the number of samples per step [default: the recipe's; without a model 1]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ROWS))]
    batch_size: Option<u32>,
    /// Multiply matrices with this kernel
    #[arg(long, value_name = "TILE", default_value = "shared", value_parser = tile())]
    tile: GemmKernel,
}

/// The names of `--tile`.
fn tile() -> impl TypedValueParser<Value = GemmKernel> {
    PossibleValuesParser::new(GemmKernel::all().map(GemmKernel::name))
        .try_map(|name| name.parse::<GemmKernel>())
}

/// A module and the first dispatch that needs it.
struct Module {
    shader: Shader,
    constants: Vec<(&'static str, f64)>,
    /// The operators that the dispatch computes, joined by `+`.
    op: String,
    /// The layer or the case.
    layer: String,
}

impl Module {
    fn computes(&self, op: &str) -> bool {
        self.op.split('+').any(|name| name == op)
    }

    /// The module with a comment before each part.
    fn text(&self) -> String {
        let constants: Vec<String> =
            self.constants.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        let mut text = format!("// {}, for {} of {}\n", self.shader.label(), self.op, self.layer);
        text += &format!("// overrides:{}\n", constants.concat());
        for part in self.shader.parts() {
            text += &format!("\n// ---- {}\n{}", part.name, part.text);
        }
        text
    }

    fn describe(&self, with_source: bool) -> Value {
        let parts: Vec<Value> = self
            .shader
            .parts()
            .iter()
            .map(|part| match with_source {
                true => json!({ "name": part.name, "text": part.text }),
                false => json!({ "name": part.name }),
            })
            .collect();
        let constants: serde_json::Map<String, Value> =
            self.constants.iter().map(|&(name, value)| (name.to_string(), value.into())).collect();
        json!({
            "label": self.shader.label(),
            "op": self.op,
            "layer": self.layer,
            "overrides": constants,
            "parts": parts,
        })
    }
}

pub(super) fn run(args: &ShaderArgs, context: &Context) -> Result<u8> {
    let limits = Limits { kernel: args.tile, ..Limits::default() };
    let all = match &args.model {
        Some(model) => of_model(model, args.batch_size, &limits)?,
        None => of_cases(args.batch_size.map_or(1, |n| n as usize), &limits)?,
    };
    let found = match &args.op {
        Some(op) => matching(&all, op)?,
        None => all.iter().collect(),
    };
    let (out, single) = (&context.out, args.op.is_some());
    if out.is_json() {
        let modules: Vec<Value> = found.iter().map(|module| module.describe(single)).collect();
        out.json(&json!({ "modules": modules }))?;
        return Ok(0);
    }
    if !single {
        for module in found {
            out.line(&format!("{:<56} {} of {}", module.shader.label(), module.op, module.layer))?;
        }
        return Ok(0);
    }
    let Some((first, others)) = found.split_first() else {
        return Err(Error::Internal("no module".into()));
    };
    out.line(first.text().trim_end())?;
    if !others.is_empty() {
        let labels: Vec<String> = others.iter().map(|module| module.shader.label()).collect();
        out.note(&format!("other modules of this operator: {}", labels.join(", ")));
    }
    Ok(0)
}

/// The modules of a training step and an evaluation of a network, each once.
fn of_model(model: &str, batch: Option<u32>, limits: &Limits) -> Result<Vec<Module>> {
    let spec = Spec::load(model)?;
    let batch = batch.map_or(spec.recipe.batch_size, |n| n as usize);
    let model = Model::build(&spec, &BuildOptions::for_recipe(&spec.recipe, batch))?;
    let schedule = Schedule::new(&model.program, limits)?;
    let (mut modules, mut seen) = (Vec::new(), HashSet::new());
    for task in [Span::Train, Span::Forward].into_iter().flat_map(|span| schedule.steps(span)) {
        for launch in task.dispatches.iter().filter(|launch| seen.insert(launch.shader)) {
            let (op, layer) = (task.workload.kind.clone(), task.workload.label.clone());
            modules.push(Module { shader: launch.shader, constants: launch.constants.clone(), op, layer });
        }
    }
    Ok(modules)
}

/// The modules of every operator at AlexNet's geometries and those of the self-test, each once.
fn of_cases(batch: usize, limits: &Limits) -> Result<Vec<Module>> {
    let (mut modules, mut seen) = (Vec::new(), HashSet::new());
    for case in alexnet_cases(batch).into_iter().chain(cases()) {
        for dispatch in kernels(&case.op, limits)?.dispatches {
            if seen.insert(dispatch.shader) {
                let (op, layer) = (case.op.name().to_string(), case.name.clone());
                modules.push(Module { shader: dispatch.shader, constants: dispatch.constants, op, layer });
            }
        }
    }
    Ok(modules)
}

/// The modules with the label `op`; else those whose kernel has that name; else those that compute that operator.
fn matching<'a>(all: &'a [Module], op: &str) -> Result<Vec<&'a Module>> {
    let select =
        |test: &dyn Fn(&Module) -> bool| all.iter().filter(|module| test(module)).collect::<Vec<_>>();
    let candidates = [
        select(&|module| module.shader.label() == op),
        select(&|module| module.shader.name == op),
        select(&|module| module.computes(op)),
    ];
    candidates.into_iter().find(|found| !found.is_empty()).ok_or_else(|| {
        let labels = all.iter().flat_map(|module| [module.shader.label(), module.shader.name.to_string()]);
        let operators = all.iter().flat_map(|module| module.op.split('+').map(str::to_string));
        let likeness = |name: &String| strsim::jaro_winkler(name, op);
        let nearest = labels.chain(operators).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        Error::Usage(format!(
            "--op: expected an operator or a label, found \"{op}\" (did you mean \"{}\"? striate shader lists all labels)",
            nearest.unwrap_or_default()
        ))
    })
}
