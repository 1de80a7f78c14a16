//! `striate models`: the built-in networks.

use super::Context;
use crate::error::Result;
use crate::model::{BuildOptions, Model, Spec};
use clap::Args;
use serde_json::json;

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  striate models\n  striate summary -m resnet18\n  striate train -m resnet18 --data-path photos"
)]
pub(crate) struct ModelsArgs {}

pub(super) fn run(_args: &ModelsArgs, context: &Context) -> Result<u8> {
    let mut lines = Vec::new();
    let mut objects = Vec::new();
    for name in Spec::builtin_names() {
        let spec = Spec::load(name)?;
        let model = Model::build(&spec, &BuildOptions { training: false, ..BuildOptions::new(1) })?;
        let parameters: usize = model.parameters.iter().map(|parameter| parameter.shape.len()).sum();
        let [channels, height, width] = spec.input;
        let input = format!("{channels}x{height}x{width}");
        lines.push(format!("{name:<18}  {input:<9}  {parameters:>10}  {}", spec.about()));
        objects.push(json!({
            "name": name,
            "input": spec.input,
            "outputs": model.classes,
            "parameters": parameters,
            "about": spec.about(),
        }));
    }
    if context.out.is_json() {
        context.out.json(&json!({"event": "models", "models": objects}))?;
        return Ok(0);
    }
    context.out.line(&format!("{:<18}  {:<9}  {:>10}  about", "model", "input", "parameters"))?;
    lines.iter().try_for_each(|line| context.out.line(line))?;
    context
        .out
        .note("train one with `striate train -m NAME`; a file (-m FILE.toml) describes any other network");
    Ok(0)
}
