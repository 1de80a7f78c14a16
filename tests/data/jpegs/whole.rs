//! JPEGs of which a part is missing or contradicts another, colours that a header decides, and kinds that are not read.

use super::encoder::{Codes, Frame, Scan, segment};
use super::reference::{self, Colours};
use super::{BOUND, decode, forms, patches};
use std::fs;
use std::ops::Range;
use striate::data::Decoder;
use zune_core::bytestream::ZCursor;
use zune_jpeg::JpegDecoder;

const SIZE: [usize; 2] = [46, 35];

const HALVED: [(u8, usize, usize); 3] = [(1, 2, 2), (2, 1, 1), (3, 1, 1)];

fn frame(parts: &[(u8, usize, usize)], marker: u8) -> Frame {
    let mut frame = Frame::new(SIZE, parts, None, patches);
    frame.codes = if marker == 0xc2 { Codes::Flat } else { Codes::Standard };
    frame
}

/// The message of the refusal of `file`, without the file's name.
fn refusal(file: &[u8]) -> Option<String> {
    let error = decode(file, SIZE).err()?;
    assert_eq!(error.exit_code(), 4, "{error}");
    let text = error.to_string();
    Some(text.split_once("a.jpg: ").unwrap_or_else(|| panic!("{text}")).1.to_string())
}

#[track_caller]
fn assert_refused(file: &[u8], words: &str) {
    let refusal = refusal(file).unwrap_or_else(|| panic!("was read, expected {words:?}"));
    assert!(refusal.contains(words), "{refusal:?}, expected {words:?}");
}

/// How far `file` is from what `frame` holds as `colours`.
#[track_caller]
fn error(file: &[u8], frame: &Frame, colours: Colours) -> f64 {
    let pixels = decode(file, [frame.width, frame.height]).unwrap_or_else(|error| panic!("{error}"));
    reference::error(frame, colours, &pixels)
}

/// The entropy-coded data of each scan, restart markers included.
fn scans(file: &[u8]) -> Vec<Range<usize>> {
    let (mut at, mut scans) = (2, Vec::new());
    while file[at + 1] != 0xd9 {
        let marker = file[at + 1];
        at += 2 + usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
        if marker == 0xda {
            let is_end = |pair: &[u8]| pair[0] == 0xff && pair[1] != 0 && !(0xd0..0xd8).contains(&pair[1]);
            let end = at + file[at..].windows(2).position(is_end).unwrap();
            scans.push(at..end);
            at = end;
        }
    }
    scans
}

#[test]
fn a_scan_that_ends_early_is_noticed_though_markers_follow() {
    let mut cuts = 0;
    for (name, marker, script) in forms(3) {
        for restart in [0, 2] {
            let mut frame = frame(&HALVED, marker);
            frame.restart = restart;
            let file = frame.write(marker, &script);
            for (number, scan) in scans(&file).into_iter().enumerate() {
                // The last bits of a progressive scan may be values without a code: some bytes of ones pass for them.
                let spared = if marker == 0xc2 { 12 } else { 0 };
                let whole = scan.len();
                for kept in (0..whole - spared.min(whole)).step_by(5) {
                    let end = scan.start + kept;
                    if kept > 0 && file[end - 1] == 0xff {
                        continue;
                    }
                    let cut = [&file[..end], &file[scan.end..]].concat();
                    let case = format!("{name}, restart {restart}, scan {number}, {kept} of {whole} bytes");
                    let text = refusal(&cut).unwrap_or_else(|| panic!("{case}: was read"));
                    assert!(text.starts_with("not a whole JPEG: "), "{case}: {text}");
                    cuts += 1;
                }
            }
        }
    }
    assert!(cuts > 2000, "{cuts}");
}

#[test]
fn scans_that_are_missing_or_contradict_each_other_are_named() {
    let baseline = frame(&HALVED, 0xc0);
    assert_refused(&baseline.write(0xc0, &[Scan::all(&[0, 1])]), "no scan has component 3 of 3");
    assert_refused(
        &baseline.write(0xc0, &[Scan::all(&[1]), Scan::all(&[2])]),
        "no scan has component 1 of 3",
    );
    let twice = [Scan::all(&[0, 1, 2]), Scan::all(&[1])];
    assert_refused(&baseline.write(0xc0, &twice), "sends what another has sent");
    let progressive = frame(&HALVED, 0xc2);
    let means = |high, low| Scan::band(&[0, 1, 2], 0, 0, high, low);
    let rest = |low| [0, 1, 2].map(|c| Scan::band(&[c], 1, 63, 0, low)).to_vec();
    let write = |scans: &[Vec<Scan>]| progressive.write(0xc2, &scans.concat());
    assert!(refusal(&write(&[vec![means(0, 0)], rest(0)])).is_none());
    assert_refused(
        &write(&[vec![means(0, 0)]]),
        "that complete component 1 are missing, from coefficient 1 on",
    );
    assert_refused(
        &write(&[vec![means(0, 1)], rest(0)]),
        "complete component 1 are missing, from coefficient 0 on",
    );
    assert_refused(
        &write(&[vec![means(0, 0)], rest(1)]),
        "complete component 1 are missing, from coefficient 1 on",
    );
    assert_refused(&write(&[vec![means(0, 0)], rest(0)[..2].to_vec()]), "complete component 3 are missing");
    assert_refused(
        &write(&[vec![Scan::band(&[0, 1], 0, 0, 0, 0)], rest(0)]),
        "before the one that it refines",
    );
    assert_refused(&write(&[vec![means(1, 0)], rest(0)]), "refines what none has");
    assert_refused(&write(&[vec![means(0, 2), means(1, 0)], rest(0)]), "refines what none has");
}

#[test]
fn restart_markers_are_as_many_and_in_the_order_that_the_interval_says() {
    let mut frame = frame(&HALVED, 0xc0);
    frame.restart = 2;
    let file = frame.write(0xc0, &[Scan::all(&[0, 1, 2])]);
    assert!(error(&file, &frame, Colours::YCbCr) <= BOUND);
    let restarts: Vec<_> =
        (0..file.len() - 1).filter(|&at| file[at] == 0xff && (0xd0..0xd8).contains(&file[at + 1])).collect();
    assert_eq!(restarts.len(), 4);
    let changed = |range: Range<usize>, by: &[u8]| [&file[..range.start], by, &file[range.end..]].concat();
    let [first, second, last] = [restarts[0], restarts[1], restarts[3]];
    let end = file.len() - 2;
    let wrong = [
        ("dropped", changed(second..second + 2, &[])),
        ("the last dropped", changed(last..last + 2, &[])),
        ("an interval dropped", changed(first..second, &[])),
        ("another", changed(second..second + 2, &[0xff, 0xd5])),
        ("twice", changed(second..second, &[0xff, 0xd1])),
    ];
    for (case, file) in wrong {
        let text = refusal(&file).unwrap_or_else(|| panic!("{case}: was read"));
        assert!(text.contains("restart markers"), "{case}: {text}");
    }
    // What libjpeg reads without losing its place.
    for sound in
        [changed(second..second, &[0xff; 3]), changed(end..end, &[0xff, 0xd4]), changed(end..end, &[0; 9])]
    {
        assert!(error(&sound, &frame, Colours::YCbCr) <= BOUND);
    }
    // Without an interval there is no restart marker.
    let at = file.windows(2).position(|pair| pair == [0xff, 0xdd]).unwrap();
    assert_refused(&changed(at..at + 6, &[]), "restart markers");
}

fn adobe(transform: u8) -> Vec<u8> {
    segment(0xee, &[&b"Adobe\0\x64\0\0\0\0"[..], &[transform]].concat())
}

fn jfif() -> Vec<u8> {
    segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
}

/// As libjpeg-turbo 2.1.5 and Pillow 12 decide, to which the same files were given.
#[test]
fn markers_and_component_numbers_decide_what_three_components_are() {
    use Colours::{Rgb, YCbCr};
    let headers: [(Vec<u8>, [Colours; 2]); 7] = [
        // With numbers that say nothing, and with 'R', 'G', 'B'.
        (vec![], [YCbCr, Rgb]),
        (jfif(), [YCbCr, YCbCr]),
        (adobe(0), [Rgb, Rgb]),
        (adobe(1), [YCbCr, YCbCr]),
        (adobe(2), [YCbCr, YCbCr]),
        ([jfif(), adobe(0)].concat(), [YCbCr, YCbCr]),
        ([adobe(0), jfif()].concat(), [YCbCr, YCbCr]),
    ];
    for (header, expected) in headers {
        for (ids, expected) in [
            ([1, 2, 3], expected[0]),
            ([0, 1, 2], expected[0]),
            ([9, 34, 200], expected[0]),
            (*b"RGB", expected[1]),
        ] {
            for scans in [vec![Scan::all(&[0, 1, 2])], [0, 1, 2].map(|c| Scan::all(&[c])).to_vec()] {
                let mut frame = frame(&ids.map(|id| (id, 1, 1)), 0xc0);
                frame.header = header.clone();
                let file = frame.write(0xc0, &scans);
                let error = error(&file, &frame, expected);
                assert!(
                    error <= BOUND,
                    "{ids:?}, {header:x?}, {} scans: not {expected:?}, {error}",
                    scans.len()
                );
            }
        }
    }
    let mut unknown = frame(&HALVED, 0xc0);
    unknown.header = adobe(7);
    assert_refused(&unknown.write(0xc0, &[Scan::all(&[0, 1, 2])]), "expected colour transform 0, 1 or 2");
}

#[test]
fn four_components_are_inks_as_the_adobe_marker_says() {
    for factors in [[1, 1, 1, 1], [2, 1, 1, 2], [2, 1, 1, 1], [1, 2, 2, 1]] {
        let parts: Vec<_> = (1..).zip(factors).map(|(id, factor)| (id, factor, factor)).collect();
        for (name, marker, scans) in forms(4) {
            for (transform, colours) in [(0, Colours::Cmyk), (2, Colours::Ycck)] {
                let mut frame = frame(&parts, marker);
                frame.header = adobe(transform);
                let error = error(&frame.write(marker, &scans), &frame, colours);
                assert!(error <= BOUND, "{name}, {factors:?}, {colours:?}: off by {error}");
            }
        }
    }
    let mut frame = frame(&[1, 2, 3, 4].map(|id| (id, 1, 1)), 0xc0);
    let write = |frame: &Frame| frame.write(0xc0, &[Scan::all(&[0, 1, 2, 3])]);
    assert_refused(&write(&frame), "expected four components with an Adobe marker");
    frame.header = adobe(1);
    assert_refused(&write(&frame), "expected colour transform 0 or 2");
}

#[test]
fn kinds_that_are_not_read_are_named_with_what_to_do() {
    let sound = frame(&HALVED, 0xc0).write(0xc0, &[Scan::all(&[0, 1, 2])]);
    let at = sound.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let with = |place: usize, value: u8| {
        let mut file = sound.clone();
        file[at + place] = value;
        file
    };
    let scan = sound.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    let before_scan = |more: Vec<u8>| [&sound[..scan], &more, &sound[scan..]].concat();
    let cases = [
        (with(1, 0xc3), "lossless coding"),
        (with(1, 0xc5), "hierarchical coding"),
        (with(1, 0xc9), "arithmetic coding"),
        (with(1, 0xca), "arithmetic coding"),
        (with(4, 12), "expected 8 bits per sample, found 12"),
        (before_scan(segment(0xde, &sound[at + 4..at + 19])), "hierarchical coding"),
        (before_scan(segment(0xdc, &[0, 35])), "a DNL segment"),
        (
            frame(&HALVED[..2], 0xc0).write(0xc0, &[Scan::all(&[0, 1])]),
            "expected 1, 3 or 4 components, found 2",
        ),
        (
            frame(&[(1, 3, 1), (2, 2, 1), (3, 1, 1)], 0xc0).write(0xc0, &[Scan::all(&[0, 1, 2])]),
            "such as 3:2",
        ),
    ];
    for (file, words) in cases {
        let text = refusal(&file).unwrap_or_else(|| panic!("{words}: was read"));
        assert!(text.contains(words) && text.ends_with("or as PNG"), "{text}");
    }
    let no_lines = [with(5, 0), with(6, 0)].map(|file| file[at + 5..at + 7].to_vec()).concat();
    assert_eq!(no_lines.len(), 4);
    let mut no_lines = with(5, 0);
    no_lines[at + 6] = 0;
    assert_refused(&no_lines, "the frame header says 46x0 pixels");
    assert_refused(&before_scan(sound[at..at + 19].to_vec()), "a second frame header");
}

/// Segments between scans, wide tables, fill bytes, what follows the end.
#[test]
fn rare_but_sound_files_are_read() {
    for (name, marker, scans) in forms(3) {
        let mut rare = frame(&HALVED, marker);
        rare.between = [segment(0xfe, b"between"), vec![0xff; 5]].concat();
        rare.wide_tables = marker != 0xc0;
        let file = [rare.write(marker, &scans), vec![7; 50], vec![0xff, 0xd8, 0xff, 0xd9]].concat();
        let error = error(&file, &rare, Colours::YCbCr);
        assert!(error <= BOUND, "{name}: off by {error}");
    }
}

#[test]
fn read_within_sees_the_same_colours() {
    let frame = frame(&HALVED, 0xc0);
    let file = frame.write(0xc0, &[0, 1, 2].map(|c| Scan::all(&[c])));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    fs::write(&path, &file).unwrap();
    let (size, pixels) = Decoder::new().read_within(&path, SIZE[0]).unwrap();
    assert_eq!(size, SIZE);
    assert!(reference::error(&frame, Colours::YCbCr, &pixels) <= BOUND);
}

/// Fails when a new zune-jpeg reads these rightly: then `is_plain` of `src/data/jpeg/mod.rs` may let them through.
#[test]
fn zune_jpeg_still_gets_wrong_what_it_is_not_given() {
    let each = [0, 1, 2].map(|c| Scan::all(&[c]));
    let coarse = [(1, 1, 1), (2, 2, 2), (3, 2, 2)];
    for (parts, scans) in [(HALVED, &each[..]), (coarse, &[Scan::all(&[0, 1, 2])])] {
        let frame = frame(&parts, 0xc0);
        let file = frame.write(0xc0, scans);
        let pixels = JpegDecoder::new(ZCursor::new(&file)).decode().unwrap();
        let error = reference::error(&frame, Colours::YCbCr, &pixels);
        assert!(error > 20.0, "{parts:?} in {} scans is right now ({error})", scans.len());
    }
}
