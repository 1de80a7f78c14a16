//! Which kernel computes each matrix product: the fastest of those that the device can run, found by timing them (`trial`)
//! and stored for the next run. No choice can change a result, since every kernel sums in the same order.
//!
//! The products are not listed here: an operator is one if its dispatches differ from kernel to kernel.

mod record;

use super::adapter::{AdapterInfo, Kind};
use super::cache_store::{CacheStore, NoCache};
use super::kernels::{GemmKernel, Kernels, Limits, kernels};
use super::progress::ProgressListener;
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::program::{Program, Span};
use record::Record;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use xxhash_rust::xxh3::Xxh3;

/// Whether products are timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tuning {
    /// No: every product uses the kernel with the least estimated time.
    #[default]
    Off,
    /// Stored choices are used, and the products of a program that trains are timed if they have none. Not on a software
    /// adapter, whose kernel is fixed.
    On,
    /// All products are timed again, on a software adapter too.
    Force,
}

impl Tuning {
    /// The names that [`FromStr`] reads.
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

/// Fewer operations than this take a GPU a few microseconds, no longer than starting a dispatch.
const SMALLEST: u64 = 10_000_000;

/// The choices of a device.
#[derive(Debug)]
pub(super) struct Tuner {
    tuning: Tuning,
    record: Mutex<Record>,
}

/// A product and every kernel that can compute it.
pub(super) struct TunedProduct {
    pub op: Op,
    /// Its label and geometry.
    pub name: String,
    /// A hash of all kernels and their sources: with other shaders, another kernel may be the fastest.
    pub shaders: u64,
    pub candidates: Vec<(GemmKernel, Kernels)>,
}

impl TunedProduct {
    /// `None` if all candidates would run the same dispatches for `op`.
    fn of(op: &Op, limits: &Limits) -> Option<TunedProduct> {
        let candidate = |kernel: GemmKernel| Some((kernel, kernels(op, &Limits { kernel, ..*limits }).ok()?));
        let candidates: Vec<(GemmKernel, Kernels)> =
            GemmKernel::candidates(limits).into_iter().filter_map(candidate).collect();
        if candidates.windows(2).all(|pair| pair[0].1 == pair[1].1) {
            return None;
        }
        let mut hash = Xxh3::new();
        for (kernel, kernels) in &candidates {
            hash.update(kernel.name().as_bytes());
            kernels.dispatches.iter().for_each(|dispatch| hash.update(dispatch.shader.source().as_bytes()));
        }
        let dispatches = &candidates.first()?.1.dispatches;
        let first = dispatches.first()?;
        let constants = first.constants.iter().map(|(name, value)| format!(" {name}={value}"));
        let name =
            format!("{}{} parts={}", first.shader.name, constants.collect::<String>(), dispatches.len());
        Some(TunedProduct { op: op.clone(), name, shaders: hash.digest(), candidates })
    }

    fn chosen(&self, record: &Record) -> Option<GemmKernel> {
        let name = record.get(&self.name, self.shaders)?;
        self.candidates.iter().map(|candidate| candidate.0).find(|kernel| kernel.name() == name)
    }
}

impl Tuner {
    /// Reads the stored choices of this adapter.
    pub fn open(
        tuning: Tuning,
        info: &AdapterInfo,
        device: u32,
        limits: &Limits,
        store: Arc<dyn CacheStore>,
        progress: &ProgressListener,
    ) -> Self {
        let fixed = matches!(limits.kernel, GemmKernel::Exactly(_));
        let tuning = match tuning {
            Tuning::On if info.kind == Kind::Software => Tuning::Off,
            _ if fixed => Tuning::Off,
            other => other,
        };
        let file = format!("tiles_{}_{:x}_{device:x}.json", info.backend, info.vendor);
        let adapter = format!("{}, {}, {}", info.name, info.backend, info.driver);
        let mut record = Record::new(file, adapter, store);
        if tuning == Tuning::On {
            record.load(progress);
        }
        Tuner { tuning, record: Mutex::new(record) }
    }

    /// One that times nothing and has no choices.
    pub fn off() -> Self {
        let record = Record::new(String::new(), String::new(), Arc::new(NoCache));
        Tuner { tuning: Tuning::Off, record: Mutex::new(record) }
    }

    /// Whether timing was asked for explicitly.
    pub fn is_forced(&self) -> bool {
        self.tuning == Tuning::Force
    }

    /// Records that `kernel` is the fastest for `product`.
    pub fn choose(&self, product: &TunedProduct, kernel: GemmKernel) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        record.set(&product.name, product.shaders, kernel.name());
    }

    /// Stores all choices.
    pub fn save(&self) {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).save();
    }

    /// `limits` with the kernel that was chosen for `op`, if there is a choice.
    pub fn limits(&self, op: &Op, limits: &Limits) -> Limits {
        if self.tuning == Tuning::Off {
            return *limits;
        }
        let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        let kernel = TunedProduct::of(op, limits).and_then(|product| product.chosen(&record));
        Limits { kernel: kernel.unwrap_or(limits.kernel), ..*limits }
    }

    /// The products of `program` that have no choice yet and should be timed, each geometry once.
    pub fn missing(&self, program: &Program, limits: &Limits) -> Vec<TunedProduct> {
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
            let product = TunedProduct::of(op, limits).filter(|product| product.chosen(&record).is_none());
            if let Some(product) = product {
                products.insert(product.name.clone(), product);
            }
        }
        products.into_values().collect()
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
    fn only_products_have_several_candidates() {
        let limits = Limits::default();
        assert!(TunedProduct::of(&Op::ReluForward(Pointwise { len: 10 }), &limits).is_none());
        let product = TunedProduct::of(&linear(7), &limits).unwrap();
        assert_eq!(product.candidates.len(), GemmKernel::candidates(&limits).len());
        assert!(product.name.starts_with("linear_forward ") && product.name.contains(" batch=7 "));
        assert_ne!(product.name, TunedProduct::of(&linear(8), &limits).unwrap().name);
    }

    #[test]
    fn a_choice_is_taken_only_for_the_shaders_it_was_made_for() {
        let limits = Limits::default();
        let product = TunedProduct::of(&linear(7), &limits).unwrap();
        let last = product.candidates.last().unwrap().0;
        let tuner = |shaders| {
            let mut record = Record::new("file".into(), "adapter".into(), Arc::new(NoCache));
            record.set(&product.name, shaders, last.name());
            Tuner { tuning: Tuning::On, record: record.into() }
        };
        assert_eq!(tuner(product.shaders).limits(&linear(7), &limits).kernel, last);
        assert_eq!(tuner(product.shaders ^ 1).limits(&linear(7), &limits).kernel, limits.kernel);
        assert_eq!(tuner(product.shaders).limits(&linear(8), &limits).kernel, limits.kernel);
        let off = Tuner { tuning: Tuning::Off, ..tuner(product.shaders) };
        assert_eq!(off.limits(&linear(7), &limits).kernel, limits.kernel);
    }

    #[test]
    fn the_words_are_those_that_are_listed() {
        let all = [Tuning::Off, Tuning::On, Tuning::Force];
        assert_eq!(Tuning::NAMES.map(|name| name.parse::<Tuning>().unwrap()), all);
        assert_eq!("fast".parse::<Tuning>().unwrap_err().exit_code(), 2);
    }
}
