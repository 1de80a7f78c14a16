//! JPEGs of every form that T.81 allows, written by an encoder of our own: each is decoded to the colours that it has, or
//! refused in a line that says why. Colours that are wrong without a word are what these tests look for.

mod encoder;
mod huffman;
mod reference;
mod whole;

use encoder::{Codes, Frame, Scan};
use reference::Colours;
use std::collections::BTreeMap;
use std::fs;
use striate::Error;
use striate::data::Decoder;

/// How far a value may be outside of what its samples allow: the samples are rounded after two passes of an integer
/// transform (1 at most), colours weigh one of them by 1.772 and are rounded again.
const BOUND: f64 = 3.0;

type Parts = Vec<(u8, usize, usize)>;

/// What a decoder makes of `file`: `[height, width, 3]`.
fn decode(file: &[u8], [width, height]: [usize; 2]) -> Result<Vec<u8>, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    fs::write(&path, file).unwrap();
    let mut planes = vec![0; 3 * height * width];
    Decoder::new().read(&path, [3, height, width], &mut planes)?;
    let plane = height * width;
    Ok((0..3 * plane).map(|at| planes[at % 3 * plane + at / 3]).collect())
}

/// Noise of pieces of 5x5 samples, other ones in each component, so that any misplaced sample shows. Colours stay in
/// 0..=255.
fn patches(component: usize, x: usize, y: usize) -> f64 {
    let seed = (component as u64) << 40 | ((x / 5) as u64) << 20 | (y / 5) as u64;
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 31).wrapping_mul(0xd6e8_feb8_6659_fd93);
    88.0 + ((mixed >> 33) % 81) as f64
}

/// One colour, with a luminance that changes: no way of interpolating matters.
fn plain(component: usize, x: usize, y: usize) -> f64 {
    if component == 0 { 100.0 + ((3 * x + 5 * y) % 60) as f64 } else { 100.0 + 40.0 * component as f64 }
}

/// The ways of dividing `count` components into scans: name, frame marker, scans.
fn forms(count: usize) -> Vec<(&'static str, u8, Vec<Scan>)> {
    let all: Vec<usize> = (0..count).collect();
    let each = |scans: &dyn Fn(usize) -> Vec<Scan>| all.iter().flat_map(|&c| scans(c)).collect::<Vec<_>>();
    let one = |c| vec![Scan::all(&[c])];
    let band = |from, to, high, low| move |c| Scan::band(&[c], from, to, high, low);
    let mut forms = vec![
        ("baseline", 0xc0, vec![Scan::all(&all)]),
        ("extended", 0xc1, vec![Scan::all(&all)]),
        (
            "progressive, spectral selection",
            0xc2,
            [vec![Scan::band(&all, 0, 0, 0, 0)], each(&|c| vec![band(1, 5, 0, 0)(c), band(6, 63, 0, 0)(c)])]
                .concat(),
        ),
        (
            "progressive, successive approximation",
            0xc2,
            [
                vec![Scan::band(&all, 0, 0, 0, 1)],
                each(&|c| vec![band(1, 5, 0, 2)(c), band(6, 63, 0, 2)(c)]),
                each(&|c| vec![band(1, 63, 2, 1)(c)]),
                vec![Scan::band(&all, 0, 0, 1, 0)],
                each(&|c| vec![band(1, 63, 1, 0)(c)]),
            ]
            .concat(),
        ),
        (
            "progressive, component after component",
            0xc2,
            each(&|c| {
                [(0, 0, 0, 1), (0, 0, 1, 0), (1, 63, 0, 1), (1, 63, 1, 0)]
                    .map(|(a, b, h, l)| band(a, b, h, l)(c))
                    .to_vec()
            }),
        ),
    ];
    if count > 1 {
        let reversed = all.iter().rev().flat_map(|&c| one(c)).collect();
        forms.extend([
            ("baseline, a scan each", 0xc0, each(&one)),
            ("baseline, a scan each, last first", 0xc0, reversed),
            ("baseline, first | others", 0xc0, vec![Scan::all(&[0]), Scan::all(&all[1..])]),
            (
                "extended, others | last",
                0xc1,
                vec![Scan::all(&all[..count - 1]), Scan::all(&all[count - 1..])],
            ),
        ]);
    }
    forms
}

/// Whether every scan has at most ten blocks in an MCU (T.81, B.2.3).
fn is_legal(parts: &Parts, scans: &[Scan]) -> bool {
    let blocks = |scan: &Scan| scan.components.iter().map(|&c| parts[c].1 * parts[c].2).sum::<usize>();
    scans.iter().all(|scan| scan.components.len() == 1 || blocks(scan) <= 10)
}

/// All sampling factors of luma and chroma, and some where every component has its own.
fn samplings() -> Vec<Parts> {
    let factors: Vec<_> = (0..16).map(|i| (1 + i / 4, 1 + i % 4)).collect();
    let colour = |y: (usize, usize), cb: (usize, usize), cr: (usize, usize)| {
        vec![(1, y.0, y.1), (2, cb.0, cb.1), (3, cr.0, cr.1)]
    };
    let mut all: Vec<Parts> = factors
        .iter()
        .flat_map(|&luma| factors.iter().map(move |&chroma| colour(luma, chroma, chroma)))
        .collect();
    all.extend(factors.iter().map(|&(h, v)| vec![(1, h, v)]));
    all.extend([
        colour((2, 2), (2, 1), (1, 2)),
        colour((2, 2), (1, 1), (2, 2)),
        colour((2, 2), (1, 2), (1, 1)),
        colour((4, 1), (2, 1), (1, 1)),
        colour((1, 2), (2, 1), (1, 1)),
        colour((1, 1), (2, 2), (1, 1)),
    ]);
    // What is common, more often.
    (0..6)
        .for_each(|_| all.extend([(2, 2), (2, 1), (1, 1), (1, 2)].map(|luma| colour(luma, (1, 1), (1, 1)))));
    all
}

/// The reason in a refusal, without names and numbers.
fn reason(text: &str) -> &'static str {
    let reasons = [
        ("expected sampling factors that divide the largest", "ratio of sampling factors not a whole number"),
        (
            "expected interleaved scans or factors of 1 and the largest",
            "scan of one component with padding blocks",
        ),
    ];
    let found = reasons.iter().find(|(words, _)| text.contains(words));
    found.unwrap_or_else(|| panic!("a reason that is not known: {text}")).1
}

#[test]
fn every_sampling_scan_and_restart_interval_is_right_or_refused() {
    let sides = [1_usize, 2, 5, 7, 8, 9, 13, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 65];
    let (mut counts, mut wrong, mut files, mut worst) =
        (BTreeMap::<String, usize>::new(), Vec::new(), 0, 0.0_f64);
    for (index, parts) in samplings().into_iter().enumerate() {
        for (form, (name, marker, scans)) in forms(parts.len()).into_iter().enumerate() {
            if !is_legal(&parts, &scans) {
                continue;
            }
            for turn in 0..3 {
                // Sizes, restart intervals and tables by turns.
                let at = 7 * index + 5 * form + 11 * turn;
                let size @ [width, _] = [sides[at % sides.len()], sides[(at / 3 + 4 * turn) % sides.len()]];
                let row = width.div_ceil(8 * parts.iter().map(|part| part.1).max().unwrap());
                let sample = if turn == 2 { plain } else { patches };
                let mut frame = Frame::new(size, &parts, None, sample);
                frame.restart = [0, 1, 3, row][(index + form + turn) % 4];
                frame.codes = match marker {
                    0xc2 => Codes::Flat,
                    _ => [Codes::Standard, Codes::Turns][(index + turn) % 2],
                };
                let file = frame.write(marker, &scans);
                let case = format!("{name}, {parts:?}, {size:?}, restart interval {}", frame.restart);
                let colours = if parts.len() == 1 { Colours::Grey } else { Colours::YCbCr };
                files += 1;
                let outcome = match decode(&file, size) {
                    Ok(pixels) => {
                        let error = reference::error(&frame, colours, &pixels);
                        worst = worst.max(if error > BOUND { 0.0 } else { error });
                        if error > BOUND {
                            wrong.push(format!("{case}: off by {error:.1}"));
                        }
                        "right".into()
                    }
                    Err(error) => {
                        let text = error.to_string();
                        assert!(error.exit_code() == 4 && text.lines().count() == 1, "{case}: {text}");
                        if text.contains("not a whole") {
                            wrong.push(format!("{case}: {text}"));
                            continue;
                        }
                        format!("refused: {}", reason(&text))
                    }
                };
                *counts.entry(outcome).or_default() += 1;
            }
        }
    }
    println!("{files} files, {} wrong, worst of the right ones {worst:.2} outside: {counts:?}", wrong.len());
    assert!(
        wrong.is_empty(),
        "{} of {files} wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(40)].join("\n")
    );
    // Ratios that are no whole numbers are three in ten of these samplings; of the others, next to none is refused.
    assert!(
        files >= 2000 && counts["right"] > files / 2 && counts.values().sum::<usize>() == files,
        "{counts:?}"
    );
}

/// What lies behind the edge is the encoder's choice and no colour of the image. Of small images, up to 4 of a chroma value may
/// show along each axis, so 8 in the corner, which stand for 15 of blue (`src/data/jpeg/edge.rs`).
#[test]
fn padding_behind_the_edge_does_not_show() {
    let mut worst = 0.0_f64;
    for size in [[2, 2], [8, 8], [10, 6], [36, 20], [20, 36], [46, 34], [60, 16], [16, 60]] {
        for luma in [(2, 2), (2, 1), (1, 2), (4, 1)] {
            for padding in [0.0, 128.0, 255.0] {
                for (name, marker, scans) in forms(3) {
                    for (ids, colours) in [([1, 2, 3], Colours::YCbCr), (*b"RGB", Colours::Rgb)] {
                        let parts = [(ids[0], luma.0, luma.1), (ids[1], 1, 1), (ids[2], 1, 1)];
                        let mut frame = Frame::new(size, &parts, Some(padding), patches);
                        frame.codes = Codes::Flat;
                        let file = frame.write(marker, &scans);
                        let error = reference::error(&frame, colours, &decode(&file, size).unwrap());
                        let case = format!("{name}, {parts:?}, {size:?}, padded with {padding}");
                        assert!(error <= BOUND + 15.0, "{case}: off by {error:.1}");
                        worst = worst.max(error);
                    }
                }
            }
        }
    }
    println!("padding shows by {worst:.1} at most");
}
