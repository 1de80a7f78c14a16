//! Published weights of the built-in networks.

use crate::cli::download::Download;

/// Weights that can be downloaded.
#[derive(Debug)]
pub(super) struct PublishedWeights {
    /// The built-in network that they are for.
    pub name: &'static str,
    /// What they are, with credits.
    pub about: &'static str,
    pub file: Download,
}

/// The folder with the files of torchvision.
pub(super) const FOLDER: &str = "https://download.pytorch.org/models";

impl PublishedWeights {
    /// Where the file is.
    pub fn address(&self) -> String {
        format!("{FOLDER}/{}", self.file.name)
    }
}

/// torchvision's file `name`, whose name ends in the first eight digits of its SHA-256, which is what `torch.hub` verifies too.
/// torchvision lists sizes in MiB, with three decimals.
const fn torchvision(
    name: &'static str,
    about: &'static str,
    [file, sha256]: [&'static str; 2],
    mebibytes: f64,
) -> PublishedWeights {
    let bytes = (mebibytes * 1_048_576.0) as u64;
    let file = Download { name: file, bytes: bytes - 1024..=bytes + 1024, sha256 };
    PublishedWeights { name, about, file }
}

/// Addresses, sizes and accuracies are those of torchvision 0.29 (`torchvision/models/*.py`, `IMAGENET1K_V1`).
pub(super) const SOURCES: [PublishedWeights; 3] = [
    torchvision(
        "alexnet",
        "torchvision's, trained on ImageNet: top-1 56.522 %",
        ["alexnet-owt-7be5be79.pth", "7be5be79"],
        233.087,
    ),
    torchvision(
        "resnet18",
        "torchvision's, trained on ImageNet: top-1 69.758 %",
        ["resnet18-f37072fd.pth", "f37072fd"],
        44.661,
    ),
    torchvision(
        "squeezenet1_1",
        "torchvision's, trained on ImageNet: top-1 58.178 %",
        ["squeezenet1_1-b8a52dc0.pth", "b8a52dc0"],
        4.729,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Spec;

    #[test]
    fn each_source_is_for_a_built_in_network_and_its_name_has_its_hash() {
        for source in &SOURCES {
            assert!(Spec::load(source.name).is_ok(), "{}", source.name);
            let file = &source.file;
            assert!(
                file.sha256.len() == 8 && file.name.ends_with(&format!("-{}.pth", file.sha256)),
                "{file:?}"
            );
        }
    }
}
