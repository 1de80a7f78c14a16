//! Which tile each matrix product takes: the fastest of all that the device allows, found by trying, and kept for the
//! next run. No choice can change a result, since every tile sums in the same order.
//!
//! What is a product is not listed here: an operator whose dispatches differ from tile to tile is one.

mod record;
mod trial;

use super::adapter::{AdapterInfo, Kind};
use super::device::Gpu;
use super::host::{Host, News};
use super::kernels::{Kernels, Limits, Tile, kernels};
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::program::{Program, Span};
use record::Record;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use xxhash_rust::xxh3::Xxh3;

/// Whether products are timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tuning {
    /// No: every product takes the tile with the least estimated time.
    #[default]
    Off,
    /// Tiles that were found before are taken; what is missing for a program that trains is timed. Not on a software
    /// adapter, which has a tile of its own.
    On,
    /// All products are timed anew, on a software adapter too.
    Force,
}

impl Tuning {
    /// The words for it, as [`FromStr`] reads them.
    pub const NAMES: [&str; 3] = ["off", "on", "force"];
}

impl FromStr for Tuning {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "off" => Ok(Tuning::Off),
            "on" => Ok(Tuning::On),
            "force" => Ok(Tuning::Force),
            _ => Err(Error::Usage(format!("tuning: expected {}, found {text}", Tuning::NAMES.join(", ")))),
        }
    }
}

/// Fewer operations than this take a GPU a few microseconds, which is what it takes to begin at all.
const SMALLEST: u64 = 10_000_000;

/// The choices of a device.
#[derive(Debug)]
pub(super) struct Tuner {
    tuning: Tuning,
    record: Mutex<Record>,
}

/// A product and every way to do it.
struct Product {
    op: Op,
    /// Its geometry in words.
    name: String,
    /// Tiles and sources of all ways in one number: with other shaders, another tile may be the fastest.
    shaders: u64,
    ways: Vec<(Tile, Kernels)>,
}

impl Product {
    /// `None` if `op` has only one way.
    fn of(op: &Op, limits: &Limits) -> Option<Product> {
        let way = |tile: Tile| Some((tile, kernels(op, &Limits { tile, ..*limits }).ok()?));
        let ways: Vec<(Tile, Kernels)> = Tile::candidates(limits).into_iter().filter_map(way).collect();
        if ways.windows(2).all(|pair| pair[0].1 == pair[1].1) {
            return None;
        }
        let mut hash = Xxh3::new();
        for (tile, kernels) in &ways {
            hash.update(format!("{tile:?}\n").as_bytes());
            kernels.dispatches.iter().for_each(|dispatch| hash.update(dispatch.shader.source.as_bytes()));
        }
        let dispatches = &ways.first()?.1.dispatches;
        let first = dispatches.first()?;
        let constants = first.constants.iter().map(|(name, value)| format!(" {name}={value}"));
        let name =
            format!("{}{} parts={}", first.shader.name, constants.collect::<String>(), dispatches.len());
        Some(Product { op: op.clone(), name, shaders: hash.digest(), ways })
    }

    fn chosen(&self, record: &Record) -> Option<Tile> {
        let tile = record.get(&self.name, self.shaders)?;
        self.ways.iter().map(|way| way.0).find(|candidate| format!("{candidate:?}") == tile)
    }
}

impl Tuner {
    /// Reads what `host` keeps of this adapter.
    pub fn open(tuning: Tuning, info: &AdapterInfo, device: u32, limits: &Limits, host: &dyn Host) -> Self {
        let fixed = matches!(limits.tile, Tile::Exactly(_));
        let tuning = match tuning {
            Tuning::On if info.kind == Kind::Software => Tuning::Off,
            _ if fixed => Tuning::Off,
            other => other,
        };
        let file = format!("tiles_{}_{:x}_{device:x}.json", info.backend, info.vendor);
        let adapter = format!("{}, {}, {}", info.name, info.backend, info.driver);
        let mut record = Record::new(file, adapter);
        if tuning == Tuning::On {
            record.load(host);
        }
        Tuner { tuning, record: Mutex::new(record) }
    }

    /// `limits` with the tile that was chosen for `op`, if one was.
    pub fn limits(&self, op: &Op, limits: &Limits) -> Limits {
        if self.tuning == Tuning::Off {
            return *limits;
        }
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let tile = Product::of(op, limits).and_then(|product| product.chosen(&record));
        Limits { tile: tile.unwrap_or(limits.tile), ..*limits }
    }

    /// The products of `program` that have no choice yet and are to be timed, each geometry once.
    fn missing(&self, program: &Program, limits: &Limits) -> Vec<Product> {
        let trains = program.steps(Span::Update).next().is_some();
        if self.tuning == Tuning::Off || (self.tuning == Tuning::On && !trains) {
            return Vec::new();
        }
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let steps = [Span::Train, Span::Forward].into_iter().flat_map(|span| program.steps(span));
        let mut products = BTreeMap::new();
        for op in steps.map(|step| &step.op) {
            if self.tuning == Tuning::On && op.flops() < SMALLEST {
                continue;
            }
            let product = Product::of(op, limits).filter(|product| product.chosen(&record).is_none());
            if let Some(product) = product {
                products.insert(product.name.clone(), product);
            }
        }
        products.into_values().collect()
    }
}

impl Gpu {
    /// Finds the fastest tile of every product of `program` for which it is not known, as far as [`Tuning`] wants it,
    /// and has it kept.
    ///
    /// # Errors
    /// `Error::Device` if the device fails. A tile that cannot be compiled or timed is left out.
    pub(super) async fn tune(&self, program: &Program) -> Result<()> {
        let tuner = self.tuner();
        let products = tuner.missing(program, self.limits());
        if products.is_empty() {
            return Ok(());
        }
        if !self.device().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            if tuner.tuning == Tuning::Force {
                let text = format!("{} has no timestamps, so its products are not timed", self.info().name);
                self.host().hear(News::Warning(&text));
            }
            return Ok(());
        }
        // What is compiled here is dropped again, and not kept with what will be needed.
        let pipelines = self.pipelines().apart();
        #[cfg(not(target_arch = "wasm32"))]
        {
            let kernels = products.iter().flat_map(|product| &product.ways).map(|way| &way.1);
            let dispatches: Vec<_> = kernels.flat_map(|kernels| &kernels.dispatches).collect();
            pipelines.prepare(self, &dispatches);
        }
        let Some(bench) = trial::Bench::new(self, &pipelines, &products).await? else {
            let text = "no memory to time matrix products; tiles are estimated";
            self.host().hear(News::Warning(text));
            return Ok(());
        };
        let all = products.len();
        self.host().hear(News::Tuning { done: 0, all });
        for (done, product) in (1..).zip(&products) {
            let times = bench.times(product).await?;
            let fastest = times.iter().min_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((tile, seconds)) = fastest {
                let list: Vec<String> = times.iter().map(|(t, s)| format!("{t:?} {:.3}", s * 1e3)).collect();
                log::info!("{}: {tile:?} in {:.3} ms ({})", product.name, seconds * 1e3, list.join(", "));
                let mut record = tuner.record.lock().unwrap_or_else(PoisonError::into_inner);
                record.set(&product.name, product.shaders, &format!("{tile:?}"));
            }
            self.host().hear(News::Tuning { done, all });
        }
        drop(bench);
        tuner.record.lock().unwrap_or_else(PoisonError::into_inner).save(self.host());
        // Only now is the memory of the trials free.
        self.poll(wgpu::PollType::wait_indefinitely())
    }

    /// What the kernels of `op` have to respect, with the tile that was chosen for it.
    pub fn limits_of(&self, op: &Op) -> Limits {
        self.tuner().limits(op, self.limits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Linear, Pointwise};

    fn linear(batch: usize) -> Op {
        Op::LinearForward(Linear { batch, inputs: 300, outputs: 200, bias: true, relu: false })
    }

    #[test]
    fn products_and_nothing_else_have_several_ways() {
        let limits = Limits::default();
        assert!(Product::of(&Op::ReluForward(Pointwise { len: 10 }), &limits).is_none());
        let product = Product::of(&linear(7), &limits).unwrap();
        assert_eq!(product.ways.len(), Tile::candidates(&limits).len());
        assert!(product.name.starts_with("linear_forward ") && product.name.contains(" batch=7 "));
        assert_ne!(product.name, Product::of(&linear(8), &limits).unwrap().name);
    }

    #[test]
    fn a_choice_is_taken_only_for_the_shaders_it_was_made_for() {
        let limits = Limits::default();
        let product = Product::of(&linear(7), &limits).unwrap();
        let last = product.ways.last().unwrap().0;
        let tuner = |shaders| {
            let mut record = Record::new("file".into(), "adapter".into());
            record.set(&product.name, shaders, &format!("{last:?}"));
            Tuner { tuning: Tuning::On, record: record.into() }
        };
        assert_eq!(tuner(product.shaders).limits(&linear(7), &limits).tile, last);
        assert_eq!(tuner(product.shaders ^ 1).limits(&linear(7), &limits).tile, limits.tile);
        assert_eq!(tuner(product.shaders).limits(&linear(8), &limits).tile, limits.tile);
        let off = Tuner { tuning: Tuning::Off, ..tuner(product.shaders) };
        assert_eq!(off.limits(&linear(7), &limits).tile, limits.tile);
    }

    #[test]
    fn the_words_are_those_that_are_listed() {
        let all = [Tuning::Off, Tuning::On, Tuning::Force];
        assert_eq!(Tuning::NAMES.map(|name| name.parse::<Tuning>().unwrap()), all);
        assert_eq!("fast".parse::<Tuning>().unwrap_err().exit_code(), 2);
    }
}
