//! What is no dictionary of tensors, or no sound file, is refused in one line, with what to do.

use super::{archive, bits, entries, fixture, legacy, read_bytes, written};
use std::fs;
use striate::interchange::{npz, pth, read, safetensors};
use zip::CompressionMethod;

/// What reading a file with these bytes and this name says.
#[track_caller]
fn refused(name: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let error = read(&path).unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    let message = error.to_string();
    assert!(message.starts_with(path.to_str().unwrap()) && !message.contains('\n'), "{message}");
    message
}

#[test]
fn what_is_no_dictionary_of_tensors_is_refused_with_what_to_do() {
    const SAVE: &str = "in Python, save only the weights: torch.save(model.state_dict(), \"weights.pth\")";
    const TYPES: &str = "tensor a.weight: expected float32, float16, bfloat16, float64 or int64, found";
    for (name, says) in [
        ("module.pth", ["found a whole module (torch.nn.modules.container.Sequential)", SAVE]),
        ("module-legacy.pth", ["found a whole module (__main__.Own)", SAVE]),
        ("module-inside.pth", ["found a whole module (torch.nn.modules.container.Sequential)", SAVE]),
        ("script.pth", ["a TorchScript program", "torch.save(torch.jit.load(FILE).state_dict(), "]),
        ("two.pth", ["found 2: generator, critic", "torch.save(torch.load(FILE)[\"generator\"], "]),
        ("int32.pth", [TYPES, "int32"]),
        ("uint16.pth", [TYPES, "uint16"]),
        ("complex.pth", [TYPES, "complex64"]),
        ("sparse.pth", ["tensor a.weight: expected a plain tensor", "found a sparse one"]),
        ("quantized.pth", ["tensor a.weight: expected a plain tensor", "found a quantized one"]),
        ("tensor.pth", ["found one tensor without a name", SAVE]),
        ("list.pth", ["found a list", SAVE]),
        ("nothing.pth", ["found only epoch", SAVE]),
    ] {
        let message = refused(name, &fs::read(fixture(name)).unwrap());
        for says in says {
            assert!(message.contains(says), "{message}");
        }
    }
    for (bytes, says) in [
        (&b"hello, this is no such file"[..], "found other bytes"),
        (b"", "found other bytes"),
        (b"\x80\x02]q\x00.", "expected a file that torch.save wrote, found another pickle"),
        (b"PK\x03\x04", "zip archive"),
    ] {
        assert!(refused("w.pth", bytes).contains(says), "{}", refused("w.pth", bytes));
        assert!(refused("w.pt", bytes).contains(says));
    }
}

#[test]
fn entries_that_do_not_fit_the_pickle_are_refused() {
    let sound = entries(fs::read(fixture("state_dict.pth")).unwrap());
    let with = |name: &str, content: Option<&[u8]>| {
        let mut entries = sound.clone();
        let name = format!("state_dict/{name}");
        match content {
            Some(content) => entries.insert(name, content.to_vec()),
            None => entries.remove(&name),
        };
        refused("w.pth", &written(&entries, CompressionMethod::Deflated))
    };
    let message = with("byteorder", Some(b"big"));
    assert!(message.contains("byteorder: expected little, found \"big\""), "{message}");
    let message = with("data/0", None);
    assert!(message.contains("data/0 is missing"), "{message}");
    for length in [0, 428, 436] {
        let message = with("data/0", Some(&vec![0; length]));
        let says = format!("storage 0: 108 of float32 need 432 bytes, found {length}");
        assert!(message.contains(&says), "{message}");
    }
    let message = with("data.pkl", Some(b"\x80\x02}q\x00"));
    assert!(message.contains("the pickle: expected 1 bytes at byte 5"), "{message}");
    let message = with("other/data.pkl", Some(b""));
    assert!(message.contains("expected one data.pkl in the archive, found 2"), "{message}");
    // One wrong bit among the numbers.
    let mut bytes = fs::read(fixture("state_dict.pth")).unwrap();
    let weights = safetensors::read(fixture("net.safetensors")).unwrap().tensors["fc.weight"].data().to_vec();
    let first: Vec<u8> = weights[..4].iter().flat_map(|value| value.to_le_bytes()).collect();
    let at = bytes.windows(first.len()).position(|window| window == first).unwrap();
    bytes[at + 7] ^= 1;
    assert!(refused("w.pth", &bytes).contains("Invalid checksum"), "{}", refused("w.pth", &bytes));
}

#[test]
fn functions_that_a_pickle_names_are_refused_by_their_names() {
    for (pickle, name) in [
        (&b"\x80\x02cbuiltins\nprint\nX\x05\0\0\0hello\x85R."[..], "builtins.print"),
        (b"\x80\x02cos\ngetcwd\n)R.", "os.getcwd"),
        (b"cos\ngetcwd\n(tR.", "os.getcwd"),
        (b"\x80\x04\x8c\x02os\x8c\x06getcwd\x93)R.", "os.getcwd"),
        (b"\x80\x02(ios\ngetcwd\n.", "os.getcwd"),
        (b"\x80\x02}X\x01\0\0\0acos\ngetcwd\ns.", "os.getcwd"),
        // Where nothing would look for it.
        (b"\x80\x02cos\ngetcwd\n0}.", "os.getcwd"),
        (
            b"\x80\x02cos\ngetcwd\ncos\ngetpid\ncos\ngetuid\ncos\ngetgid\n}.",
            "os.getcwd, os.getpid, os.getuid and others",
        ),
        (b"\x80\x02ctorch\nload\nX\x01\0\0\0a\x85R.", "torch.load"),
        (b"\x80\x02c__builtin__\neval\nX\x01\0\0\x001\x85R.", "__builtin__.eval"),
    ] {
        for bytes in [archive(&[("w/data.pkl", pickle)], CompressionMethod::Stored), legacy(pickle, &[])] {
            let message = refused("w.pth", &bytes);
            let says =
                format!("found {name}, which a pickle may call and Striate never does; in Python, save only");
            assert!(message.contains(&says), "{message}");
        }
    }
}

/// A state_dict of one tensor `a` with these arguments of `_rebuild_tensor_v2` behind its storage of `count` floats.
fn one(count: u32, arguments: &[u8]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage".to_vec();
    pickle.extend(b"ctorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuJ");
    pickle.extend(count.to_le_bytes());
    pickle.extend(b"tQ");
    pickle.extend(arguments);
    pickle.extend(b"tRs.");
    archive(&[("w/data.pkl", &pickle), ("w/data/0", &vec![0; count as usize * 4])], CompressionMethod::Stored)
}

#[test]
fn tensors_beyond_their_storage_are_refused() {
    let rest = b"\x89}";
    let with = |arguments: &[u8]| one(6, &[arguments, rest].concat());
    assert_eq!(
        read_bytes("w.pth", &with(b"K\x00K\x02K\x03\x86K\x03K\x01\x86")).tensors["a"].shape().dims(),
        [2, 3]
    );
    for (what, arguments, says) in [
        (
            "offset",
            &b"K\x01K\x02K\x03\x86K\x03K\x01\x86"[..],
            "the shape [2, 3] needs a storage of 7 elements, found 6",
        ),
        ("size", b"K\x00K\x03K\x03\x86K\x03K\x01\x86", "needs a storage of 9 elements"),
        ("stride", b"K\x00K\x02K\x03\x86K\x04K\x01\x86", "needs a storage of 7 elements"),
        ("large stride", b"K\x00K\x02\x85\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85", "needs a storage of"),
        ("negative offset", b"J\xff\xff\xff\xffK\x02\x85K\x01\x85", "expected 0 or more as offset, found -1"),
        ("negative size", b"K\x00J\xff\xff\xff\xff\x85K\x01\x85", "expected 0 or more as shape, found -1"),
        (
            "negative stride",
            b"K\x05K\x02\x85J\xff\xff\xff\xff\x85",
            "expected 0 or more as strides, found -1",
        ),
        ("other rank", b"K\x00K\x02K\x03\x86K\x01\x85", "expected 2 strides, found 1"),
        (
            "huge",
            b"K\x00\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x00\x86K\x00K\x00\x86",
            "more elements than can be counted",
        ),
        ("expanded", b"K\x00J\x00\x00\x00\x01\x85K\x00\x85", "expected tensors of at most"),
        ("no tuple", b"K\x00K\x02K\x01", "expected a tuple as shape, found an integer"),
        ("no storage", b"0K\x00K\x00K\x02\x85K\x01\x85", "expected a storage, found an integer"),
    ] {
        let message = refused("w.pth", &with(arguments));
        assert!(message.contains(says), "{what}: {message}");
    }
    let more = |more: &[u8]| one(2, &[b"K\x00K\x02\x85K\x01\x85", &rest[..], more].concat());
    assert_eq!(
        bits(read_bytes("w.pth", &more(b"}X\x03\0\0\0neg\x88s")).tensors["a"].data()),
        [0x8000_0000; 2]
    );
    let message = refused("w.pth", &more(b"}X\x04\0\0\0conj\x88s"));
    assert!(message.contains("found conj"), "{message}");
    // Of one element in each place, whatever the stride.
    let tensors =
        read_bytes("w.pth", &with(b"K\x05K\x01K\x01\x86\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x09\x86"))
            .tensors;
    assert_eq!(tensors["a"].shape().dims(), [1, 1]);
}

#[test]
fn a_reader_of_pth_takes_nothing_else() {
    let error = pth::read(fixture("net.safetensors")).unwrap_err().to_string();
    assert!(error.contains("expected a file that torch.save wrote"), "{error}");
    let error = npz::read(fixture("state_dict.pth")).unwrap_err().to_string();
    assert!(error.contains("expected arrays (.npy) in the archive, found state_dict/"), "{error}");
}
