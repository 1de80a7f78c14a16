//! Rows F1 to F4 and F7: what comes into the program from outside, where it may do without the compiler's checks, how old a
//! Rust it builds with, and that what SECURITY.md claims is tested. `cargo deny check` says the first for all platforms and
//! with the advisories of the day; this says it on every machine, for the packages that it builds.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Packages of the program without features and dev-dependencies, on the platform with the most of them.
const PACKAGES: usize = 200;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).current_dir(root()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The packages that are built here, tests included, as `cargo metadata` tells of them.
fn packages() -> Vec<Value> {
    let version = Command::new("rustc").arg("-vV").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let text = cargo(&["metadata", "--format-version", "1", "--locked", "--filter-platform", host]);
    let mut metadata: Value = serde_json::from_str(&text).unwrap();
    let used: BTreeSet<String> =
        metadata["resolve"]["nodes"].as_array().unwrap().iter().map(|node| text_of(&node["id"])).collect();
    let mut packages: Vec<Value> = metadata["packages"].as_array_mut().unwrap().drain(..).collect();
    packages.retain(|package| used.contains(&text_of(&package["id"])));
    assert!(packages.len() > 100, "{} packages", packages.len());
    packages
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

fn deny() -> toml::Table {
    read("deny.toml").parse().unwrap()
}

fn strings(value: &toml::Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_string()).collect()
}

#[test]
fn every_package_has_a_licence_that_is_allowed() {
    let allowed = strings(&deny()["licenses"]["allow"]);
    let allowed: Vec<spdx::Licensee> =
        allowed.iter().map(|text| spdx::Licensee::parse(text).unwrap()).collect();
    let mut bad = Vec::new();
    for package in packages() {
        let name = text_of(&package["name"]);
        // Older packages write a slash for OR.
        let licence = text_of(&package["license"]).replace('/', " OR ");
        let expression = spdx::Expression::parse(&licence);
        let fits = expression.is_ok_and(|expression| {
            expression.evaluate(|wanted| allowed.iter().any(|licence| licence.satisfies(wanted)))
        });
        if !fits {
            bad.push(format!("{name}: {licence:?}"));
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn every_package_is_a_published_version_and_none_is_banned() {
    let deny = deny();
    let allowed = strings(&deny["sources"]["allow-registry"]);
    let banned: BTreeMap<String, Vec<String>> = deny["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ban| {
            (ban["name"].as_str().unwrap().to_string(), ban.get("wrappers").map(strings).unwrap_or_default())
        })
        .collect();
    let packages = packages();
    for package in &packages {
        let name = text_of(&package["name"]);
        match package["source"].as_str() {
            None => assert_eq!(name, "striate", "a package of this folder"),
            Some(source) => {
                assert!(allowed.iter().any(|a| source == format!("registry+{a}")), "{name}: {source}")
            }
        }
        for dependency in package["dependencies"].as_array().unwrap() {
            let (used, is_optional) = (text_of(&dependency["name"]), dependency["optional"] == true);
            let is_built = packages.iter().any(|package| package["name"] == dependency["name"]);
            if let Some(wrappers) = banned.get(&used).filter(|_| is_built && !is_optional) {
                assert!(wrappers.contains(&name), "{name} uses {used}, which deny.toml bans");
            }
        }
    }
    // Also where only a package of another platform, or an optional dependency, would bring it.
    let names: BTreeSet<String> = packages.iter().map(|package| text_of(&package["name"])).collect();
    for (name, wrappers) in banned {
        assert!(!wrappers.is_empty() || !names.contains(&name), "{name} is built, which deny.toml bans");
    }
    let tree = cargo(&["tree", "--locked", "-e", "normal", "--prefix", "none", "-f", "{p}"]);
    let built: BTreeSet<&str> =
        tree.lines().map(|line| line.trim_end_matches(" (*)")).filter(|line| !line.is_empty()).collect();
    println!("F3: {} packages in the program, none that compiles C or C++", built.len());
    assert!(built.len() <= PACKAGES, "{} packages: a new one has to earn its place", built.len());
}

#[test]
fn the_version_lock_and_the_oldest_rust_are_what_the_documents_say() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let oldest = manifest["package"]["rust-version"].as_str().unwrap().to_string();
    assert!(read("README.md").contains(&format!("Rust {oldest} or newer")), "README: Rust {oldest}");
    assert!(root().join("Cargo.lock").is_file() && !read(".gitignore").contains("Cargo.lock"));
    assert!(read(".ci/run").contains("--locked"));
    let number = |version: &str| -> Vec<u32> {
        version.split('.').map(|part| part.parse().unwrap()).chain([0, 0]).take(3).collect()
    };
    for package in packages() {
        if let Some(wanted) = package["rust_version"].as_str() {
            assert!(number(wanted) <= number(&oldest), "{} asks for Rust {wanted}", package["name"]);
        }
    }
}

/// Every Rust file of the project.
fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders =
        vec!["src", "tests", "examples", "benches"].into_iter().map(PathBuf::from).collect::<Vec<_>>();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn unsafe_code_is_only_where_security_md_says_with_its_reason() {
    for file in ["src/lib.rs", "src/main.rs"] {
        assert!(read(file).contains("\n#![deny(unsafe_code)]\n"), "{file}");
    }
    let allows = concat!("allow(", "unsafe_code");
    let mut found = BTreeSet::new();
    for path in sources().into_iter().filter(|path| path.starts_with("src")) {
        let text = read(path.to_str().unwrap());
        if text.contains(allows) || text.contains("unsafe {") || text.contains("unsafe fn") {
            let blocks = text.matches("unsafe {").count();
            assert_eq!(
                text.matches("// SAFETY:").count(),
                blocks,
                "{}: a SAFETY paragraph each",
                path.display()
            );
            found.insert(path.to_string_lossy().replace('\\', "/"));
        }
    }
    let security = read("SECURITY.md");
    let section =
        security.split("## Unsafe code").nth(1).expect("its section").split("\n## ").next().unwrap();
    let listed: BTreeSet<String> = quoted(section).filter(|word| word.ends_with(".rs")).collect();
    assert_eq!(found, listed, "what is there, and what SECURITY.md lists");
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(String::from)
}

#[test]
fn every_claim_of_security_md_names_tests_that_exist() {
    let security = read("SECURITY.md");
    let table =
        security.split("## What is claimed").nth(1).expect("its section").split("\n## ").next().unwrap();
    let claims: Vec<&str> =
        table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| claim")).collect();
    assert!(claims.len() >= 10, "{} claims", claims.len());
    let tests: String = sources().iter().map(|path| read(path.to_str().unwrap())).collect();
    for claim in claims {
        let cell = claim.trim_end_matches('|').rsplit('|').next().unwrap();
        let names: Vec<String> = quoted(cell).collect();
        assert!(!names.is_empty(), "no test is named: {claim}");
        for name in names {
            let is_script = name.contains('/') && root().join(&name).exists();
            let is_test = tests.contains(&format!("fn {name}("));
            assert!(is_script || is_test, "{name}: no such test, for {claim}");
        }
    }
}
