//! Models are data (row B9): no package of the program reads pickles (the module `pickle` does, and calls nothing) or runs what
//! a file brings, and the few that could open archives or libraries are used for what is named here and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Packages that unpack archives or load code, who may ask for them, and in which modules.
const KNOWN: [(&str, &[&str], &[&str]); 3] = [
    // NPZ and PyTorch's files are zip archives of arrays, which are read one by one; their names are never names of files.
    ("zip", &["striate"], &["data", "interchange"]),
    // Data sets that are fetched come in archives, of which known files are taken; shards are read where they lie; and fixtures.
    ("tar", &["striate"], &["cli", "data"]),
    // The driver of the GPU.
    ("libloading", &["ash", "wgpu-hal", "khronos-egl", "renderdoc-sys", "glow"], &[]),
];

/// What no package may be called, or begin with.
const FORBIDDEN: [&str; 22] = [
    "pickle",
    "serde-pickle",
    "serde_pickle",
    "repugnant-pickle",
    "pyo3",
    "cpython",
    "rustpython",
    "mlua",
    "rlua",
    "rhai",
    "wasmtime",
    "wasmer",
    "wasmi",
    "dlopen",
    "abi_stable",
    "deno_core",
    "boa_engine",
    "rquickjs",
    "unrar",
    "sevenz",
    "compress-tools",
    "libarchive",
];

/// The packages of a lock file with what each asks for.
fn packages() -> BTreeMap<String, Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let lock: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
    let mut packages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let asked = package.get("dependencies").and_then(|list| list.as_array());
        let names =
            asked.into_iter().flatten().map(|name| name.as_str().unwrap().split(' ').next().unwrap().into());
        packages.entry(package["name"].as_str().unwrap().into()).or_default().extend(names);
    }
    packages
}

/// The modules of striate that name `crate_name`.
fn modules(crate_name: &str) -> Vec<String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if fs::read_to_string(&entry).unwrap().lines().any(|line| {
                line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
                    .any(|word| word.trim_start_matches(':').starts_with(&format!("{crate_name}::")))
            }) {
                let first = entry.strip_prefix(&src).unwrap().iter().next().unwrap();
                found.push(first.to_string_lossy().trim_end_matches(".rs").to_string());
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

#[test]
fn nothing_that_files_bring_is_run() {
    let packages = packages();
    assert!(packages.len() > 100);
    for name in packages.keys() {
        let bad = FORBIDDEN.iter().find(|bad| *name == **bad || name.starts_with(&format!("{bad}-")));
        assert!(bad.is_none(), "{name} runs code, or unpacks formats, that nothing here needs");
    }
    for (name, users, places) in KNOWN {
        for (user, asked) in &packages {
            assert!(
                !asked.iter().any(|asked| asked == name) || users.contains(&user.as_str()),
                "{user} asks for {name}"
            );
        }
        let found = modules(name);
        assert_eq!(found, places, "modules that use {name}");
    }
    println!(
        "B9: {} packages, none of which runs code of files; zip, tar and libloading only where they are known",
        packages.len()
    );
}
