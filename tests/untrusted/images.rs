//! Broken and hostile images: each is one line that names its file, nothing panics, blocks, or takes memory for what
//! a header claims.

use crate::allocations::largest_during;
use crate::dataset::{assert_clear, request};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use striate::data::{Decoder, Images, open};
use striate::random::{Purpose, Stream};

/// An image of 40x30 with something in it.
fn pixels() -> Vec<u8> {
    (0..40 * 30 * 3).map(|i| (i * i / 7 % 251) as u8).collect()
}

fn jpeg() -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new(&mut bytes).write_image(&pixels(), 40, 30, ExtendedColorType::Rgb8).unwrap();
    bytes
}

fn png() -> Vec<u8> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(&pixels(), 40, 30, ExtendedColorType::Rgb8).unwrap();
    bytes
}

fn progressive() -> Vec<u8> {
    fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pictures/progressive.jpg")).unwrap()
}

/// `bytes` with other bytes from where `marker` begins plus `offset`.
fn patched(mut bytes: Vec<u8>, marker: &[u8], offset: usize, with: &[u8]) -> Vec<u8> {
    let at = bytes.windows(marker.len()).position(|window| window == marker).unwrap() + offset;
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes(), kind, data, &crc.sum().to_be_bytes()].concat()
}

/// A PNG of these chunks, checksums right, after a header of 8 bits and the colour type `colour`.
fn png_of(width: u32, height: u32, colour: u8, chunks: &[(&[u8], &[u8])]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, colour, 0, 0, 0]].concat();
    let chunks: Vec<_> = chunks.iter().flat_map(|(kind, data)| chunk(kind, data)).collect();
    [b"\x89PNG\r\n\x1a\n", &chunk(b"IHDR", &header)[..], &chunks, &chunk(b"IEND", b"")].concat()
}

fn deflated(len: u64) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    io::copy(&mut io::Read::take(io::repeat(0), len), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

/// What reading `path` answers, `None` if it is an image. Nothing larger than the file, in small multiples, may be allocated for it.
fn answer(path: &Path, case: &str) -> Option<String> {
    answer_within(path, case, 1 << 20)
}

fn answer_within(path: &Path, case: &str, most: usize) -> Option<String> {
    let mut into = vec![0; 3 * 16 * 16];
    let mut decoder = Decoder::new();
    let mut error = None;
    let largest = largest_during(|| error = decoder.read(path, [3, 16, 16], &mut into).err());
    assert!(largest <= most, "{case}: {largest} bytes in one piece");
    let text = error.map(|error| error.to_string());
    assert!(!text.as_ref().is_some_and(|text| text.contains(char::is_control)), "{case}: {text:?}");
    text
}

fn error(path: &Path, case: &str) -> String {
    answer(path, case).unwrap_or_else(|| panic!("{case}: was read"))
}

#[test]
fn damaged_bytes_are_one_line_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (jpeg, png) = (jpeg(), png());
    let cut = |bytes: &[u8], share: usize| bytes[..bytes.len() * share / 100].to_vec();
    let row = deflated(2);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("half a JPEG", cut(&jpeg, 50), "not a whole JPEG"),
        ("a JPEG without its last tenth", cut(&jpeg, 90), "not a whole JPEG"),
        ("a JPEG's header", cut(&jpeg, 10), "not a whole JPEG"),
        ("half a progressive JPEG", cut(&progressive(), 50), "not a whole JPEG"),
        ("a progressive JPEG without its last tenth", cut(&progressive(), 90), "not a whole JPEG"),
        ("half a PNG", cut(&png, 50), "not a whole PNG"),
        ("a PNG's header", cut(&png, 1), "not a whole PNG"),
        ("nothing", Vec::new(), "expected an image, found an empty file"),
        (
            "text",
            b"this is not a picture".to_vec(),
            "expected a JPEG, PNG, TIFF, BMP, WebP or GIF image, found a file that begins 74 68 69 73",
        ),
        ("an empty GIF", b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(), "not a whole GIF"),
        ("a wrong checksum", patched(png.clone(), b"IDAT", 40, b"\x55\xaa\x55"), "not a whole PNG"),
        ("no rows", patched(jpeg.clone(), b"\xff\xc0", 5, &[0, 0]), "not a whole JPEG"),
        ("no columns", png_of(0, 3, 2, &[(b"IDAT", &row)]), "not a whole PNG"),
        (
            "a large JPEG",
            patched(jpeg.clone(), b"\xff\xc0", 5, &[255; 4]),
            "expected at most 100000000 pixels, found 65535x65535",
        ),
        (
            "a JPEG larger than its bytes",
            patched(jpeg.clone(), b"\xff\xc0", 5, &[30, 0, 30, 0]),
            "the header claims 7680x7680 pixels",
        ),
        (
            "a large PNG",
            png_of(65535, 65535, 2, &[(b"IDAT", &row)]),
            "expected at most 100000000 pixels, found 65535x65535",
        ),
        (
            "a PNG larger than its bytes",
            png_of(9999, 9999, 6, &[(b"IDAT", &row)]),
            "the header claims 9999x9999 pixels",
        ),
        (
            "the widest PNG",
            png_of(u32::MAX >> 1, u32::MAX >> 1, 0, &[(b"IDAT", &row)]),
            "Memory limit exceeded",
        ),
        (
            "a palette of one byte",
            png_of(1, 1, 3, &[(b"PLTE", &[1]), (b"tRNS", &[1]), (b"IDAT", &row)]),
            "not a whole",
        ),
        ("a palette without colours", png_of(1, 1, 3, &[(b"IDAT", &row)]), "not a whole PNG"),
    ];
    let mut wrong = Vec::new();
    for (number, (case, bytes, part)) in cases.iter().enumerate() {
        // The name tells nothing.
        let path = folder.path().join(format!("{number}.{}", ["jpg", "png"][number % 2]));
        fs::write(&path, bytes).unwrap();
        match answer(&path, case) {
            Some(text) if text.starts_with(path.to_str().unwrap()) && text.contains(part) => {}
            other => wrong.push(format!("{case}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_profile_unpacks_to_no_more_than_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let profile = [b"a\0\0", &deflated(300 << 20)[..]].concat();
    fs::write(&path, png_of(1, 1, 0, &[(b"iCCP", &profile), (b"IDAT", &deflated(2))])).unwrap();
    // Passed over or refused: 64 MiB are the limit, and a little for growing up to it.
    answer_within(&path, "profile", 80 << 20);
}

#[test]
fn garbage_in_a_jpeg_is_an_error_where_it_breaks_a_rule_and_never_worse() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    let mut stream = Stream::new(3, Purpose::Synthetic, 0);
    let mut errors = 0;
    for whole in [jpeg(), progressive()] {
        for _ in 0..100 {
            let mut bytes = whole.clone();
            let at = 2 + stream.next_u32() as usize % (bytes.len() - 42);
            bytes[at..at + 40].fill_with(|| stream.next_u32() as u8);
            fs::write(&path, &bytes).unwrap();
            errors += usize::from(answer(&path, "garbage").is_some());
        }
    }
    assert!(errors > 100, "{errors} of 200 were noticed");
}

#[test]
fn a_jpeg_is_an_error_wherever_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    for whole in [jpeg(), progressive()] {
        for length in (0..whole.len()).step_by(7).chain(whole.len() - 12..whole.len()) {
            fs::write(&path, &whole[..length]).unwrap();
            error(&path, &format!("cut at {length} of {}", whole.len()));
        }
    }
}

/// The fixtures of a type, which Pillow and tifffile wrote.
fn fixtures(extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures/kinds");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|own| own == extension)).collect()
}

#[test]
fn an_image_of_any_type_that_is_cut_is_an_error_or_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let mut into = vec![0; 3 * 9 * 13];
        Decoder::new().read(&path, [3, 9, 13], &mut into).map(|()| into)
    };
    for (extension, least) in [("tif", 27), ("bmp", 4), ("webp", 7), ("gif", 7)] {
        let files = fixtures(extension);
        assert!(files.len() >= least, "{} {extension}", files.len());
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let whole = read(&bytes).unwrap();
            let mut refused = 0;
            for length in 0..bytes.len() {
                match read(&bytes[..length]) {
                    Ok(pixels) => assert!(pixels == whole, "{}: cut at {length}", file.display()),
                    Err(error) => {
                        assert_clear(&error, &path, &format!("{} cut at {length}", file.display()));
                        refused += 1;
                    }
                }
            }
            // What follows the pixels are other frames and pages, and what stands beside them.
            assert!(2 * refused >= bytes.len() || bytes.len() > 700, "{}: {refused}", file.display());
        }
    }
}

#[test]
fn garbage_in_an_image_of_any_type_is_never_worse_than_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    let mut stream = Stream::new(4, Purpose::Synthetic, 0);
    let mut errors = 0;
    for file in ["tif", "bmp", "webp", "gif"].iter().flat_map(|extension| fixtures(extension)) {
        let whole = fs::read(&file).unwrap();
        for _ in 0..60 {
            let mut bytes = whole.clone();
            let at = 2 + stream.next_u32() as usize % (bytes.len() - 12);
            bytes[at..at + 8].fill_with(|| stream.next_u32() as u8);
            fs::write(&path, &bytes).unwrap();
            errors += usize::from(answer_within(&path, &file.display().to_string(), 400 << 20).is_some());
        }
    }
    assert!(errors > 500, "{errors} were noticed");
}

#[test]
fn files_are_not_read_beyond_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    fs::write(&path, jpeg()).unwrap();
    // A hole: it takes no room on the disk.
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(300 << 20).unwrap();
    assert!(error(&path, "too long").ends_with("expected at most 268435456 bytes, found 314572800"));
}

#[test]
fn a_folder_named_like_a_picture_is_a_bad_picture() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("cat/inner.png/1.png")).unwrap();
    fs::write(folder.path().join("cat/whole.png"), png()).unwrap();
    let splits = open(&request(folder.path(), [3, 8, 8], 2).with_val_split(Some(0.0))).unwrap();
    let Images::Stored(stored) = &splits.train.images else { panic!("stored images expected") };
    assert_eq!(stored.indices, [0, 1]);
    let error = stored.store.read(0, &mut [0; 192]).unwrap_err();
    assert_clear(&error, &folder.path().join("cat/inner.png"), "a folder");
    assert!(error.to_string().ends_with("found a folder"), "{error}");
    stored.store.read(1, &mut [0; 192]).unwrap();
    assert!(stored.store.read(2, &mut [0; 192]).is_err());
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    #[test]
    fn what_is_no_file_neither_blocks_nor_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        symlink("nowhere", place("dangling.jpg")).unwrap();
        symlink("round.jpg", place("round.jpg")).unwrap();
        symlink("/dev/zero", place("zero.jpg")).unwrap();
        for (name, part) in [
            ("dangling.jpg", "no such file"),
            ("round.jpg", "symbolic links"),
            ("zero.jpg", "found a pipe, a socket or a device"),
        ] {
            let text = error(&place(name), name);
            assert!(text.starts_with(place(name).to_str().unwrap()) && text.contains(part), "{text}");
        }
        if Command::new("mkfifo").arg(place("pipe.png")).status().is_ok_and(|status| status.success()) {
            assert!(error(&place("pipe.png"), "pipe").contains("found a pipe"));
        }
        fs::write(place("secret.png"), png()).unwrap();
        fs::set_permissions(place("secret.png"), fs::Permissions::from_mode(0o000)).unwrap();
        // The system's administrator may read everything.
        if fs::read(place("secret.png")).is_err() {
            assert!(error(&place("secret.png"), "secret").contains("denied"));
        }
    }

    #[test]
    fn names_do_nothing_to_a_terminal() {
        let folder = tempfile::tempdir().unwrap();
        let class = folder.path().join("red\x1b[31m");
        fs::create_dir(&class).unwrap();
        fs::write(class.join("a\x1b]0;title\x07\n.png"), "text").unwrap();
        fs::write(class.join(OsStr::from_bytes(b"b\xff\xfe.jpg")), "text").unwrap();
        fs::write(class.join(OsStr::from_bytes(b"c\xff.jpg")), jpeg()).unwrap();
        let splits = open(&request(folder.path(), [3, 8, 8], 2).with_val_split(Some(0.0))).unwrap();
        assert_eq!(splits.train.class_names, [r"red\u{1b}[31m"]);
        let Images::Stored(stored) = &splits.train.images else { panic!("stored images expected") };
        let error = |index| stored.store.read(index, &mut [0; 192]).unwrap_err().to_string();
        let place = folder.path().to_str().unwrap();
        assert!(
            error(0)
                .starts_with(&format!(r"{place}/red\u{{1b}}[31m/a\u{{1b}}]0;title\u{{7}}\n.png: expected")),
            "{}",
            error(0)
        );
        assert!(error(1).contains(r"/b\xff\xfe.jpg: expected a JPEG, PNG"), "{}", error(1));
        stored.store.read(2, &mut [0; 192]).unwrap();
    }
}
