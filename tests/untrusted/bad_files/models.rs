//! Bad model files: values of the wrong kind, keys that are missing or there twice, texts that are cut, and blocks that ask for
//! more than any network has.

use super::data::{Format, bad};
use crate::lies::cuts;
use crate::sound::seed;
use std::path::Path;
use striate::error::Result;
use striate::model::{BuildOptions, Model, Spec};

/// What any value may be replaced by.
const VALUES: [&str; 15] = [
    "",
    "0",
    "-1",
    "65",
    "4294967296",
    "18446744073709551616",
    "1e400",
    "nan",
    "\"no such word\"",
    "[]",
    "[[]]",
    "{}",
    "'",
    "[0, -1]",
    "2026-01-01",
];

/// The text with a lie in each of its lines `key = value`, and cut.
fn lies(sound: &str) -> Vec<(String, Vec<u8>)> {
    let mut lies = Vec::new();
    let lines: Vec<&str> = sound.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        let with = |new: &str| {
            let mut lines = lines.clone();
            lines[number] = new;
            lines.join("\n").into_bytes()
        };
        let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else { continue };
        for value in VALUES {
            lies.push((format!("line {number}: {key} as {value}"), with(&format!("{key} = {value}"))));
        }
        lies.push((format!("line {number} twice"), with(&format!("{line}\n{line}"))));
        lies.push((format!("without line {number}"), with("")));
        lies.push((format!("line {number}: unknown key"), with(&format!("{key}x = 1"))));
        lies.push((format!("line {number}: no key"), with(" = 1")));
    }
    lies.extend(cuts(sound.as_bytes(), (0..sound.len()).step_by(7)));
    lies
}

/// A network of the layers `layers` and of blocks, each of a name and its layers.
fn of_blocks(layers: &str, blocks: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("name = \"t\"\ninput = [2, 4, 4]\nlayer = [{layers}]\n");
    for (name, layers) in blocks {
        text += &format!("[[block]]\nname = \"{name}\"\n{layers}\n");
    }
    text.into_bytes()
}

/// Texts with blocks of which none is a network.
fn blocks() -> Vec<(String, Vec<u8>)> {
    let relu = "layer = [{ op = \"relu\" }]";
    let mut texts = Vec::new();
    for repeat in ["0", "1001", "4294967295", "4294967296", "-1", "1.5", "\"2\"", "[2]"] {
        let layers = format!("{{ block = \"b\", repeat = {repeat} }}, {{ op = \"flatten\" }}");
        texts.push((format!("repeat = {repeat}"), of_blocks(&layers, &[("b", relu)])));
    }
    let nested = |depth: usize, repeat: usize| {
        let names: Vec<String> = (0..depth).map(|number| format!("b{number}")).collect();
        let uses: Vec<String> = (0..depth)
            .map(|number| match number.checked_sub(1) {
                None => relu.to_string(),
                Some(below) => format!("layer = [{{ block = \"b{below}\", repeat = {repeat} }}]"),
            })
            .collect();
        let blocks: Vec<_> = names.iter().map(String::as_str).zip(uses.iter().map(String::as_str)).collect();
        of_blocks(&format!("{{ block = \"b{}\", repeat = {repeat} }}", depth - 1), &blocks)
    };
    texts.push(("blocks that repeat blocks 1000 times".into(), nested(8, 1000)));
    texts.push(("blocks that repeat blocks twice".into(), nested(60, 2)));
    texts.push(("a thousand blocks within blocks".into(), nested(1000, 1)));
    texts.push(("more than a thousand blocks".into(), nested(1001, 1)));
    let own = "layer = [{ block = \"b\" }]";
    let twice = "layer = [{ block = \"b\", repeat = 1000 }, { block = \"b\", repeat = 1000 }]";
    let left_out = "defaults = { on = false }\nlayer = [{ if = \"{on}\", block = \"a\", repeat = 1000 }]";
    let other = [("a", "layer = [{ block = \"b\" }]"), ("b", "layer = [{ block = \"a\" }]")];
    let parameter = [("b", "parameters = [\"p\"]\nlayer = [{ op = \"dropout\", p = \"{p}\" }]")];
    let of =
        |what: &str, layers: &str, blocks: &[(&str, &str)]| (what.to_string(), of_blocks(layers, blocks));
    texts.extend([
        of("a block of itself", "{ block = \"b\" }", &[("b", own)]),
        of("a block of itself many times", "{ block = \"b\", repeat = 1000 }", &[("b", twice)]),
        of("blocks of each other", "{ block = \"b\" }", &other),
        of("an empty block", "{ block = \"b\" }", &[("b", "layer = []")]),
        of("a block without layers", "{ block = \"b\" }", &[("b", "")]),
        of("a block that is not there", "{ block = \"c\" }", &[("b", relu)]),
        of("a block that is not used", "{ op = \"flatten\" }", &[("b", relu)]),
        of("two blocks of one name", "{ block = \"b\" }", &[("b", relu), ("b", relu)]),
        of("a block and an operator", "{ block = \"b\", op = \"relu\" }", &[("b", relu)]),
        of("a parameter that is missing", "{ block = \"b\" }", &parameter),
        of("a parameter that is none", "{ block = \"b\", q = 1 }", &[("b", relu)]),
        of("a parameter of another kind", "{ block = \"b\", p = [[], {}] }", &parameter),
        of("a parameter in itself", "{ block = \"b\", p = \"{p}\" }", &parameter),
        of(
            "an operator that is a parameter in itself",
            "{ block = \"b\", p = \"{p}\" }",
            &[("b", "parameters = [\"p\"]\nlayer = [{ op = \"{p}\" }]")],
        ),
        of("too few of each", "{ block = \"b\", repeat = 3, each = { p = [0.1] } }", &parameter),
        of("first without repeat", "{ block = \"b\", first = { p = 0.1 } }", &parameter),
        of(
            "blocks of nothing",
            "{ block = \"c\" }",
            &[("a", relu), ("b", left_out), ("c", "layer = [{ block = \"b\", repeat = 1000 }]")],
        ),
        of("a text for a block", "{ block = \"b\" }\n]\nblock = [\"b\"", &[]),
    ]);
    let list = vec!["1"; 100_000].join(", ");
    let layer = "layer = [{ op = \"conv2d\", out_channels = 1, kernel = 1, init = { weight = \"{w}\" } }]";
    let wide = format!("{{ block = \"b\", repeat = 1000, w = [{list}] }}");
    texts.push(of("a long list 1000 times", &wide, &[("b", &format!("parameters = [\"w\"]\n{layer}"))]));
    let name = "{w}".repeat(60);
    let long = format!("parameters = [\"w\"]\nlayer = [{{ name = \"{name}\", op = \"relu\" }}]");
    texts.push(of(
        "a name of names",
        &format!("{{ block = \"b\", w = \"{}\" }}", "n".repeat(200)),
        &[("b", &long)],
    ));
    let many: Vec<String> = (0..65).map(|number| format!("p{number} = 1")).collect();
    let many = format!("defaults = {{ {} }}\n{relu}", many.join(", "));
    texts.push(of("many parameters", "{ block = \"b\" }", &[("b", &many)]));
    texts
}

fn read(path: &Path) -> Result<()> {
    Model::build(&Spec::load(path.to_str().unwrap())?, &BuildOptions::new(2)).map(drop)
}

pub fn models() -> Vec<Format> {
    let mut texts = Vec::new();
    for name in ["residual.toml", "operators.toml"] {
        let sound = String::from_utf8(seed("model", name)).unwrap();
        texts.extend(lies(&sound).into_iter().map(|(what, lie)| (format!("{name}: {what}"), lie)));
    }
    texts.push(("not Unicode".into(), b"name = \"\xff\"\n".to_vec()));
    texts.push(("deep".into(), format!("input = {}", "[".repeat(100_000)).into_bytes()));
    texts.push(("deep tables".into(), format!("a = {}", "{b=".repeat(100_000)).into_bytes()));
    texts.push(("deep keys".into(), format!("{}c = 1", "a.".repeat(100_000)).into_bytes()));
    let format = |name, texts, forgiving| Format {
        name,
        file: "m.toml",
        beside: Vec::new(),
        bad: bad(texts),
        forgiving,
        read,
        arguments: &["train", "-q", "--device", "cpu", "--dataset", "synthetic", "-m", "m.toml"],
    };
    vec![format("model file", texts, true), format("model file of blocks", blocks(), false)]
}
