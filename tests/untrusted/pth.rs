//! Damaged and hostile files of PyTorch, and pickles of CIFAR: one line and exit code 4, or a valid read, in bounded memory and
//! time.

use crate::{allocations, peak, size};
use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use striate::data::{Kind, Request, open};
use striate::interchange::{File, read};
use striate::random::{Purpose, Stream};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Most bytes beyond twice the file.
const MOST: usize = 64 << 20;

const LONGEST: Duration = Duration::from_secs(2);

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pth");
    std::fs::read(folder.join(name)).unwrap()
}

/// An archive of these entries, with the right checksums.
fn archive(entries: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        archive.start_file(name, SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn entries(bytes: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|at| {
            let mut entry = archive.by_index(at).unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.name().unwrap().into_owned(), content)
        })
        .collect()
}

/// Reads these bytes as a file; the message, if they are refused.
fn try_read(folder: &Path, what: &str, bytes: &[u8]) -> Result<File, String> {
    let path = folder.join("w.pth");
    std::fs::write(&path, bytes).unwrap();
    let begun = Instant::now();
    let (held, result) = peak(|| read(&path));
    assert!(held <= 2 * bytes.len() + MOST, "{what}: {held} bytes at once for {}", bytes.len());
    assert!(begun.elapsed() < LONGEST, "{what}: {:?}", begun.elapsed());
    result.map_err(|error| {
        let message = error.to_string();
        assert_eq!(error.exit_code(), 4, "{what}: {message}");
        assert!(message.starts_with(path.to_str().unwrap()), "{what}: {message}");
        assert!(!message.contains(char::is_control) && message.len() < 2000, "{what}: {message}");
        message
    })
}

/// One to eight bytes of `bytes` changed, put in or taken out, or its end cut off.
fn damage(bytes: &mut Vec<u8>, random: &mut Stream) {
    let mut below = |count: usize| random.below(count.max(1) as u32) as usize;
    if below(8) == 0 {
        bytes.truncate(below(bytes.len()));
        return;
    }
    for _ in 0..=below(8) {
        let at = below(bytes.len());
        // Bytes that mean something in a pickle, and any.
        let byte = match below(2) {
            0 => b"\x80\x85.(}])cRQbueth0\0\xff\x8a"[below(19)],
            _ => below(256) as u8,
        };
        match below(4) {
            0 => bytes.insert(at, byte),
            1 if !bytes.is_empty() => drop(bytes.remove(at)),
            _ => {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
        }
    }
}

#[test]
fn thousands_of_damaged_files_of_pytorch_are_read_or_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Stream::new(19, Purpose::Test, 0);
    let (mut refused, mut sound) = (0, 0);
    let forms =
        ["types", "types-legacy", "views", "views-legacy", "checkpoint", "checkpoint-legacy", "module"];
    for name in forms {
        let whole = fixture(&format!("{name}.pth"));
        let inner = (!name.ends_with("-legacy")).then(|| entries(whole.clone()));
        for number in 0..size(600, 3000) {
            let mut bytes = whole.clone();
            match &inner {
                // The pickle, in an archive whose checksums are right.
                Some(inner) if number % 3 > 0 => {
                    let mut inner = inner.clone();
                    let pickle = inner.iter_mut().find(|(name, _)| name.ends_with("data.pkl")).unwrap();
                    damage(&mut pickle.1, &mut random);
                    let method =
                        if number % 3 == 1 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
                    bytes = archive(&inner, method);
                }
                _ => damage(&mut bytes, &mut random),
            }
            match try_read(folder.path(), &format!("{name} {number}"), &bytes) {
                Ok(_) => sound += 1,
                Err(_) => refused += 1,
            }
        }
    }
    println!("B2, B3: {refused} damaged files of PyTorch refused, {sound} read");
    assert!(refused >= 2000 && refused > sound, "{refused} refused, {sound} read");
}

#[test]
fn every_cut_of_a_file_of_pytorch_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["types.pth", "types-legacy.pth"] {
        let whole = fixture(name);
        assert!(try_read(folder.path(), name, &whole).is_ok());
        for cut in 0..whole.len() {
            assert!(try_read(folder.path(), name, &whole[..cut]).is_err(), "{name} cut at {cut}");
        }
        let longer = [&whole[..], b"\0"].concat();
        assert_eq!(try_read(folder.path(), name, &longer).is_err(), name.contains("legacy"), "{name}");
    }
}

/// A pickle of a state_dict with a tensor of `extent` elements along one axis, in a storage of `stored`, and `count` times the same.
fn repeated(count: usize, stored: usize, [extent, stride]: [usize; 2]) -> Vec<u8> {
    let mut pickle =
        b"\x80\x02}(X\x05\0\0\0firstctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage".to_vec();
    pickle.extend(b"ctorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpu");
    pickle.extend(format!("I{stored}\ntQI0\n(I{extent}\nt(I{stride}\nt").as_bytes());
    pickle.extend(b"\x89}tRq\x07");
    for number in 0..count {
        let name = format!("a{number}");
        pickle.extend([&b"X"[..], &(name.len() as u32).to_le_bytes(), name.as_bytes(), b"h\x07"].concat());
    }
    pickle.extend(b"u.");
    pickle
}

#[test]
fn small_files_of_pytorch_do_not_become_large() {
    let folder = tempfile::tempdir().unwrap();
    let entry = |pickle: Vec<u8>, storage: usize| {
        let entries = [("w/data.pkl".to_string(), pickle), ("w/data/0".to_string(), vec![0; storage])];
        archive(&entries, CompressionMethod::Deflated)
    };
    for (what, bytes, says) in [
        ("expanded", entry(repeated(0, 1, [500_000_000, 0]), 4), "expected tensors of at most"),
        (
            "many aliases",
            entry(repeated(5000, 100_000, [100_000, 1]), 400_000),
            "expected tensors of at most",
        ),
        (
            "zeros",
            entry(repeated(0, 30_000_000, [30_000_000, 1]), 120_000_000),
            "expected storages of at most",
        ),
        ("many tensors", entry(repeated(70_000, 1, [1, 1]), 4), "values that take at most"),
        ("a claim", entry(repeated(0, 500_000_000, [500_000_000, 1]), 4), "found 4"),
        ("nothing but None", entry(b"N".repeat(20 << 20), 4), "data.pkl: expected at most 8388608 bytes"),
        ("many Nones", entry(b"N".repeat(8 << 20), 4), "values that take at most"),
        ("many lists", entry(b"]".repeat(8 << 20), 4), "values that take at most"),
        (
            "many names",
            entry([&b"("[..], &b"X\0\0\0\0".repeat(1 << 20)[..]].concat(), 4),
            "values that take at most",
        ),
        (
            "one long name",
            entry([&b"X\xff\xff\x7f\0"[..], &b"a".repeat(0x7f_ffff - 10)].concat(), 4),
            "expected 8388607 bytes",
        ),
        (
            "deep",
            entry([b"]".repeat(50_000), b"a".repeat(49_999), b".".to_vec()].concat(), 4),
            "found a list",
        ),
        ("in itself", entry(b"\x80\x02}q\0X\x01\0\0\0ah\0s.".to_vec(), 4), "found only a"),
        (
            "a dictionary in each other, twice",
            entry(
                [&b"\x80\x02}q\0"[..], &b"}q\x01(X\x01\0\0\0ah\0X\x01\0\0\0bh\0uq\0".repeat(5000), b"."]
                    .concat(),
                4,
            ),
            "found only a, b",
        ),
    ] {
        let message = try_read(folder.path(), what, &bytes).unwrap_err();
        assert!(message.contains(says), "{what}: {message}");
    }
    // Largest piece of memory for a claim that the file does not bear out.
    let path = folder.path().join("w.pth");
    std::fs::write(&path, fixture("types.pth")).unwrap();
    assert!(allocations::largest_during(|| drop(read(&path))) < 1 << 20);
}

/// A string of a pickle.
fn string(text: &[u8]) -> Vec<u8> {
    [&b"X"[..], &(text.len() as u32).to_le_bytes(), text].concat()
}

/// `bytes` with `new` in the one place of `old`.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(old)).collect();
    let [at] = places[..] else { panic!("{old:?} is there {} times", places.len()) };
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

/// A file of earlier versions with this object, this list of storages and nothing behind it.
fn legacy(object: &[u8], keys: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    let system = b"\x80\x02}X\x0d\0\0\0little_endian\x88s.";
    [&magic[..], system, object, keys].concat()
}

/// A pickle may refer to one value many times, in two bytes each.
#[test]
fn what_a_pickle_refers_to_often_is_not_copied_as_often() {
    const OFTEN: usize = 2000;
    let folder = tempfile::tempdir().unwrap();
    let entry = |pickle: &[u8]| {
        let entries = [("w/data.pkl".to_string(), pickle.to_vec()), ("w/data/0".to_string(), vec![0; 4])];
        archive(&entries, CompressionMethod::Deflated)
    };
    let long = string(&[b'a'; 65_536]);
    let one = repeated(0, 1, [1, 1]);
    let beside = |more: &[u8]| [&one[..one.len() - 2], more, b"u."].concat();
    let file = try_read(
        folder.path(),
        "dictionaries of tensors with one long name",
        &entry(&beside(&[&long[..], b"q\x05N", &b"h\x05}(X\x01\0\0\0ah\x07u".repeat(OFTEN)[..]].concat())),
    )
    .unwrap();
    assert!(file.tensors.contains_key("first") && file.notes[0].len() < 2000, "{:?}", file.notes);
    let pairs = [&b"](NN\x86q\x03"[..], &b"h\x03".repeat(OFTEN - 1), b"eq\x02"].concat();
    let ordered = [
        &b"\x80\x02}(Nccollections\nOrderedDict\nq\x01N"[..],
        &pairs,
        b"Nh\x02\x85q\x04",
        &string(b"a"),
        b"q\x05N",
        &b"h\x05h\x01h\x04R".repeat(OFTEN),
        b"u.",
    ];
    let metadata = [&b"\x89}}("[..], &[&string(b"conj")[..], b"\x89"].concat().repeat(100), b"utRq\x07"];
    for (what, bytes, says) in [
        (
            "one long name",
            entry(&[&b"\x80\x02}("[..], &long, b"q\x05N", &b"h\x05N".repeat(OFTEN), b"u."].concat()),
            "and 1993 more",
        ),
        (
            "one long key of a storage",
            entry(&replaced(
                &repeated(OFTEN, 1, [1, 1]),
                b"X\x01\0\0\x000X\x03",
                &[&long[..], b"X\x03"].concat(),
            )),
            "expected a key of a storage of at most 64 bytes, found 65536",
        ),
        (
            "one long key in the list of storages",
            legacy(&one, &[&b"\x80\x02]("[..], &long, b"q\x05", &b"h\x05".repeat(OFTEN), b"e."].concat()),
            "expected a key of a storage of at most 64 bytes, found 65536",
        ),
        ("one list of pairs", entry(&ordered.concat()), "entries of dictionaries together, found more"),
        (
            "metadata",
            entry(&replaced(&one, b"\x89}tRq\x07", &metadata.concat())),
            "expected at most 16 entries of metadata, found 100",
        ),
        (
            "axes",
            entry(&replaced(
                &repeated(20_000, 1, [1, 1]),
                b"(I1\nt(I1\nt",
                &[&b"("[..], &b"I1\n".repeat(64), b"tq\x09h\x09"].concat(),
            )),
            "expected tensors of at most 1048576 axes together, found more",
        ),
        (
            "a long name of a function",
            entry(&[&b"\x80\x04"[..], &string(b"os"), &long, b"\x93."].concat()),
            "which a pickle may call",
        ),
        (
            "a long number",
            entry(&[&b"cnumpy\nfloat"[..], &[b'1'; 1000], b"\n."].concat()),
            "which a pickle may call",
        ),
        (
            "a long string of Python 2",
            entry(&replaced(
                &repeated(1, 1, [1, 1]),
                b"X\x05\0\0\0first",
                &[&b"T\0\x14\0\0"[..], &[b'a'; 5120]].concat(),
            )),
            "expected strings of at most 4096 bytes as names of tensors",
        ),
    ] {
        match try_read(folder.path(), what, &bytes) {
            Ok(_) => panic!("{what} is read"),
            Err(message) => assert!(message.contains(says), "{what}: {message}"),
        }
    }
}

#[test]
fn a_long_string_in_files_of_cifar_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=5 {
        std::fs::write(folder.path().join(format!("data_batch_{number}")), "").unwrap();
    }
    std::fs::write(folder.path().join("test_batch"), "").unwrap();
    let long = string(&[b'a'; 4 << 20]);
    let encoded = [b"c_codecs\nencode\n", &long[..], &string(b"latin1"), b"\x86R"].concat();
    let names = [&b"]("[..], &encoded, b"q\x01", &b"h\x01".repeat(9), b"e"].concat();
    for (what, entries, says) in [
        ("key", [&encoded[..], b"N"].concat(), "expected a dictionary with \"label_names\""),
        ("names", [string(b"label_names"), names].concat(), "expected strings of at most 1000 bytes"),
    ] {
        let bytes = [b"\x80\x02}(", &entries[..], b"u."].concat();
        std::fs::write(folder.path().join("batches.meta"), &bytes).unwrap();
        let request = Request::new([3, 32, 32], 10)
            .with_path(Some(folder.path().to_str().unwrap().into()))
            .with_kind(Kind::Cifar10);
        let (held, result) = peak(|| open(&request).map(drop));
        let message = result.unwrap_err().to_string();
        assert!(message.contains(says), "{what}: {message}");
        assert!(held < bytes.len() * 3 / 2, "{what}: {held} bytes at once for {}", bytes.len());
    }
}
