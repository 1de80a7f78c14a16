//! The segments of a JPEG file (ITU-T T.81, annex B): frame, scans, restart markers, colours, read without decoding.
//!
//! This is what decides whether a decoder can be trusted with the file, and whether the file is whole: every component and
//! every bit of its coefficients in some scan, in an order that the format allows, with the restart markers that the
//! restart interval demands, up to the end marker.

use super::means::{self, QuantTable};
use crate::data::limits::Decoded;

/// Most scans that are read, as in zune-jpeg: a scan of a few bytes takes the time of going over all blocks.
const MAX_SCANS: usize = 100;

/// Most blocks that all scans together go over: three of an image of the largest size in ten scans each.
const MAX_BLOCKS: usize = 50_000_000;

/// A bit position that no scan has sent yet.
const NEVER: u8 = u8::MAX;

/// How the error for a scan that ends early reads.
const FEW: &str = "a scan ends before its last block";

/// What can be done about a JPEG that is sound and not read.
const REMEDY: &str = "rewrite it as a plain JPEG (`djpeg IN | cjpeg > OUT`) or as PNG";

/// How samples stand for colours, as libjpeg decides it (`default_decompress_parms` in jdapimin.c).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::data) enum Colours {
    Grey,
    YCbCr,
    Rgb,
    /// Inks, inverted as Adobe's programs write them.
    Cmyk,
    /// The same, three of them as YCbCr.
    Ycck,
}

/// One component of the frame.
#[derive(Clone, Debug)]
pub(super) struct Component {
    id: u8,
    /// Sampling factors, across and down.
    pub h: usize,
    pub v: usize,
    /// Samples across and down.
    pub size: [usize; 2],
    /// The lowest bit that has been sent of each coefficient, 0 when it is complete.
    sent: [u8; 64],
    /// Whether a scan has this component alone.
    pub is_alone: bool,
}

/// What the segments say.
#[derive(Debug, Default)]
pub(super) struct Structure {
    pub width: usize,
    pub height: usize,
    pub is_progressive: bool,
    pub components: Vec<Component>,
    /// Largest sampling factors, across and down.
    pub most: [usize; 2],
    pub scans: usize,
    /// Whether quantisation tables are sent after the first scan.
    pub tables_change: bool,
    /// Whether every scan lists its components in the order of the frame.
    pub is_ordered: bool,
    /// Where each stretch of entropy-coded data ends: the places of the markers behind them.
    pub ends: Vec<usize>,
    /// Which of these ends the first scan.
    pub first_scan: usize,
    /// The place of the end marker.
    pub end: usize,
    restart: usize,
    blocks: usize,
    means: [QuantTable; 4],
    is_jfif: bool,
    adobe: Option<u8>,
}

/// A scan's header.
struct Scan {
    components: Vec<usize>,
    /// The number of the Huffman table for means, of each component.
    tables: Vec<usize>,
    from: u8,
    to: u8,
    high: u8,
    low: u8,
}

fn damaged<T>(what: impl AsRef<str>) -> Decoded<T> {
    Err(format!("not a whole JPEG: {}", what.as_ref()))
}

/// The error for a sound JPEG that no decoder here reads.
pub(super) fn unread<T>(expected: &str, found: &str) -> Decoded<T> {
    Err(format!("expected {expected}, found {found}; {REMEDY}"))
}

/// The place of the next byte 0xff.
fn next_ff(bytes: &[u8]) -> Option<usize> {
    // Whole chunks without a branch for each byte: entropy-coded data has one in some hundreds.
    let clear = bytes
        .chunks_exact(32)
        .take_while(|chunk| !chunk.iter().fold(false, |any, &byte| any | (byte == 0xff)));
    let start = 32 * clear.count();
    Some(start + bytes[start..].iter().position(|&byte| byte == 0xff)?)
}

impl Structure {
    /// Reads the segments of `file`. `check` sees width and height as soon as they are known.
    pub fn read(file: &[u8], check: impl Fn(usize, usize) -> Decoded<()>) -> Decoded<Structure> {
        let mut found = Structure { is_ordered: true, ..Structure::default() };
        let mut at = 2;
        loop {
            // Bytes that are not marker are left to the decoders, which accept some or none.
            let Some(skipped) = file.get(at..).and_then(next_ff) else {
                return damaged("the end marker is missing");
            };
            at += skipped + 1;
            let marker = match file.get(at) {
                None => return damaged("the end marker is missing"),
                Some(0xff) => continue,
                Some(marker) => *marker,
            };
            at += 1;
            match marker {
                0x00 | 0x01 => continue,
                0xd0..=0xd7 if found.scans > 0 => continue,
                0xd0..=0xd8 => return damaged("a start or restart marker outside of a scan"),
                0xd9 => break found.end = at - 2,
                _ => {}
            }
            let length = file
                .get(at..)
                .and_then(|rest| rest.first_chunk())
                .map(|&two| usize::from(u16::from_be_bytes(two)));
            let Some(content) = length.and_then(|length| file.get(at + 2..at + length)) else {
                return damaged("a segment ends behind the file");
            };
            at += 2 + content.len();
            match marker {
                0xc4 => {
                    for (number, table) in QuantTable::of_segment(content) {
                        found.means[usize::from(number)] = table;
                    }
                }
                0xc8 | 0xcc => {}
                0xc0..=0xcf => found.frame(marker, content, &check)?,
                0xda => at = found.scan(file, at, content)?,
                0xdb => found.tables_change |= found.scans > 0,
                0xdc => return unread("the number of lines in the frame header", "a DNL segment"),
                0xdd if content.len() == 2 => {
                    found.restart = usize::from(u16::from_be_bytes([content[0], content[1]]))
                }
                0xde | 0xdf => return unread("one frame", "hierarchical coding"),
                0xe0 if content.len() >= 12 => found.is_jfif |= content.starts_with(b"JFIF\0"),
                0xee if content.len() >= 12 && content.starts_with(b"Adobe") => {
                    found.adobe = Some(content[11])
                }
                _ => {}
            }
        }
        found.check_whole()?;
        Ok(found)
    }

    fn frame(
        &mut self,
        marker: u8,
        content: &[u8],
        check: &impl Fn(usize, usize) -> Decoded<()>,
    ) -> Decoded<()> {
        if !self.components.is_empty() {
            return damaged("a second frame header");
        }
        let kinds = "a baseline, extended or progressive JPEG with Huffman coding";
        match marker {
            0xc0..=0xc2 => {}
            0xc3 => return unread(kinds, "lossless coding"),
            0xc5..=0xc7 => return unread(kinds, "hierarchical coding"),
            _ => return unread(kinds, "arithmetic coding"),
        }
        let &[bits, y1, y0, x1, x0, count, ref rest @ ..] = content else {
            return damaged("the frame header is too short");
        };
        if bits != 8 {
            return unread("8 bits per sample", &bits.to_string());
        }
        self.height = usize::from(u16::from_be_bytes([y1, y0]));
        self.width = usize::from(u16::from_be_bytes([x1, x0]));
        if self.height == 0 || self.width == 0 {
            return damaged(format!("the frame header says {}x{} pixels", self.width, self.height));
        }
        check(self.width, self.height)?;
        if !matches!(count, 1 | 3 | 4) {
            return unread("1, 3 or 4 components", &count.to_string());
        }
        let (parts, left) = rest.as_chunks::<3>();
        if parts.len() != usize::from(count) || !left.is_empty() {
            return damaged("the frame header has another length than its components need");
        }
        self.is_progressive = marker == 0xc2;
        let factors = parts.iter().map(|part| [part[1] >> 4, part[1] & 15].map(usize::from));
        self.most = factors.clone().fold([1; 2], |most, own| [most[0].max(own[0]), most[1].max(own[1])]);
        for (part, [h, v]) in parts.iter().zip(factors) {
            if ![h, v].iter().all(|factor| (1..=4).contains(factor)) {
                return damaged(format!("sampling factors {h}x{v}"));
            }
            if self.components.iter().any(|component| component.id == part[0]) {
                return damaged("two components with one number");
            }
            let size = [(self.width * h).div_ceil(self.most[0]), (self.height * v).div_ceil(self.most[1])];
            self.components.push(Component { id: part[0], h, v, size, sent: [NEVER; 64], is_alone: false });
        }
        Ok(())
    }

    /// A scan whose header is `content` and whose data begin at `start`. Returns the place of the marker behind it.
    fn scan(&mut self, file: &[u8], start: usize, content: &[u8]) -> Decoded<usize> {
        let scan = self.scan_header(content)?;
        self.scans += 1;
        if self.scans > MAX_SCANS {
            return unread(&format!("at most {MAX_SCANS} scans"), "more");
        }
        for &index in &scan.components {
            self.components[index].is_alone |= scan.components.len() == 1;
            for sent in &mut self.components[index].sent[usize::from(scan.from)..=usize::from(scan.to)] {
                let expected = if scan.high == 0 { NEVER } else { scan.high };
                if *sent != expected {
                    return damaged("a scan sends what another has sent, or refines what none has");
                }
                *sent = scan.low;
            }
            if scan.from > 0 && self.components[index].sent[0] == NEVER {
                return damaged("a scan comes before the one that it refines");
            }
        }
        let [units, blocks] = self.units(&scan.components);
        self.blocks += units * blocks;
        if self.blocks > MAX_BLOCKS {
            return unread(&format!("scans of at most {MAX_BLOCKS} blocks together"), "more");
        }
        let intervals = if self.restart == 0 { 1 } else { units.div_ceil(self.restart) };
        let (mut at, mut begun, mut markers) = (start, start, 0);
        loop {
            let Some(skipped) = file.get(at..).and_then(next_ff) else {
                return damaged("the end marker is missing");
            };
            at += skipped;
            let fill = file[at..].iter().take_while(|&&byte| byte == 0xff).count();
            let Some(&marker) = file.get(at + fill) else { return damaged("the end marker is missing") };
            if marker == 0 && fill == 1 {
                at += 2;
                continue;
            }
            let units =
                if self.restart == 0 { units } else { self.restart.min(units - markers * self.restart) };
            // Bits without a code: too few would go unnoticed.
            if scan.from == 0 && scan.high > 0 && unstuffed(&file[begun..at]) < (units * blocks).div_ceil(8) {
                return damaged(FEW);
            }
            if self.is_progressive && self.scans == 1 && !self.has_means(&file[begun..at], &scan, units) {
                return damaged(FEW);
            }
            self.ends.push(at);
            if marker != 0xd0 + (markers % 8) as u8 || markers + 1 == intervals {
                break;
            }
            markers += 1;
            at += fill + 1;
            begun = at;
        }
        if self.scans == 1 {
            self.first_scan = self.ends.len() - 1;
        }
        // One more at the end, which some encoders write, harms nothing.
        let follows = file[at..].iter().find(|&&byte| byte != 0xff);
        let is_restart = follows.is_some_and(|marker| (0xd0..=0xd7).contains(marker));
        let fill = file[at..].iter().take_while(|&&byte| byte == 0xff).count();
        if markers + 1 != intervals || (is_restart && file.get(at + fill + 1) != Some(&0xff)) {
            return damaged(format!(
                "a scan has {markers} of {} restart markers, or others between them",
                intervals - 1
            ));
        }
        Ok(at)
    }

    fn scan_header(&mut self, content: &[u8]) -> Decoded<Scan> {
        let Some((&count, rest)) = content.split_first() else {
            return damaged("a scan header is too short");
        };
        let (parts, [from, to, bits]) = match rest.as_chunks::<2>() {
            _ if self.components.is_empty() => return damaged("a scan before the frame header"),
            _ if !(1..=4).contains(&count) || rest.len() != 2 * usize::from(count) + 3 => {
                return damaged("a scan header has another length than its components need");
            }
            _ => {
                let (parts, last) = rest.split_at(rest.len() - 3);
                (parts.as_chunks::<2>().0, [last[0], last[1], last[2]])
            }
        };
        let mut components: Vec<usize> = Vec::new();
        let tables = parts.iter().map(|part| usize::from(part[1] >> 4 & 3)).collect();
        for [id, _] in parts {
            match self.components.iter().position(|component| component.id == *id) {
                Some(index) if !components.contains(&index) => components.push(index),
                _ => {
                    return damaged(format!(
                        "a scan of component {id}, which the frame does not have or the scan has twice"
                    ));
                }
            }
        }
        self.is_ordered &= components.is_sorted();
        if !self.is_progressive {
            return Ok(Scan { components, tables, from: 0, to: 63, high: 0, low: 0 });
        }
        let (high, low) = (bits >> 4, bits & 15);
        // T.81, G.1.1.1.
        let is_band = if from == 0 { to == 0 } else { from <= to && to < 64 && count == 1 };
        if !is_band || low > 13 || (high > 0 && high != low + 1) {
            return damaged(format!(
                "a scan of coefficients {from} to {to}, bits {high} to {low}, {count} components"
            ));
        }
        Ok(Scan { components, tables, from, to, high, low })
    }

    /// MCUs of a scan of `components`, and blocks of each (T.81, A.2).
    fn units(&self, components: &[usize]) -> [usize; 2] {
        match components {
            &[index] => [self.components[index].size.map(|side| side.div_ceil(8)).iter().product(), 1],
            _ => [
                self.width.div_ceil(8 * self.most[0]) * self.height.div_ceil(8 * self.most[1]),
                components.iter().map(|&index| self.components[index].h * self.components[index].v).sum(),
            ],
        }
    }

    /// Whether there is a mean for every block of `units` MCUs.
    fn has_means(&self, data: &[u8], scan: &Scan, units: usize) -> bool {
        let alone = scan.components.len() == 1;
        let tables = scan.components.iter().zip(&scan.tables).map(|(&index, &table)| {
            let component = &self.components[index];
            (&self.means[table], if alone { 1 } else { component.h * component.v })
        });
        means::suffice(data, &tables.collect::<Vec<_>>(), units)
    }

    fn check_whole(&self) -> Decoded<()> {
        if self.components.is_empty() {
            return damaged("there is no frame header");
        }
        for (number, component) in (1..).zip(&self.components) {
            if component.sent[0] == NEVER {
                return damaged(format!("no scan has component {number} of {}", self.components.len()));
            }
            if let Some(k) = component.sent.iter().position(|&sent| sent > 0) {
                return damaged(format!(
                    "the scans that complete component {number} are missing, from coefficient {k} on"
                ));
            }
        }
        Ok(())
    }

    /// How the samples stand for colours.
    pub fn colours(&self) -> Decoded<Colours> {
        let ids: Vec<_> = self.components.iter().map(|component| component.id).collect();
        Ok(match (self.components.len(), self.adobe) {
            (1, _) => Colours::Grey,
            (_, Some(3..)) => return unread("colour transform 0, 1 or 2 in the Adobe marker", "another"),
            (3, _) if self.is_jfif => Colours::YCbCr,
            (3, Some(0)) => Colours::Rgb,
            (3, None) if ids == *b"RGB" => Colours::Rgb,
            (3, _) => Colours::YCbCr,
            (_, Some(0)) => Colours::Cmyk,
            (_, Some(2)) => Colours::Ycck,
            (_, Some(_)) => return unread("colour transform 0 or 2 for four components", "1"),
            // Programs differ in what they take 0 for.
            (_, None) => {
                return unread(
                    "four components with an Adobe marker",
                    "none, so that it is not known whether 0 is no ink or all of it",
                );
            }
        })
    }
}

/// Bytes of entropy-coded data, without the zeros after 0xff.
fn unstuffed(data: &[u8]) -> usize {
    data.len() - data.windows(2).filter(|pair| **pair == [0xff, 0]).count()
}
