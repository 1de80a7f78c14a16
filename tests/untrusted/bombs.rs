//! Images that are small files and claim to be, or unpack to, very much (row B4): each is refused before it is decoded, or
//! decoded in bounded memory and time.

use crate::peak;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use std::fs;
use std::io::{Read, copy, repeat};
use std::time::{Duration, Instant};
use striate::data::Decoder;

/// Most memory, file included.
const MEMORY: usize = 512 << 20;

/// Longest that refusing may take, and decoding.
const REFUSED: Duration = Duration::from_millis(50);
const DECODED: Duration = Duration::from_secs(5);

fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes(), kind, data, &crc.sum().to_be_bytes()].concat()
}

/// Width, height, bits, colour type and whether it is interlaced.
type Header = (u32, u32, u8, u8, bool);

fn png((width, height, bits, colour, interlaced): Header, chunks: &[Vec<u8>]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[bits, colour, 0, 0, interlaced.into()]];
    let chunks = [&[chunk(b"IHDR", &header.concat())], chunks, &[chunk(b"IEND", b"")]].concat().concat();
    [b"\x89PNG\r\n\x1a\n", &chunks[..]].concat()
}

/// So many zeros, deflated.
fn zeros(len: u64) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    copy(&mut repeat(0).take(len), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

fn idat(len: u64) -> Vec<u8> {
    chunk(b"IDAT", &zeros(len))
}

/// A whole PNG of 1x1 with `before` before its pixel.
fn dot(before: Vec<u8>) -> Vec<u8> {
    png((1, 1, 8, 0, false), &[before, idat(2)])
}

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    [&[0xff, marker][..], &(content.len() as u16 + 2).to_be_bytes(), content].concat()
}

fn jpeg() -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new(&mut bytes).write_image(&[9; 48 * 32 * 3], 48, 32, ExtendedColorType::Rgb8).unwrap();
    bytes
}

/// A sound JPEG with `more` after its first two bytes.
fn jpeg_with(more: Vec<u8>) -> Vec<u8> {
    let jpeg = jpeg();
    [&jpeg[..2], &more, &jpeg[2..]].concat()
}

/// A JPEG of `side` squared in grey or three colours, whose pixels are missing, with the frame marker `frame`.
fn claiming(frame: u8, side: u16, components: u8) -> Vec<u8> {
    let mut header = vec![8];
    header.extend([side.to_be_bytes(), side.to_be_bytes()].concat());
    header.push(components);
    (1..=components).for_each(|number| header.extend([number, 0x11, 0]));
    let tables =
        [segment(0xdb, &[0].into_iter().chain([1; 64]).collect::<Vec<_>>()), segment(frame, &header)];
    [&[0xff, 0xd8], &tables.concat()[..]].concat()
}

/// The same with the header of a scan, after which pixels would come.
fn empty(frame: u8, side: u16, components: u8) -> Vec<u8> {
    let mut scan = vec![components];
    (1..=components).for_each(|number| scan.extend([number, 0]));
    scan.extend([0, 63, 0]);
    [claiming(frame, side, components), segment(0xda, &scan), vec![0; 100_000]].concat()
}

/// A Huffman table, of class DC or AC, in which one bit means `value`.
fn table(ac: bool, value: u8) -> Vec<u8> {
    segment(0xc4, &[&[u8::from(ac) << 4, 1][..], &[0; 15], &[value]].concat())
}

/// The bits that stand for so many blocks at `bits` each, all zero. What is padded is ones.
fn zero_bits(blocks: usize, bits: usize) -> Vec<u8> {
    let count = blocks * bits;
    let mut content = vec![0; count / 8];
    content.extend((!count.is_multiple_of(8)).then_some(0xff >> (count % 8)));
    content
}

fn scan(component: u8, [from, to, bits]: [u8; 3], content: &[u8]) -> Vec<u8> {
    [&segment(0xda, &[1, component, 0, from, to, bits])[..], content].concat()
}

/// A whole progressive JPEG of zeros, `side` squared, with 2 + 7 `bands` scans for each of its `components`.
fn progressive(side: u16, components: u8, bands: u8) -> Vec<u8> {
    coarse_progressive(side, components, bands, [1, 1])
}

/// The same with these sampling factors of the first component, across and down alike, and of the others.
fn coarse_progressive(side: u16, components: u8, bands: u8, factors: [u8; 2]) -> Vec<u8> {
    let most = *factors.iter().max().unwrap();
    let blocks = |component: u8| {
        let factor = factors[usize::from(component > 1)];
        let factor = if components == 1 { most } else { factor };
        (usize::from(side) * usize::from(factor)).div_ceil(8 * usize::from(most)).pow(2)
    };
    let mut bytes = claiming(0xc2, side, components);
    let at = bytes.len() - 3 * usize::from(components);
    (0..components).for_each(|c| bytes[at + 3 * usize::from(c) + 1] = 0x11 * factors[usize::from(c > 0)]);
    // The difference of every block's mean: a zero bit.
    bytes.extend(table(false, 0));
    for component in 1..=components {
        bytes.extend(scan(component, [0; 3], &zero_bits(blocks(component), 1)));
    }
    // Runs of 2^14 to 2^15 - 1 blocks at whose end all is zero: a bit, and fourteen more.
    bytes.extend(table(true, 0xe0));
    for component in 1..=components {
        let content = vec![0; (blocks(component).div_ceil(1 << 14) * 15).div_ceil(8) + 1];
        for band in 1..=bands {
            for low in (0..7).rev() {
                let high = if low == 6 { 0 } else { low + 1 };
                bytes.extend(scan(component, [band, band, high << 4 | low], &content));
            }
        }
        bytes.extend(scan(component, [bands + 1, 63, 0], &content));
    }
    [&bytes, &[0xff, 0xd9][..]].concat()
}

/// A sequential JPEG of zeros, `side` squared, with a scan for each of its three components.
fn three_scans(side: u16) -> Vec<u8> {
    let blocks = usize::from(side).div_ceil(8).pow(2);
    let mut bytes = [claiming(0xc0, side, 3), table(false, 0), table(true, 0)].concat();
    (1..=3).for_each(|component| bytes.extend(scan(component, [0, 63, 0], &zero_bits(blocks, 2))));
    [&bytes, &[0xff, 0xd9][..]].concat()
}

/// A grey TIFF of these sides, bits and compression, in one strip.
fn tiff(sides: [u32; 2], bits: u32, compression: u32, strip: &[u8]) -> Vec<u8> {
    let entries = [
        (256, sides[0]),
        (257, sides[1]),
        (258, bits),
        (259, compression),
        (262, 1),
        (273, 8 + 2 + 8 * 12 + 4),
        (278, sides[1]),
        (279, strip.len() as u32),
    ];
    let entry = |(tag, value): (u16, u32)| {
        [&tag.to_le_bytes()[..], &4_u16.to_le_bytes(), &1_u32.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    let directory: Vec<u8> = entries.into_iter().flat_map(entry).collect();
    [b"II*\0\x08\0\0\0\x08\0", &directory[..], &[0; 4], strip].concat()
}

/// A BMP of 8 bits, `side` squared, that ends in its first row.
fn bmp(side: u32, compression: u32) -> Vec<u8> {
    let numbers =
        |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>();
    let sizes = [40, side, side, 0x0008_0001, compression, 0, 0, 0, 1, 0, 0];
    [b"BM", &numbers(&[0, 0, 58])[..], &numbers(&sizes), &[255, 0, 255, 0, 0, 1]].concat()
}

/// A GIF whose canvas is `side` squared, and its image one pixel.
fn gif(side: u16) -> Vec<u8> {
    let side = side.to_le_bytes();
    let image = [0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 0x01, 0, 0x3b];
    [b"GIF89a", &side[..], &side, &[0x80, 0, 0], &[0; 6], &image].concat()
}

/// A lossless WebP of one colour, `side` squared, whose codes take no bits (RFC 9649, 3.7).
fn webp(side: u32) -> Vec<u8> {
    // No transform, cache or more codes; five codes of one symbol.
    let codes: u32 = (0..5).map(|code| 1 << (3 + 4 * code)).sum();
    let sides = (side - 1) | (side - 1) << 14;
    let image = [&[0x2f][..], &sides.to_le_bytes(), &codes.to_le_bytes(), &[0]].concat();
    let length = |bytes: usize| (bytes as u32).to_le_bytes();
    [b"RIFF", &length(12 + image.len())[..], b"WEBPVP8L", &length(image.len()), &image].concat()
}

/// Every bomb with its name.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let gigabyte = zeros(1 << 30);
    let text = |kind: &[u8], before: &[u8]| dot(chunk(kind, &[before, &gigabyte].concat()));
    let exif: Vec<u8> = [&b"Exif\0\0"[..], &[0x4d; 65_000]].concat();
    let large_orientation = [b"MM\0*\0\0\0\x08\xff\xff", &[1; 3 << 20][..]].concat();
    let frames = |count: u32| {
        let control = |number: u32| {
            chunk(b"fcTL", &[&number.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0, 0, 1], &[0; 14]].concat())
        };
        let data = |number: u32| chunk(b"fdAT", &[&number.to_be_bytes()[..], &zeros(2)].concat());
        let animation = chunk(b"acTL", &[count.to_be_bytes(), [0; 4]].concat());
        let mut chunks = vec![animation, control(0), idat(2)];
        (0..10_000).for_each(|n| chunks.extend([control(2 * n + 1), data(2 * n + 2)]));
        png((1, 1, 8, 0, false), &chunks)
    };
    vec![
        ("PNG of 65535 squared", png((65535, 65535, 8, 2, false), &[idat(1 << 20)])),
        ("grey PNG of 65535 squared, 1 bit", png((65535, 65535, 1, 0, false), &[idat(1 << 20)])),
        ("PNG of 100000 squared, 1 bit", png((100_000, 100_000, 1, 0, false), &[idat(1 << 20)])),
        (
            "palette of 100000 squared, 1 bit",
            png((100_000, 100_000, 1, 3, false), &[chunk(b"PLTE", &[0; 6]), idat(9)]),
        ),
        ("PNG of 2147483647 squared", png((u32::MAX >> 1, u32::MAX >> 1, 16, 6, false), &[idat(9)])),
        ("PNG of 4294967295 squared", png((u32::MAX, u32::MAX, 8, 2, false), &[idat(9)])),
        ("PNG of one row of 2147483647", png((u32::MAX >> 1, 1, 8, 0, false), &[idat(1 << 20)])),
        ("PNG of one column of 2147483647", png((1, u32::MAX >> 1, 8, 0, false), &[idat(1 << 20)])),
        ("Adam7 of 65535 squared", png((65535, 65535, 8, 6, true), &[idat(1 << 20)])),
        ("Adam7 of 10000 squared, grey", png((10_000, 10_000, 8, 0, true), &[idat(100_040_000)])),
        ("RGBA of 10000 squared, 16 bits", png((10_000, 10_000, 16, 6, false), &[idat(800_010_000)])),
        ("RGB of 10000 squared, 16 bits", png((10_000, 10_000, 16, 2, false), &[idat(600_010_000)])),
        ("palette of 10000 squared, 1 bit, with alpha", {
            let colours = [chunk(b"PLTE", &[9; 6]), chunk(b"tRNS", &[1, 2])];
            png((10_000, 10_000, 1, 3, false), &[&colours[..], &[idat(12_510_000)]].concat())
        }),
        ("PNG with more pixels than its size", png((1, 1, 8, 0, false), &[chunk(b"IDAT", &gigabyte)])),
        ("zTXt of 1 GiB", text(b"zTXt", b"a\0\0")),
        ("iTXt of 1 GiB", text(b"iTXt", b"a\0\x01\0\0\0")),
        ("iCCP of 1 GiB", text(b"iCCP", b"a\0\0")),
        ("tEXt of 60 MB", dot(chunk(b"tEXt", &[b"a\0", &[b'x'; 60_000_000][..]].concat()))),
        ("eXIf of 3 MB, all entries", dot(chunk(b"eXIf", &large_orientation))),
        ("a million empty chunks", dot(chunk(b"tIME", b"").repeat(1_000_000))),
        ("a million empty IDAT", png((1, 1, 8, 0, false), &[chunk(b"IDAT", b"").repeat(1_000_000), idat(2)])),
        ("APNG of 4 billion frames", frames(u32::MAX)),
        ("APNG of 10001 frames", frames(10_001)),
        ("JPEG of 65535 squared", empty(0xc0, 65535, 3)),
        ("progressive JPEG of 65535 squared", empty(0xc2, 65535, 3)),
        ("CMYK JPEG of 65535 squared", empty(0xc0, 65535, 4)),
        ("lossless JPEG of 65535 squared", empty(0xc3, 65535, 3)),
        ("progressive JPEG of 436 scans", progressive(64, 1, 62)),
        ("large progressive JPEG of 436 scans", progressive(4000, 1, 62)),
        ("progressive JPEG of 8000 squared", progressive(8000, 3, 0)),
        ("progressive JPEG of 10000 squared", progressive(10_000, 3, 0)),
        ("grey progressive JPEG of 10000 squared, 86 scans", progressive(10_000, 1, 12)),
        ("grey progressive JPEG of 10000 squared, 16 scans", progressive(10_000, 1, 2)),
        // For the second decoder.
        ("JPEG of 6000 squared in three scans", three_scans(6000)),
        ("JPEG of 10000 squared in three scans", three_scans(10_000)),
        ("progressive JPEG of 5000 squared, first component coarse", coarse_progressive(5000, 3, 0, [1, 2])),
        (
            "progressive JPEG of 4000 squared, first component coarse, 90 scans",
            coarse_progressive(4000, 3, 4, [1, 2]),
        ),
        ("progressive JPEG of 9000 squared, first component coarse", coarse_progressive(9000, 3, 0, [1, 2])),
        ("TIFF of 65535 squared", tiff([65535, 65535], 1, 1, &[0; 1000])),
        ("TIFF of 9000 squared, black and white", tiff([9000, 9000], 1, 1, &[0; 1000])),
        ("TIFF of 10000 squared, Deflate", tiff([10_000, 10_000], 8, 8, &zeros(100_000_000))),
        ("TIFF with more bytes than its size", tiff([1, 1], 8, 8, &gigabyte)),
        ("fax of 65535 by 1500", tiff([65535, 1500], 1, 4, &[0xff; 2000])),
        ("BMP of 65535 squared", bmp(65535, 0)),
        ("BMP of 9000 squared", bmp(9000, 0)),
        ("BMP of 9000 squared, run lengths", bmp(9000, 1)),
        ("GIF of 65535 squared", gif(65535)),
        ("GIF of 9000 squared", gif(9000)),
        ("WebP of 16384 squared, of one colour", webp(16_384)),
        ("WebP of 9000 squared, of one colour", webp(9000)),
        ("WebP of 6000 squared, of one colour", webp(6000)),
        ("JPEG with 64 MB of EXIF", jpeg_with(segment(0xe1, &exif).repeat(1000))),
        (
            "JPEG with 64 MB of profile",
            jpeg_with(segment(0xe2, &[&b"ICC_PROFILE\0\x01\xff"[..], &[7; 65_000]].concat()).repeat(1000)),
        ),
        ("JPEG with a million comments", jpeg_with(segment(0xfe, b"").repeat(1_000_000))),
        ("JPEG with 100000 tables", jpeg_with(table(true, 1).repeat(100_000))),
        ("JPEG after 10 MB of fill", jpeg_with(vec![0xff; 10_000_000])),
    ]
}

/// Whether the header alone tells that it is too much.
fn claims(name: &str) -> bool {
    [
        "65535 squared",
        "100000 squared",
        "2147483647",
        "4294967295",
        "16 bits",
        "progressive JPEG of 8000",
        "progressive JPEG of 10000 s",
        "10000 squared in three scans",
        "progressive JPEG of 9000",
        "9000 squared, of one colour",
        "9000 squared, black and white",
        "BMP of 9000",
        "GIF of 9000",
        "16384 squared",
    ]
    .iter()
    .any(|part| name.contains(part) && !name.starts_with("grey progressive") && !name.starts_with("lossless"))
}

#[test]
fn bombs_are_refused_at_once_or_decoded_in_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture");
    let (mut refused, mut decoded, mut wrong) = (0, 0, Vec::new());
    let (mut most, mut longest) = (0, [Duration::ZERO; 2]);
    for (name, bytes) in bombs() {
        fs::write(&path, &bytes).unwrap();
        drop(bytes);
        let length = fs::metadata(&path).unwrap().len();
        // What has to be read first takes its time, too.
        let at_once = REFUSED + Duration::from_nanos(10 * length);
        let mut best = Duration::MAX;
        let mut outcome = None;
        // A busy machine may need a second try.
        for _ in 0..3 {
            let (bytes, (result, time)) = peak(|| {
                let begun = Instant::now();
                let result = Decoder::new().read(&path, [3, 16, 16], &mut [0; 3 * 16 * 16]);
                (result, begun.elapsed())
            });
            best = best.min(time);
            most = most.max(bytes);
            if bytes > MEMORY {
                wrong.push(format!("{name}: {bytes} bytes"));
            }
            outcome = Some(result);
            if best < at_once {
                break;
            }
        }
        println!("{name}: a file of {length} bytes, {best:?}: {outcome:?}");
        let text = outcome.unwrap().err().map(|error| {
            assert_eq!(error.exit_code(), 4, "{name}: {error}");
            error.to_string()
        });
        assert!(
            text.as_ref().is_none_or(|text| text.starts_with(path.to_str().unwrap())),
            "{name}: {text:?}"
        );
        // By its header, before anything is decoded.
        let early = text.is_some_and(|text| {
            ["expected", "claims", "Memory limit"].iter().any(|word| text.contains(word))
        });
        let (count, slowest, bound) = if early {
            (&mut refused, &mut longest[0], at_once)
        } else {
            (&mut decoded, &mut longest[1], DECODED)
        };
        *count += 1;
        *slowest = best.max(*slowest);
        if best > bound {
            wrong.push(format!("{name}: {best:?}"));
        }
        if claims(name) && !early {
            wrong.push(format!("{name}: was not refused by its header"));
        }
    }
    println!(
        "B4: {} bombs, {refused} refused by their headers within {:?}, {decoded} decoded or found damaged within {:?}, at most {} MiB",
        refused + decoded,
        longest[0],
        longest[1],
        most >> 20
    );
    assert!(wrong.is_empty() && refused + decoded >= 25, "{}", wrong.join("\n"));
}
