//! Arrows only point down: reads every source file's paths and fails on a forbidden edge, a crate named where it does
//! not belong, a clock, thread or file where there may be none, or a file that is too long.

mod layers;

use layers::{ACYCLIC, CRATES, EDGES, EXCEPTIONS, IMPURE, INFERENCE, LINES, PURE, TRAINING};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// `source` without comments, the contents of strings, and the tests at its end.
fn code(source: &str) -> String {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut code = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("'\"'") {
            3
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            raw.find("\"#").map_or(rest.len(), |end| end + 5)
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |end| end + 2)
        } else {
            code.push(first);
            first.len_utf8()
        };
        if skip > first.len_utf8() {
            code.push(' ');
        }
        rest = &rest[skip..];
    }
    code
}

/// Identifiers, `::`, and single other characters.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_word = false;
    for c in code.chars() {
        let word = c.is_alphanumeric() || c == '_';
        match tokens.last_mut() {
            Some(last) if word && in_word => last.push(c),
            Some(last) if c == ':' && last == ":" => last.push(c),
            _ if c.is_whitespace() => {}
            _ => tokens.push(c.to_string()),
        }
        in_word = word;
    }
    tokens
}

/// Reads one path, or one tree of a `use`, that starts at `at`; answers where it ends.
fn path(tokens: &[String], mut at: usize, prefix: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while at < tokens.len() && tokens[at] != "}" {
                    at = if tokens[at] == "," { at + 1 } else { self::path(tokens, at, &path, paths) };
                }
                return at + 1;
            }
            Some(word) => path.push(word.to_string()),
            None => break,
        }
        at += 1;
        if tokens.get(at).is_none_or(|token| token != "::") {
            break;
        }
        at += 1;
    }
    // An alias names nothing new.
    if tokens.get(at).is_some_and(|token| token == "as") {
        at += 2;
    }
    paths.push(path);
    at
}

/// All paths of a file, as lists of segments, trees of `use` taken apart.
fn paths(source: &str) -> Vec<Vec<String>> {
    let tokens = tokens(&code(source));
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let word = tokens[at].chars().all(|c| c.is_alphanumeric() || c == '_');
        let starts = word && tokens.get(at + 1).is_some_and(|token| token == "::");
        let named = at > 0 && tokens[at - 1] == "use";
        at = if starts || named { path(&tokens, at, &[], &mut paths) } else { at + 1 };
    }
    paths
}

/// What is wrong with the file at `file` (relative to `src`).
fn faults(file: &Path, source: &str) -> Vec<String> {
    let parts: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    // The program (`main.rs` and its own module) is the thin end of `cli`; `lib.rs` only lists the modules.
    let module = match parts[0].as_str() {
        "main" | "headless" => "cli",
        "lib" => return Vec::new(),
        module => module,
    };
    let known: Vec<&str> = EDGES.iter().map(|edge| edge.0).chain(["cli"]).collect();
    let mut faults = BTreeSet::new();
    if !known.contains(&module) {
        faults.insert(format!("module {module} has no line in the table of layers"));
    }
    let allowed = EDGES.iter().find(|edge| edge.0 == module).map(|edge| edge.1);
    // How many `super` lead to the root of the crate.
    let depth = parts.iter().filter(|part| *part != "mod").count();
    for path in paths(source) {
        let supers = path.iter().take_while(|segment| *segment == "super").count();
        let within = match path[0].as_str() {
            "crate" | "striate" => path.get(1),
            "super" if supers >= depth => path.get(supers),
            _ => None,
        };
        if let (Some(target), Some(allowed)) = (within, allowed) {
            let target = target.as_str();
            if known.contains(&target) && target != module && !allowed.contains(&target) {
                faults.insert(format!("{module} may not use {target}"));
            }
        }
        // `main.rs` sees the crate from outside, as its users do.
        if within.is_some_and(|target| target.starts_with(char::is_uppercase)) && parts[0] != "main" {
            let name = within.map_or("", String::as_str);
            faults.insert(format!("{module} may not use {name} by its name at the root of the crate"));
        }
        if within.is_some_and(|target| TRAINING.contains(&target.as_str()))
            && INFERENCE
                .iter()
                .any(|part| file.starts_with(part) || file == Path::new(part).with_extension("rs"))
        {
            faults.insert("what only runs a network may not use what trains one".into());
        }
        for (name, places) in CRATES {
            if path[0] == name && !places.contains(&module) {
                faults.insert(format!("{module} may not name {name}"));
            }
        }
        // A model may be read from a file, which is `Spec::load`'s business alone.
        let pure = PURE.contains(&module) || (module == "model" && !parts[1].starts_with("spec"));
        for forbidden in IMPURE.iter().filter(|_| pure) {
            if EXCEPTIONS.iter().any(|(name, excepted)| file == Path::new(name) && excepted == forbidden) {
                continue;
            }
            if path.len() >= forbidden.len() && path.iter().zip(*forbidden).all(|(a, b)| a == b) {
                faults.insert(format!("{module} may not use {}", forbidden.join("::")));
            }
        }
    }
    faults.into_iter().map(|fault| format!("src/{}: {fault}", file.display())).collect()
}

/// The module of a file relative to `src`, without `mod`.
fn module(file: &Path) -> Vec<String> {
    let parts = file.with_extension("");
    parts.iter().map(|part| part.to_string_lossy().into_owned()).filter(|part| part != "mod").collect()
}

/// Which other modules among `modules` each of them uses through `super` or `crate`. A file that only lists its children
/// (`mod x; pub use x::Y;`) does not use them.
fn uses(modules: &[(Vec<String>, String)]) -> Vec<Vec<usize>> {
    let place =
        |path: &[String]| (1..=path.len()).rev().find_map(|n| modules.iter().position(|m| m.0 == path[..n]));
    let of = |(module, source): &(Vec<String>, String)| {
        let resolved = paths(source).into_iter().filter_map(|path| {
            let supers = path.iter().take_while(|segment| *segment == "super").count();
            match path[0].as_str() {
                "crate" => Some(path[1..].to_vec()),
                "super" => Some([&module[..module.len().checked_sub(supers)?], &path[supers..]].concat()),
                _ => None,
            }
        });
        let targets: BTreeSet<usize> = resolved.filter_map(|path| place(&path)).collect();
        targets.into_iter().filter(|&target| modules[target].0 != *module).collect()
    };
    modules.iter().map(of).collect()
}

/// The modules that can reach themselves.
fn circles(modules: &[(Vec<String>, String)]) -> Vec<String> {
    let uses = uses(modules);
    let reaches_itself = |start: usize| {
        let (mut seen, mut left) = (BTreeSet::new(), uses[start].clone());
        while let Some(at) = left.pop() {
            if seen.insert(at) {
                left.extend(&uses[at]);
            }
        }
        seen.contains(&start)
    };
    (0..modules.len()).filter(|&start| reaches_itself(start)).map(|at| modules[at].0.join("::")).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder`, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            // What cargo has built (of `benches/peers/burn`) is not our source.
            match path.is_dir() {
                true if entry.file_name() == "target" => {}
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn arrows_only_point_down() {
    let src = root().join("src");
    let mut all = Vec::new();
    let mut seen = 0;
    for file in files(&src) {
        let source = fs::read_to_string(&file).expect("a readable source file");
        all.extend(faults(file.strip_prefix(&src).expect("below src"), &source));
        seen += paths(&source).len();
    }
    assert!(seen > 500, "only {seen} paths were understood");
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn modules_of_a_layer_do_not_use_each_other_in_a_circle() {
    let src = root().join("src");
    for layer in ACYCLIC {
        let read = |file: PathBuf| {
            let source = fs::read_to_string(&file).expect("a readable source file");
            (module(file.strip_prefix(&src).expect("below src")), source)
        };
        let modules: Vec<_> = files(&src.join(layer)).into_iter().map(read).collect();
        assert!(
            uses(&modules).iter().map(Vec::len).sum::<usize>() > modules.len(),
            "{layer}: uses are not understood"
        );
        assert_eq!(circles(&modules), [""; 0], "{layer}");
    }
    let of = |sources: &[(&str, &str)]| {
        let modules: Vec<_> =
            sources.iter().map(|(file, source)| (module(Path::new(file)), source.to_string())).collect();
        circles(&modules)
    };
    let [a, b] = [("data/a.rs", "use super::b::{self, B};"), ("data/b.rs", "use crate::data::c::d::D;")];
    assert_eq!(of(&[a, b, ("data/c/d.rs", "use super::super::a;")]), ["data::a", "data::b", "data::c::d"]);
    assert_eq!(of(&[a, b, ("data/c/d.rs", "// super::super::a\nuse crate::error::Error;")]), [""; 0]);
}

#[test]
fn no_file_is_too_long() {
    let mut long = Vec::new();
    let folders = ["src", "shaders", "tests", "benches", "examples"].map(|folder| root().join(folder));
    for file in folders.iter().flat_map(|folder| files(folder)) {
        let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if ["rs", "wgsl"].contains(&extension) {
            let lines = fs::read_to_string(&file).expect("a readable source file").lines().count();
            if lines > LINES {
                long.push(format!("{} has {lines} lines, at most {LINES} are allowed", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn forbidden_edges_are_found_however_they_are_written() {
    let wrong = [
        ("cpu/conv2d.rs", "use crate::gpu::Gpu;", "cpu may not use gpu"),
        ("cpu/conv2d.rs", "use crate::{error::Result, gpu::{self, Gpu}};", "cpu may not use gpu"),
        ("ops/mod.rs", "fn f() -> crate::program::Span { todo() }", "ops may not use program"),
        ("ops/conv2d.rs", "use super::super::model::Spec;", "ops may not use model"),
        ("ops/mod.rs", "use super::model;", "ops may not use model"),
        ("verify/oracle/conv2d.rs", "use crate::cpu;", "verify may not use cpu"),
        (
            "train/mod.rs",
            "pub use crate::{\n    data::Loader,\n    gpu as device,\n};",
            "train may not use gpu",
        ),
        ("program/mod.rs", "use rayon::prelude::*;", "program may not name rayon"),
        ("cpu/mod.rs", "fn f(x: wgpu::Buffer) {}", "cpu may not name wgpu"),
        ("gpu/mod.rs", "use pulp;", "gpu may not name pulp"),
        ("train/mod.rs", "use anyhow::Context;", "train may not name anyhow"),
        ("gpu/mod.rs", "use std::{fmt, time::{Duration, Instant}};", "gpu may not use std::time::Instant"),
        ("gpu/pipeline.rs", "use std::thread;", "gpu may not use std::thread"),
        ("gpu/threads.rs", "use std::fs;", "gpu may not use std::fs"),
        ("random.rs", "fn f() { std::thread::yield_now() }", "random may not use std::thread"),
        ("model/init.rs", "use std::fs;", "model may not use std::fs"),
        ("inference/evaluate.rs", "use crate::train::Options;", "inference may not use train"),
        (
            "cli/eval/mod.rs",
            "use crate::train::Options;",
            "what only runs a network may not use what trains one",
        ),
        ("cli/trace.rs", "use crate::run;", "what only runs a network may not use what trains one"),
        (
            "cpu/mod.rs",
            "use crate::{Result, ops::Op};",
            "cpu may not use Result by its name at the root of the crate",
        ),
        (
            "cli/eval.rs",
            "fn f() -> crate::Device {}",
            "cli may not use Device by its name at the root of the crate",
        ),
        ("charts/mod.rs", "", "module charts has no line in the table of layers"),
    ];
    for (file, source, fault) in wrong {
        assert_eq!(faults(Path::new(file), source), [format!("src/{file}: {fault}")], "{source}");
    }
}

#[test]
fn allowed_edges_comments_strings_and_tests_are_left_alone() {
    let right = [
        ("cpu/conv2d.rs", "//! Not like crate::gpu, nor wgpu::Buffer.\nuse crate::ops::Conv2d;"),
        ("cpu/conv2d.rs", "use super::super::program::Span; use super::parallel;"),
        ("cpu/conv2d.rs", "const X: &str = \"crate::gpu \\\" wgpu::Buffer\"; /* crate::gpu */"),
        ("cpu/conv2d.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::verify::oracle;\n}"),
        ("gpu/threads.rs", "use std::thread;"),
        ("gpu/device.rs", "use std::time::Duration; use wgpu::{Adapter, Device};"),
        ("model/spec.rs", "use std::fs;"),
        ("main.rs", "use striate::cli; use anyhow::Result;"),
        ("cli/mod.rs", "use crate::{cpu, gpu, verify}; use clap::Parser; use std::time::Instant;"),
    ];
    for (file, source) in right {
        assert!(faults(Path::new(file), source).is_empty(), "{file}: {source}");
    }
}

/// The test programs that `manifest`, a Cargo.toml, keeps `cargo test` from running.
fn disabled_tests(manifest: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().expect("a manifest in TOML");
    let programs = manifest.get("test").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let is_off = |program: &&toml::Value| {
        ["test", "harness"].iter().any(|key| program.get(*key).and_then(toml::Value::as_bool) == Some(false))
    };
    programs.iter().filter(is_off).map(|program| program["name"].to_string()).collect()
}

/// `cargo test` passes over a program with `test = false` without a word.
#[test]
fn every_test_program_is_run() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a readable manifest");
    assert!(disabled_tests(&manifest).is_empty(), "not run: {:?}", disabled_tests(&manifest));
    let off = "[[test]]\nname = \"a\"\ntest = false\n[[test]]\nname = \"b\"\n";
    assert_eq!(disabled_tests(off), ["\"a\""]);
    let folder = root().join("tests");
    let is_program =
        |file: &&PathBuf| file.parent().and_then(Path::parent) == Some(&folder) && file.ends_with("main.rs");
    let programs = files(&folder);
    let programs: Vec<_> = programs.iter().filter(is_program).collect();
    // Each but this one links wgpu.
    assert!((10..=12).contains(&programs.len()), "{programs:?}");
}
