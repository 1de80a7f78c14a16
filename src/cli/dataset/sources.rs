//! Data sets with a public address, and how to know that what came is what was asked for.

use std::ops::RangeInclusive;
use std::path::Path;

/// A data set and its files.
#[derive(Debug)]
pub(super) struct Source {
    pub name: &'static str,
    /// What it is, in a few words, and who is to be thanked.
    pub about: &'static str,
    /// Addresses of the folder of `files`, the first to be tried first.
    pub places: &'static [&'static str],
    pub files: &'static [Download],
    /// What `files`, if they are archives, hold; nothing if they are used as they are.
    pub members: &'static [Member],
    /// One name per class, where no file has them.
    pub classes: &'static [&'static str],
}

/// A file to be downloaded.
#[derive(Debug)]
pub(super) struct Download {
    pub name: &'static str,
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: &'static str,
}

/// A file of an archive (tar, gzipped) that is wanted.
#[derive(Debug)]
pub(super) struct Member {
    /// Its path in the archive, below one folder.
    pub name: &'static str,
    /// How many bytes it may have: just one number where that is known.
    pub lengths: RangeInclusive<u64>,
}

impl Member {
    /// Whether `folder` has it, with a right length.
    pub fn is_in(&self, folder: &Path) -> bool {
        let metadata = folder.join(self.name).metadata();
        metadata.is_ok_and(|found| found.is_file() && self.lengths.contains(&found.len()))
    }
}

const fn download(name: &'static str, bytes: u64, sha256: &'static str) -> Download {
    Download { name, bytes, sha256 }
}

/// A file of just `bytes` bytes.
const fn member(name: &'static str, bytes: u64) -> Member {
    Member { name, lengths: bytes..=bytes }
}

/// A file of names of classes: a few lines.
const fn names(name: &'static str) -> Member {
    Member { name, lengths: 1..=1 << 16 }
}

/// Lengths and SHA-256 as in the lists of checksums of TensorFlow Datasets. (The Fashion-MNIST that ships was
/// compressed anew by Debian; its checksums are others.)
pub(super) const SOURCES: [Source; 4] = [
    Source {
        name: "mnist",
        about: "70,000 handwritten digits, 28x28 grey (LeCun, Cortes and Burges)",
        places: &[
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
    Source {
        name: "fashion-mnist",
        about: "70,000 pictures of clothing, 28x28 grey (Zalando SE)",
        places: &["https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"],
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
    Source {
        name: "cifar10",
        about: "60,000 photographs of 10 kinds, 32x32 colour (Krizhevsky, Nair and Hinton)",
        places: &["https://www.cs.toronto.edu/~kriz"],
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
    Source {
        name: "cifar100",
        about: "60,000 photographs of 100 kinds, 32x32 colour (Krizhevsky, Nair and Hinton)",
        places: &["https://www.cs.toronto.edu/~kriz"],
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
