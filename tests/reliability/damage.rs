//! A7: checkpoints that are cut, or have a single bit wrong, are never taken: one warning names what is wrong, and the one
//! before is taken.

use super::program::{place, succeed, train};
use super::size;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use striate::random::{Purpose, Stream};
use striate::run::Checkpoint;
use tempfile::TempDir;

/// A run's folder whose newest checkpoint can be damaged.
struct Saved {
    _place: TempDir,
    run: PathBuf,
    newest: PathBuf,
    whole: Vec<u8>,
    /// Where in the file each tensor lies, and its name.
    tensors: Vec<(std::ops::Range<usize>, String)>,
    looks: usize,
}

impl Saved {
    fn new(network: &str) -> Saved {
        let place = place();
        succeed(place.path(), &train(network, "run", &["-q"]));
        let run = place.path().join("runs/run");
        let newest = run.join("checkpoint.safetensors");
        let whole = fs::read(&newest).unwrap();
        let data = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
        let header: serde_json::Map<String, Value> = serde_json::from_slice(&whole[8..data]).unwrap();
        let of = |value: &Value, which: usize| data + value["data_offsets"][which].as_u64().unwrap() as usize;
        let is_tensor = |entry: &(&String, &Value)| *entry.0 != "__metadata__";
        let place_of = |(name, value): (&String, &Value)| (of(value, 0)..of(value, 1), name.clone());
        let tensors = header.iter().filter(is_tensor).map(place_of).collect();
        Saved { _place: place, run, newest, whole, tensors, looks: 0 }
    }

    /// With `bytes` in the place of the newest checkpoint, the one before is taken, and one line says why.
    #[track_caller]
    fn assert_found(&mut self, bytes: &[u8], what: &str) -> String {
        fs::write(&self.newest, bytes).unwrap();
        self.looks += 1;
        let (_, all) = Checkpoint::find(&self.run).unwrap();
        assert_eq!(all.len(), 2);
        let taken = Checkpoint::read_first(&all).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((taken.step(), taken.warnings.len()), (9, 1), "{what}: {:?}", taken.warnings);
        let warning = taken.warnings[0].clone();
        assert!(
            warning.contains("run/checkpoint.safetensors: ") && !warning.contains('\n'),
            "{what}: {warning}"
        );
        assert!(warning.ends_with("checkpoint-1.safetensors instead"), "{what}: {warning}");
        warning
    }

    fn cut(&mut self, lengths: impl IntoIterator<Item = usize>) {
        for length in lengths {
            let bytes = self.whole[..length].to_vec();
            self.assert_found(&bytes, &format!("cut to {length}"));
        }
    }

    /// Turns one bit round; if it belongs to a tensor, that is named.
    fn turn(&mut self, at: usize, bit: u32) {
        let mut bytes = std::mem::take(&mut self.whole);
        bytes[at] ^= 1 << bit;
        let warning = self.assert_found(&bytes, &format!("bit {bit} of byte {at}"));
        bytes[at] ^= 1 << bit;
        self.whole = bytes;
        if let Some((_, name)) = self.tensors.iter().find(|(range, _)| range.contains(&at)) {
            assert!(warning.contains(&format!("tensor {name}: ")), "byte {at}: {warning}");
        }
    }
}

#[test]
fn every_wrong_bit_is_found_and_the_one_before_is_taken() {
    let mut reported = Vec::new();
    // Half of them in a file that is mostly header, half in one that is mostly tensors.
    for (network, seed) in [("tiny", 3), ("wide", 4)] {
        let mut saved = Saved::new(network);
        let mut stream = Stream::new(seed, Purpose::Test, 0);
        for _ in 0..size(1000, 10_000) / 2 {
            let at = stream.below(saved.whole.len() as u32) as usize;
            saved.turn(at, stream.below(8));
        }
        reported.push(format!("{} in a file of {} bytes", saved.looks, saved.whole.len()));
    }
    println!("A7: single bits, all found: {}", reported.join(", "));
}

#[test]
fn every_cut_zeroed_tail_and_pair_of_swapped_tensors_is_found() {
    let mut saved = Saved::new("wide");
    let length = saved.whole.len();
    // In the header every byte, or a few of them; everywhere every page.
    saved.cut((0..4096).step_by(size(4, 1)));
    saved.cut((4096..length).step_by(4096));
    saved.cut([length - 1]);
    let cuts = saved.looks;
    for tail in [1, 4, 100, 4096, 1 << 20, length - 8, length] {
        let mut bytes = saved.whole.clone();
        // What was zero before is no damage.
        let from = bytes[..length - tail + 1].iter().rposition(|&byte| byte != 0).unwrap_or(0);
        bytes[from..].fill(0);
        saved.assert_found(&bytes, &format!("the last {tail} bytes are zero"));
    }
    let zeroed = saved.looks - cuts;
    for one in 0..saved.tensors.len() {
        for other in 0..one {
            let [(a, name), (b, _)] = [&saved.tensors[one], &saved.tensors[other]].map(Clone::clone);
            let is_same = saved.whole[a.clone()] == saved.whole[b.clone()];
            if a.len() != b.len() || is_same {
                continue;
            }
            let mut bytes = saved.whole.clone();
            bytes[a.clone()].copy_from_slice(&saved.whole[b.clone()]);
            bytes[b].copy_from_slice(&saved.whole[a]);
            let warning = saved.assert_found(&bytes, &format!("{name} swapped"));
            assert!(warning.contains("tensor "), "{warning}");
        }
    }
    let swapped = saved.looks - cuts - zeroed;
    println!("A7: {cuts} cuts, {zeroed} zeroed tails, {swapped} pairs of swapped tensors, all found");
    assert!(swapped >= 6);
}
