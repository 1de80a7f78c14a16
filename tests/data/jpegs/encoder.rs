//! A JPEG encoder for tests, straight from ITU-T T.81: any sampling factors, any order of scans, sequential and
//! progressive, with restart intervals, for components whose samples the test chooses. It shares no code with any
//! decoder, and knows what each component's samples become when they are decoded exactly (f64).

use super::huffman::Table;
use std::array;
use std::f64::consts::PI;
use std::sync::LazyLock;

/// The order in which coefficients are stored (T.81 figure A.6).
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Which Huffman tables are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Codes {
    /// T.81's examples, for sequential frames.
    Standard,
    /// Every symbol in eight or nine bits, which progressive frames need.
    Flat,
    /// One and the other by turns, redefined before each scan.
    Turns,
}

/// A marker segment.
pub fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    [&[0xff, marker][..], &(content.len() as u16 + 2).to_be_bytes(), content].concat()
}

/// One component of a frame.
#[derive(Clone, Debug)]
pub struct Component {
    pub id: u8,
    pub h: usize,
    pub v: usize,
    /// Samples across and down (T.81 A.1.1).
    pub width: usize,
    pub height: usize,
    /// Blocks across, those that only pad an interleaved scan included.
    blocks_wide: usize,
    /// Quantised coefficients of each block, in the order of ZIGZAG.
    blocks: Vec<[i32; 64]>,
}

/// A scan: which components, and of which coefficients which bits.
#[derive(Clone, Debug)]
pub struct Scan {
    pub components: Vec<usize>,
    pub from: usize,
    pub to: usize,
    pub high: u8,
    pub low: u8,
}

impl Scan {
    /// All of these components, as in a sequential frame.
    pub fn all(components: &[usize]) -> Scan {
        Scan::band(components, 0, 63, 0, 0)
    }

    pub fn band(components: &[usize], from: usize, to: usize, high: u8, low: u8) -> Scan {
        Scan { components: components.to_vec(), from, to, high, low }
    }
}

/// An image to be written.
#[derive(Clone, Debug)]
pub struct Frame {
    pub width: usize,
    pub height: usize,
    pub components: Vec<Component>,
    /// The divisor of coefficient `k` of the zigzag order is `step + k / 8`.
    pub step: u16,
    pub wide_tables: bool,
    /// MCUs between restart markers, 0 for none.
    pub restart: usize,
    pub codes: Codes,
    /// Segments between the first marker and the tables.
    pub header: Vec<u8>,
    /// Segments before every scan but the first.
    pub between: Vec<u8>,
}

impl Frame {
    /// A frame of components `(id, h, v)`, whose sample (x, y) is `sample(component, x, y)`. What pads the right and the
    /// lower edge repeats the last column and row, or is `padding`.
    pub fn new(
        [width, height]: [usize; 2],
        components: &[(u8, usize, usize)],
        padding: Option<f64>,
        sample: impl Fn(usize, usize, usize) -> f64,
    ) -> Frame {
        let most = |side: fn(&(u8, usize, usize)) -> usize| components.iter().map(side).max().unwrap();
        let (h_max, v_max) = (most(|c| c.1), most(|c| c.2));
        let mut frame = Frame {
            width,
            height,
            components: Vec::new(),
            step: 2,
            wide_tables: false,
            restart: 0,
            codes: Codes::Standard,
            header: Vec::new(),
            between: Vec::new(),
        };
        for (index, &(id, h, v)) in components.iter().enumerate() {
            let (across, down) = ((width * h).div_ceil(h_max), (height * v).div_ceil(v_max));
            let blocks_wide = h * width.div_ceil(8 * h_max);
            let blocks_high = v * height.div_ceil(8 * v_max);
            let mut blocks = Vec::new();
            for block in 0..blocks_wide * blocks_high {
                let (left, top) = (block % blocks_wide * 8, block / blocks_wide * 8);
                let value = |x: usize, y: usize| match padding {
                    Some(value) if x >= across || y >= down => value,
                    _ => sample(index, x.min(across - 1), y.min(down - 1)),
                };
                let samples = array::from_fn(|i| value(left + i % 8, top + i / 8) - 128.0);
                let coefficients = forward(&samples);
                blocks.push(array::from_fn(|k| (coefficients[ZIGZAG[k]] / frame.divisor(k)).round() as i32));
            }
            frame.components.push(Component { id, h, v, width: across, height: down, blocks_wide, blocks });
        }
        frame
    }

    fn divisor(&self, k: usize) -> f64 {
        f64::from(self.step) + (k / 8) as f64
    }

    /// What the samples of component `index` are when they are decoded, 0..=255, unrounded, row by row.
    pub fn decoded(&self, index: usize) -> Vec<f64> {
        let component = &self.components[index];
        let mut plane = vec![0.0; component.width * component.height];
        for (block, stored) in component.blocks.iter().enumerate() {
            let (left, top) = (block % component.blocks_wide * 8, block / component.blocks_wide * 8);
            let mut coefficients = [0.0; 64];
            (0..64).for_each(|k| coefficients[ZIGZAG[k]] = f64::from(stored[k]) * self.divisor(k));
            for (i, value) in inverse(&coefficients).into_iter().enumerate() {
                let (x, y) = (left + i % 8, top + i / 8);
                if x < component.width && y < component.height {
                    plane[y * component.width + x] = (value + 128.0).clamp(0.0, 255.0);
                }
            }
        }
        plane
    }

    /// The file, with frame marker `marker` (0xc0 baseline, 0xc1 extended, 0xc2 progressive).
    pub fn write(&self, marker: u8, scans: &[Scan]) -> Vec<u8> {
        let mut out = [&[0xff, 0xd8][..], &self.header].concat();
        let mut table = vec![u8::from(self.wide_tables) << 4];
        for k in 0..64 {
            let divisor = self.divisor(k) as u16;
            table.extend(&divisor.to_be_bytes()[usize::from(!self.wide_tables)..]);
        }
        out.extend(segment(0xdb, &table));
        let mut frame = vec![8];
        frame.extend([(self.height as u16).to_be_bytes(), (self.width as u16).to_be_bytes()].concat());
        frame.push(self.components.len() as u8);
        self.components.iter().for_each(|c| frame.extend([c.id, (c.h << 4 | c.v) as u8, 0]));
        out.extend(segment(marker, &frame));
        out.extend(if self.restart > 0 {
            segment(0xdd, &(self.restart as u16).to_be_bytes())
        } else {
            vec![]
        });
        for (number, scan) in scans.iter().enumerate() {
            out.extend(if number > 0 { &self.between[..] } else { &[] });
            let flat = self.codes == Codes::Flat || self.codes == Codes::Turns && number % 2 == 1;
            let tables = [Table::dc(flat), Table::ac(flat)];
            if number == 0 || self.codes == Codes::Turns {
                out.extend([tables[0].segment(0), tables[1].segment(0x10)].concat());
            }
            let mut header = vec![scan.components.len() as u8];
            scan.components.iter().for_each(|&c| header.extend([self.components[c].id, 0]));
            header.extend([scan.from as u8, scan.to as u8, scan.high << 4 | scan.low]);
            out.extend(segment(0xda, &header));
            Coder { tables, scan, progressive: marker == 0xc2, ..Coder::new(scan) }.scan(self, &mut out);
        }
        out.extend([0xff, 0xd9]);
        out
    }
}

/// `WAVES[u][x]` is the share that coefficient `u` has in sample `x` of a row of eight (T.81 A.3.3).
static WAVES: LazyLock<[[f64; 8]; 8]> = LazyLock::new(|| {
    let scale = |u| if u == 0 { 0.125_f64.sqrt() } else { 0.5 };
    array::from_fn(|u| array::from_fn(|x| scale(u) * ((2 * x + 1) as f64 * u as f64 * PI / 16.0).cos()))
});

/// Coefficients of 64 samples, row by row.
fn forward(samples: &[f64; 64]) -> [f64; 64] {
    twice(samples, |from, to| WAVES[to][from])
}

/// Samples of 64 coefficients.
fn inverse(coefficients: &[f64; 64]) -> [f64; 64] {
    twice(coefficients, |from, to| WAVES[from][to])
}

/// Replaces rows, then columns, by sums that are weighed so.
fn twice(values: &[f64; 64], weight: impl Fn(usize, usize) -> f64) -> [f64; 64] {
    let once = |values: &[f64; 64]| -> [f64; 64] {
        // Row and column change places.
        array::from_fn(|at| (0..8).map(|from| values[at % 8 * 8 + from] * weight(from, at / 8)).sum())
    };
    once(&once(values))
}

/// The entropy coder of one scan (T.81 annexes F and G).
struct Coder<'a> {
    tables: [Table; 2],
    scan: &'a Scan,
    progressive: bool,
    out: Vec<u8>,
    bits: u64,
    held: u8,
    /// The last mean of each component of the scan.
    means: [i32; 4],
    /// Blocks whose rest is zero and not yet written, and their correction bits.
    run: u32,
    corrections: Vec<u32>,
}

impl<'a> Coder<'a> {
    fn new(scan: &'a Scan) -> Coder<'a> {
        let tables = [Table::dc(true), Table::ac(true)];
        let (out, corrections) = (Vec::new(), Vec::new());
        Coder { tables, scan, progressive: false, out, bits: 0, held: 0, means: [0; 4], run: 0, corrections }
    }

    fn scan(mut self, frame: &Frame, out: &mut Vec<u8>) {
        let most = |side: fn(&Component) -> usize| frame.components.iter().map(side).max().unwrap();
        let first = &frame.components[self.scan.components[0]];
        // A lone component is not interleaved: an MCU is a block, and there are no more than its samples need (A.2.2).
        let lone = self.scan.components.len() == 1;
        let (across, down) = match lone {
            true => (first.width.div_ceil(8), first.height.div_ceil(8)),
            false => (frame.width.div_ceil(8 * most(|c| c.h)), frame.height.div_ceil(8 * most(|c| c.v))),
        };
        for mcu in 0..across * down {
            if frame.restart > 0 && mcu > 0 && mcu % frame.restart == 0 {
                self.flush();
                self.out.extend([0xff, 0xd0 + (mcu / frame.restart - 1) as u8 % 8]);
                self.means = [0; 4];
            }
            for (place, &index) in self.scan.components.iter().enumerate() {
                let component = &frame.components[index];
                let (h, v) = if lone { (1, 1) } else { (component.h, component.v) };
                for part in 0..h * v {
                    let (x, y) = (mcu % across * h + part % h, mcu / across * v + part / h);
                    self.block(&component.blocks[y * component.blocks_wide + x], place);
                }
            }
        }
        self.flush();
        out.extend(self.out);
    }

    fn put(&mut self, value: u32, count: u8) {
        self.bits = self.bits << count | u64::from(value) & ((1 << count) - 1);
        self.held += count;
        while self.held >= 8 {
            self.held -= 8;
            let byte = (self.bits >> self.held) as u8;
            self.out.push(byte);
            self.out.extend((byte == 0xff).then_some(0));
        }
    }

    fn symbol(&mut self, table: usize, symbol: u8) {
        let (code, length) = self.tables[table].codes[usize::from(symbol)];
        assert!(length > 0, "no code for {symbol:#x}");
        self.put(code, length);
    }

    /// All that is held; the last byte is filled with ones.
    fn flush(&mut self) {
        self.end_run();
        if self.held > 0 {
            self.put(0x7f, 8 - self.held);
        }
    }

    fn end_run(&mut self) {
        if self.run > 0 {
            let size = 31 - self.run.leading_zeros() as u8;
            self.symbol(1, size << 4);
            self.put(self.run, size);
            self.run = 0;
        }
        std::mem::take(&mut self.corrections).into_iter().for_each(|bit| self.put(bit, 1));
    }

    fn number(&mut self, table: usize, zeros: u8, value: i32) {
        let size = 32 - value.unsigned_abs().leading_zeros() as u8;
        self.symbol(table, zeros << 4 | size);
        self.put(if value < 0 { value - 1 } else { value } as u32, size);
    }

    fn block(&mut self, block: &[i32; 64], place: usize) {
        let Scan { from, to, high, low, .. } = *self.scan;
        if from == 0 && high > 0 {
            self.put((block[0] >> low) as u32, 1);
        } else if from == 0 {
            let mean = block[0] >> low;
            self.number(0, 0, mean - self.means[place]);
            self.means[place] = mean;
        }
        // What is left of a coefficient: towards zero, unlike the mean (G.1.2.1 and G.1.2.2).
        let value = |k: usize| block[k].signum() * (block[k].abs() >> low);
        let band = from.max(1)..=to;
        if high > 0 && to > 0 {
            self.refine(&band.map(value).collect::<Vec<_>>());
        } else if to > 0 {
            let mut zeros = 0;
            for k in band {
                if value(k) == 0 {
                    zeros += 1;
                    continue;
                }
                self.end_run();
                (0..zeros / 16).for_each(|_| self.symbol(1, 0xf0));
                self.number(1, zeros % 16, value(k));
                zeros = 0;
            }
            self.run += u32::from(zeros > 0);
            if !self.progressive || self.run == 0x7fff {
                self.end_run();
            }
        }
    }

    /// One more bit of each coefficient of a band (G.1.2.3).
    fn refine(&mut self, values: &[i32]) {
        let last = values.iter().rposition(|value| value.abs() == 1);
        let (mut zeros, mut corrections) = (0, Vec::new());
        for (k, &value) in values.iter().enumerate() {
            if value == 0 {
                zeros += 1;
                continue;
            }
            while zeros > 15 && last.is_some_and(|last| k <= last) {
                self.end_run();
                self.symbol(1, 0xf0);
                std::mem::take(&mut corrections).into_iter().for_each(|bit| self.put(bit, 1));
                zeros -= 16;
            }
            if value.abs() > 1 {
                corrections.push(value.unsigned_abs() & 1);
                continue;
            }
            self.end_run();
            self.symbol(1, zeros << 4 | 1);
            self.put(u32::from(value > 0), 1);
            std::mem::take(&mut corrections).into_iter().for_each(|bit| self.put(bit, 1));
            zeros = 0;
        }
        if zeros > 0 || !corrections.is_empty() {
            self.run += 1;
            self.corrections.extend(corrections);
            if self.run == 0x7fff {
                self.end_run();
            }
        }
    }
}
