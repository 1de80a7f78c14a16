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

/// torchvision's file `name`, whose name ends in the first eight or ten digits of its SHA-256, which is what `torch.hub` verifies too.
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
/// `efficientnet_b0` resizes images bicubically there, bilinearly here. `googlenet` expects another preprocessing than that of the model file and has
/// auxiliary heads; the tensors in its file of `densenet121`
/// have names of before PyTorch 0.4.
pub(super) const SOURCES: [PublishedWeights; 16] = [
    torchvision(
        "alexnet",
        "torchvision's, trained on ImageNet: top-1 56.522 %",
        ["alexnet-owt-7be5be79.pth", "7be5be79"],
        233.087,
    ),
    torchvision(
        "convnext_tiny",
        "torchvision's, trained on ImageNet: top-1 82.520 %",
        ["convnext_tiny-983f1562.pth", "983f1562"],
        109.119,
    ),
    torchvision(
        "efficientnet_b0",
        "torchvision's, trained on ImageNet: top-1 77.692 % (of images resized bicubically)",
        ["efficientnet_b0_rwightman-7f5810bc.pth", "7f5810bc"],
        20.451,
    ),
    torchvision(
        "mnasnet1_0",
        "torchvision's, trained on ImageNet: top-1 73.456 %",
        ["mnasnet1.0_top1_73.512-f206786ef8.pth", "f206786ef8"],
        16.915,
    ),
    torchvision(
        "mobilenet_v2",
        "torchvision's, trained on ImageNet: top-1 71.878 %",
        ["mobilenet_v2-b0353104.pth", "b0353104"],
        13.555,
    ),
    torchvision(
        "mobilenet_v3_small",
        "torchvision's, trained on ImageNet: top-1 67.668 %",
        ["mobilenet_v3_small-047dcff4.pth", "047dcff4"],
        9.829,
    ),
    torchvision(
        "regnet_y_400mf",
        "torchvision's, trained on ImageNet: top-1 74.046 %",
        ["regnet_y_400mf-c65dace8.pth", "c65dace8"],
        16.806,
    ),
    torchvision(
        "resnet18",
        "torchvision's, trained on ImageNet: top-1 69.758 %",
        ["resnet18-f37072fd.pth", "f37072fd"],
        44.661,
    ),
    torchvision(
        "resnet34",
        "torchvision's, trained on ImageNet: top-1 73.314 %",
        ["resnet34-b627a593.pth", "b627a593"],
        83.275,
    ),
    torchvision(
        "resnet50",
        "torchvision's, trained on ImageNet: top-1 76.130 %",
        ["resnet50-0676ba61.pth", "0676ba61"],
        97.781,
    ),
    torchvision(
        "resnext50_32x4d",
        "torchvision's, trained on ImageNet: top-1 77.618 %",
        ["resnext50_32x4d-7cdf4587.pth", "7cdf4587"],
        95.789,
    ),
    torchvision(
        "shufflenet_v2_x1_0",
        "torchvision's, trained on ImageNet: top-1 69.362 %",
        ["shufflenetv2_x1-5666bf0f80.pth", "5666bf0f80"],
        8.791,
    ),
    torchvision(
        "squeezenet1_1",
        "torchvision's, trained on ImageNet: top-1 58.178 %",
        ["squeezenet1_1-b8a52dc0.pth", "b8a52dc0"],
        4.729,
    ),
    torchvision(
        "vgg11",
        "torchvision's, trained on ImageNet: top-1 69.020 %",
        ["vgg11-8a719046.pth", "8a719046"],
        506.84,
    ),
    torchvision(
        "vgg16",
        "torchvision's, trained on ImageNet: top-1 71.592 %",
        ["vgg16-397923af.pth", "397923af"],
        527.796,
    ),
    torchvision(
        "vgg16_bn",
        "torchvision's, trained on ImageNet: top-1 73.360 %",
        ["vgg16_bn-6c64b313.pth", "6c64b313"],
        527.866,
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
                [8, 10].contains(&file.sha256.len()) && file.name.ends_with(&format!("-{}.pth", file.sha256)),
                "{file:?}"
            );
        }
    }
}
