//! WGSL modules, assembled from named parts.

use super::block_size::BlockSize;
use std::borrow::Cow;
use std::hash::{Hash, Hasher};

/// A file of `shaders/`, compiled into the crate.
#[derive(Clone, Copy, Debug)]
pub struct ShaderFile {
    /// Where it is, relative to the root of the sources: `shaders/<folder>/<stem>.wgsl`.
    pub path: &'static str,
    pub text: &'static str,
}

/// One part of an assembled module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShaderPart {
    /// The path of a file, or what a part that is rendered from a table in Rust holds.
    pub name: Cow<'static, str>,
    pub text: Cow<'static, str>,
}

/// Constants that a table in Rust decides and that are rendered into a module as a part.
#[derive(Clone, Copy, Debug)]
pub(super) enum Constants {
    None,
    /// The block of sums of a workgroup of `gemm_tile.wgsl`.
    BlockSize(BlockSize),
    /// How many blocks of eight rows a subgroup of `gemm_subgroup.wgsl` computes.
    RowBlocks(usize),
}

impl Constants {
    fn part(self) -> Option<ShaderPart> {
        let constant = |name: &str, value: usize| format!("const {name} = {value}u;\n");
        let (name, text) = match self {
            Constants::None => return None,
            Constants::BlockSize(block) => (
                format!("constants of block size {}", block.name()),
                block.constants().map(|(name, value)| constant(name, value)).concat(),
            ),
            Constants::RowBlocks(count) => {
                (format!("constants of {count} blocks of 8 rows"), constant("ROW_BLOCKS", count))
            }
        };
        Some(ShaderPart { name: name.into(), text: text.into() })
    }
}

/// Most groups of files that a shader is assembled from, and most words of a variant.
const GROUPS: usize = 4;

/// A WGSL compute kernel: its parts, and the name and variant that identify it. Two shaders are equal if their labels
/// are; `tests/gpu/shaders` checks that equal labels have equal text.
#[derive(Clone, Copy, Debug)]
pub struct Shader {
    /// The operator and pass: the stem of the kernel's own file, where it has one.
    pub name: &'static str,
    /// What distinguishes it from other shaders of that name; unused words are empty.
    variant: [&'static str; GROUPS],
    files: [&'static [ShaderFile]; GROUPS],
    constants: Constants,
}

impl PartialEq for Shader {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.variant) == (other.name, other.variant)
    }
}

impl Eq for Shader {}

impl Hash for Shader {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name, self.variant).hash(state);
    }
}

impl Shader {
    /// A shader of these files; the first one is the kernel's own and gives the name.
    pub(in crate::gpu) const fn new(files: &'static [ShaderFile]) -> Self {
        let (name, empty) = (stem(files[0].path), &[] as &[ShaderFile]);
        Shader {
            name,
            variant: [""; GROUPS],
            files: [files, empty, empty, empty],
            constants: Constants::None,
        }
    }

    /// The same under another name than the stem of its first file, which several kernels share.
    pub(super) const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// The same with more files after its own.
    pub(super) const fn with(mut self, files: &'static [ShaderFile]) -> Self {
        let mut group = 0;
        while !self.files[group].is_empty() {
            group += 1;
        }
        self.files[group] = files;
        self
    }

    /// The same with one more word in its variant; an empty word is left out.
    pub(in crate::gpu) const fn variant(mut self, word: &'static str) -> Self {
        let mut at = 0;
        while !word.is_empty() && !self.variant[at].is_empty() {
            at += 1;
        }
        if !word.is_empty() {
            self.variant[at] = word;
        }
        self
    }

    /// The same with constants that a table decides.
    pub(super) const fn constants(mut self, constants: Constants) -> Self {
        self.constants = constants;
        self
    }

    /// Name and variant, such as `conv2d_forward/64x128x16/vec4`: the label of its pipelines in messages and profiles, and
    /// what they are kept by.
    pub fn label(&self) -> String {
        let words = self.variant.iter().filter(|word| !word.is_empty());
        words.fold(self.name.to_string(), |label, word| label + "/" + word)
    }

    /// The parts in the order in which they are assembled. Files of `enable` directives come first, as WGSL demands;
    /// all other declarations may stand in any order.
    pub fn parts(&self) -> Vec<ShaderPart> {
        let mut parts: Vec<ShaderPart> = self
            .files
            .iter()
            .copied()
            .flatten()
            .map(|file| ShaderPart { name: file.path.into(), text: file.text.into() })
            .collect();
        parts.splice(1..1, self.constants.part());
        parts.sort_by_key(|part| !part.text.starts_with("enable "));
        parts
    }

    /// The assembled module.
    pub fn source(&self) -> String {
        self.parts().iter().map(|part| part.text.as_ref()).collect::<Vec<_>>().join("\n")
    }

    /// The part and its line, from 1, of line number `line` of [`Shader::source`].
    pub fn locate(&self, line: usize) -> Option<(String, usize)> {
        let mut first = 1;
        for part in self.parts() {
            let lines = part.text.lines().count();
            if (first..first + lines).contains(&line) {
                return Some((part.name.into_owned(), line - first + 1));
            }
            // A line feed stands between two parts.
            first += lines + 1;
        }
        None
    }

    /// Length of the text, for an estimate of how long it takes to compile.
    pub(in crate::gpu) fn len(&self) -> usize {
        self.files.iter().copied().flatten().map(|file| file.text.len()).sum()
    }
}

/// The name of the file at `path` without folder and extension.
const fn stem(path: &'static str) -> &'static str {
    let bytes = path.as_bytes();
    let mut at = bytes.len();
    while at > 0 && bytes[at - 1] != b'/' {
        at -= 1;
    }
    let name = path.split_at(at).1;
    name.split_at(name.len() - ".wgsl".len()).0
}

/// Files of `shaders/`, each written as `"folder/stem"`: a `&'static [ShaderFile]`.
macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$($crate::gpu::kernels::ShaderFile {
            path: concat!("shaders/", $name, ".wgsl"),
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $name, ".wgsl")),
        }),+]
    };
}
pub(super) use files;

/// A [`Shader`] of these files and `shared/prelude`, which every kernel has. The first file is the kernel's own.
macro_rules! shader {
    ($($name:literal),+ $(,)?) => {
        const { $crate::gpu::kernels::Shader::new($crate::gpu::kernels::files!($($name,)+ "shared/prelude")) }
    };
}
pub(super) use shader;

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &[ShaderFile] = &[
        ShaderFile { path: "shaders/a/kernel.wgsl", text: "// one\n// two\n" },
        ShaderFile { path: "shaders/b/enable.wgsl", text: "enable f16;\n" },
        ShaderFile { path: "shaders/b/other.wgsl", text: "// three\n" },
    ];

    #[test]
    fn a_label_is_the_stem_and_the_words_of_the_variant() {
        let shader = Shader::new(FILES);
        assert_eq!(shader.label(), "kernel");
        let variant = shader.variant("64x64x16").variant("").variant("vec4");
        assert_eq!(variant.label(), "kernel/64x64x16/vec4");
        assert_ne!(shader, variant);
        assert_eq!(variant, shader.variant("64x64x16").variant("vec4"));
    }

    #[test]
    fn every_line_of_a_module_is_located_in_its_part() {
        let shader = Shader::new(FILES).constants(Constants::RowBlocks(2));
        let source = shader.source();
        assert_eq!(source, "enable f16;\n\n// one\n// two\n\nconst ROW_BLOCKS = 2u;\n\n// three\n");
        let mut located = 0;
        for (number, line) in (1..).zip(source.lines()).filter(|(_, line)| !line.is_empty()) {
            let (name, at) = shader.locate(number).unwrap();
            let part = shader.parts().into_iter().find(|part| part.name == name).unwrap();
            assert_eq!(part.text.lines().nth(at - 1), Some(line));
            located += 1;
        }
        assert_eq!(located, 5);
        assert_eq!(shader.locate(4), Some(("shaders/a/kernel.wgsl".into(), 2)));
        assert_eq!(shader.locate(100), None);
    }
}
