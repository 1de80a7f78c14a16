//! PNGs of every colour type, depth and interlacing, with and without transparency, written here bit by bit: the pixels that
//! come back are those that went in, laid on white.

use super::pictures::read;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::fs;
use std::io::Write;
use striate::random::{Purpose, Stream};

const WIDTH: usize = 21;
const HEIGHT: usize = 13;

fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes(), kind, data, &crc.sum().to_be_bytes()].concat()
}

/// The seven passes: first row and column, steps of both.
const ADAM7: [[usize; 4]; 7] =
    [[0, 0, 8, 8], [0, 4, 8, 8], [4, 0, 8, 4], [0, 2, 4, 4], [2, 0, 4, 2], [0, 1, 2, 2], [1, 0, 2, 1]];

/// A file of `samples`, `[HEIGHT, WIDTH, channels]`, with `chunks` before the pixels.
fn png(bits: u8, colour: u8, samples: &[u32], chunks: &[u8], interlaced: bool) -> Vec<u8> {
    let channels = samples.len() / (WIDTH * HEIGHT);
    let mut rows = Vec::new();
    let passes = if interlaced { &ADAM7[..] } else { &[[0, 0, 1, 1]] };
    for &[top, left, down, right] in passes {
        for y in (top..HEIGHT).step_by(down).filter(|_| left < WIDTH) {
            // No filter; samples of less than a byte from the left, the last byte filled with zeros.
            rows.push(0);
            let (mut held, mut count) = (0_u64, 0);
            for x in (left..WIDTH).step_by(right) {
                for &sample in &samples[(y * WIDTH + x) * channels..][..channels] {
                    (held, count) = (held << bits | u64::from(sample), count + u32::from(bits));
                    while count >= 8 {
                        count -= 8;
                        rows.push((held >> count) as u8);
                    }
                }
            }
            rows.extend((count > 0).then(|| (held << (8 - count)) as u8));
        }
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&rows).unwrap();
    let size = [(WIDTH as u32).to_be_bytes(), (HEIGHT as u32).to_be_bytes()].concat();
    let header = [&size[..], &[bits, colour, 0, 0, interlaced.into()]].concat();
    let data = encoder.finish().unwrap();
    [b"\x89PNG\r\n\x1a\n", &chunk(b"IHDR", &header)[..], chunks, &chunk(b"IDAT", &data), &chunk(b"IEND", b"")]
        .concat()
}

#[test]
fn every_kind_of_pixel_is_the_colour_that_it_stands_for() {
    let mut random = Stream::new(5, Purpose::Synthetic, 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let mut files = 0;
    let kinds: [(u8, usize, &[u8]); 5] = [
        (0, 1, &[1, 2, 4, 8, 16]),
        (2, 3, &[8, 16]),
        (3, 1, &[1, 2, 4, 8]),
        (4, 2, &[8, 16]),
        (6, 4, &[8, 16]),
    ];
    for (colour, channels, depths) in kinds {
        for &bits in depths {
            for (transparent, interlaced) in [(false, false), (false, true), (true, false), (true, true)] {
                let most = (1_u32 << bits) - 1;
                let samples: Vec<u32> =
                    (0..WIDTH * HEIGHT * channels).map(|_| random.next_u32() & most).collect();
                let colours: Vec<[u8; 4]> = (0..=most & 0xff)
                    .map(|entry| {
                        let alpha = if transparent && entry < 100 { random.next_u32() as u8 } else { 255 };
                        let rgb = random.next_u32().to_be_bytes();
                        [rgb[0], rgb[1], rgb[2], alpha]
                    })
                    .collect();
                // One colour stands for transparent, or entries of the palette have alphas; alpha channels need no chunk.
                let key: Vec<u8> =
                    samples[..channels].iter().flat_map(|&v| (v as u16).to_be_bytes()).collect();
                let alphas: Vec<u8> = colours.iter().take(100).map(|entry| entry[3]).collect();
                let palette: Vec<u8> =
                    colours.iter().flat_map(|entry| [entry[0], entry[1], entry[2]]).collect();
                let mut chunks = if colour == 3 { chunk(b"PLTE", &palette) } else { vec![] };
                match colour {
                    0 | 2 if transparent => chunks.extend(chunk(b"tRNS", &key)),
                    3 if transparent => chunks.extend(chunk(b"tRNS", &alphas)),
                    _ => {}
                }
                fs::write(&path, png(bits, colour, &samples, &chunks, interlaced)).unwrap();
                let found = read(&path, [3, HEIGHT, WIDTH]);
                for (at, pixel) in samples.chunks(channels).enumerate() {
                    let share = |value: u32| f64::from(value) / f64::from(most);
                    let (rgb, alpha) = match (colour, pixel) {
                        (3, &[entry]) => {
                            let [r, g, b, alpha] =
                                colours[entry as usize].map(|value| f64::from(value) / 255.0);
                            ([r, g, b], alpha)
                        }
                        (_, &[grey, ref alpha @ ..]) if channels < 3 => {
                            ([share(grey); 3], alpha.first().map_or(1.0, |&alpha| share(alpha)))
                        }
                        _ => (
                            [0, 1, 2].map(|c| share(pixel[c])),
                            pixel.get(3).map_or(1.0, |&alpha| share(alpha)),
                        ),
                    };
                    let is_key = transparent && colour < 3 && *pixel == samples[..channels];
                    let alpha = if is_key { 0.0 } else { alpha };
                    for (c, value) in rgb.into_iter().enumerate() {
                        let expected = 255.0 * (value * alpha + 1.0 - alpha);
                        let off = (f64::from(found[c * WIDTH * HEIGHT + at]) - expected).abs();
                        // Colour and alpha of 16 bits are rounded before they are laid on white.
                        let bound = if bits == 16 && channels % 2 == 0 { 1.3 } else { 0.51 };
                        assert!(
                            off < bound,
                            "colour type {colour}, {bits} bits, {transparent}, {interlaced}: {off} at {at}"
                        );
                    }
                }
                files += 1;
            }
        }
    }
    assert_eq!(files, 60);
}
