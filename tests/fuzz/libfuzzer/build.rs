//! The modules look for the built-in networks in the folder of striate's own package.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    println!("cargo::rustc-env=CARGO_MANIFEST_DIR={}", root.canonicalize().unwrap().display());
}
