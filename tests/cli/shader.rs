//! `striate shader`: what it prints is accepted by the compiler by itself, and a wrong name is a usage error.

use super::{code, json_lines, stderr, striate, succeed};
use wgpu::naga;

/// Panics unless `source` is a module that naga accepts.
fn validate(source: &str) {
    let module =
        naga::front::wgsl::parse_str(source).unwrap_or_else(|e| panic!("{}", e.emit_to_string(source)));
    let mut capabilities = naga::valid::Capabilities::empty();
    capabilities.set(naga::valid::Capabilities::SUBGROUP, source.contains("subgroupBroadcast("));
    naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities)
        .validate(&module)
        .unwrap_or_else(|e| panic!("{}", e.emit_to_string(source)));
}

#[test]
fn the_printed_module_of_every_operator_and_tile_passes_naga_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    for (op, tile) in [
        ("conv2d_forward", "64x128x16"),
        ("conv2d_grad_weight", "128x128x16_double"),
        ("linear_grad_input", "subgroup"),
        ("cross_entropy", "shared"),
        ("adam", "shared"),
    ] {
        let printed = succeed(folder.path(), &["shader", "--op", op, "--tile", tile]);
        validate(&printed);
        assert!(printed.starts_with(&format!("// {op}")), "{printed}");
        assert!(printed.contains("\n// overrides: "), "{printed}");
        assert!(printed.contains("\n// ---- shaders/shared/prelude.wgsl\n"), "{printed}");
    }
    let printed = succeed(folder.path(), &["shader", "--op", "conv2d_forward", "--tile", "64x128x16"]);
    assert!(
        printed.contains("\n// ---- constants of block size 64x128x16\nconst TILE_M = 64u;\n"),
        "{printed}"
    );
}

#[test]
fn a_model_gives_labels_and_overrides() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["shader", "-m", "alexnet", "-b", "8", "--tile", "64x128x16"];
    let list = succeed(folder.path(), &arguments);
    assert!(list.contains("\nconv2d_forward/64x128x16/vec4 "), "{list}");
    assert!(list.contains("\nsgd/momentum/"), "{list}");
    let one = [&arguments[..], &["--op", "conv2d_forward/64x128x16/vec4", "--json"]].concat();
    let modules = &json_lines(&succeed(folder.path(), &one))[0]["modules"];
    let [module] = modules.as_array().unwrap().as_slice() else { panic!("{modules}") };
    assert_eq!(module["overrides"]["batch"], 8.0);
    assert_eq!(module["parts"][0]["name"], "shaders/conv2d/conv2d_forward.wgsl");
    let parts = module["parts"].as_array().unwrap().iter().map(|part| part["text"].as_str().unwrap());
    validate(&parts.collect::<Vec<_>>().join("\n"));
}

#[test]
fn an_unknown_operator_or_tile_is_a_usage_error_with_a_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, suggestion) in
        [(["--op", "conv2d_foward"], "conv2d_forward"), (["--tile", "64x128x61"], "64x128x16")]
    {
        let output = striate(folder.path(), &[&["shader"], &arguments[..]].concat()).output().unwrap();
        assert_eq!(code(&output), 2);
        assert!(stderr(&output).contains(suggestion), "{}", stderr(&output));
    }
}
