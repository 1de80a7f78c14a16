//! Public data sets: their addresses, and the lengths and checksums of their files.

use crate::cli::download::Download;
use std::ops::RangeInclusive;
use std::path::Path;

/// A public data set and its files.
#[derive(Debug)]
pub(super) struct PublicDataset {
    pub name: &'static str,
    /// A short description with credits.
    pub about: &'static str,
    /// Mirrors of the folder with `files`, in the order in which they are tried.
    pub mirrors: &'static [&'static str],
    pub files: &'static [Download],
    /// The files to extract if `files` are archives; empty if `files` are used directly.
    pub members: &'static [Member],
    /// One name per class, if no file contains them.
    pub classes: &'static [&'static str],
}

/// A file to extract from an archive (gzipped tar).
#[derive(Debug)]
pub(super) struct Member {
    /// Its path in the archive, below one folder.
    pub name: &'static str,
    /// The accepted lengths in bytes; a single one if it is known.
    pub lengths: RangeInclusive<u64>,
}

impl Member {
    /// True if `folder` contains it with an accepted length.
    pub fn is_in(&self, folder: &Path) -> bool {
        let metadata = folder.join(self.name).metadata();
        metadata.is_ok_and(|found| found.is_file() && self.lengths.contains(&found.len()))
    }
}

const fn download(name: &'static str, bytes: u64, sha256: &'static str) -> Download {
    Download { name, bytes: bytes..=bytes, sha256 }
}

/// A file of exactly `bytes` bytes.
const fn member(name: &'static str, bytes: u64) -> Member {
    Member { name, lengths: bytes..=bytes }
}

/// A file of class names: a few lines.
const fn names(name: &'static str) -> Member {
    Member { name, lengths: 1..=1 << 16 }
}

/// Lengths and SHA-256 as in the checksum lists of TensorFlow Datasets. (Debian recompressed the Fashion-MNIST files that
/// are bundled here, so their checksums differ.)
pub(super) const SOURCES: [PublicDataset; 4] = [
    PublicDataset {
        name: "mnist",
        about: "70,000 handwritten digits, 28x28 grey (LeCun, Cortes and Burges)",
        mirrors: &[
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
        ],
        files: &[
            download(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            download(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            download(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            download(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ],
        members: &[],
        classes: &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    },
    PublicDataset {
        name: "fashion-mnist",
        about: "70,000 images of clothing, 28x28 grey (Zalando SE)",
        mirrors: &["https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"],
        files: &[
            download(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            download(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            download(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            download(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ],
        members: &[],
        classes: &[
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ],
    },
    PublicDataset {
        name: "cifar10",
        about: "60,000 photographs of 10 kinds, 32x32 colour (Krizhevsky, Nair and Hinton)",
        mirrors: &["https://www.cs.toronto.edu/~kriz"],
        files: &[download(
            "cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        )],
        members: &[
            member("data_batch_1.bin", 30_730_000),
            member("data_batch_2.bin", 30_730_000),
            member("data_batch_3.bin", 30_730_000),
            member("data_batch_4.bin", 30_730_000),
            member("data_batch_5.bin", 30_730_000),
            member("test_batch.bin", 30_730_000),
            names("batches.meta.txt"),
        ],
        classes: &[],
    },
    PublicDataset {
        name: "cifar100",
        about: "60,000 photographs of 100 kinds, 32x32 colour (Krizhevsky, Nair and Hinton)",
        mirrors: &["https://www.cs.toronto.edu/~kriz"],
        files: &[download(
            "cifar-100-binary.tar.gz",
            168_513_733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        )],
        members: &[
            member("train.bin", 153_700_000),
            member("test.bin", 30_740_000),
            names("fine_label_names.txt"),
        ],
        classes: &[],
    },
];

/// The names of the public data sets.
pub(in crate::cli) fn public_names() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|source| source.name)
}
