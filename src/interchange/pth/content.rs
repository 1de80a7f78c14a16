//! The weights in what was saved: a dictionary of tensors, or the one of a checkpoint that has its epoch, the state of its
//! optimiser and other values beside it.

use super::globals;
use super::view::{View, is_tensor, view};
use super::{ADVICE, shortened};
use crate::pickle::{LONGEST_BYTES, NodeId, Pickle, Value};
use std::collections::HashSet;
use std::fmt;

/// Names under which checkpoints hold the weights, the first that is there being taken.
const NAMES: [&str; 14] = [
    "state_dict",
    "model_state_dict",
    "model",
    "model_state",
    "net",
    "network",
    "net_state_dict",
    "weights",
    "params",
    "module",
    "ema",
    "model_ema",
    "ema_state_dict",
    "state_dict_ema",
];

/// How deep in a checkpoint the weights may be.
const DEEPEST: usize = 3;

/// Most tensors of a network.
const MOST_TENSORS: usize = 1 << 16;

/// Most axes of all tensors together.
const MOST_AXES: usize = 16 * MOST_TENSORS;

/// How many names a message lists.
const SHOWN: usize = 8;

/// What is read of a file.
pub(super) struct Content {
    /// Tensors by name, in the order of the file.
    pub tensors: Vec<(String, View)>,
    /// Remarks for the user.
    pub notes: Vec<String>,
}

type Entries<'a> = Vec<(Value<'a>, Value<'a>)>;

/// The keys that lead to a dictionary, shortened. A hostile file may use one long key many times, so none is copied.
#[derive(Clone, Copy)]
struct Trail<'p> {
    keys: [&'p str; DEEPEST],
    length: usize,
}

/// Finds the weights in `pickle`.
pub(super) fn find(pickle: &Pickle<'_>) -> Result<Content, String> {
    globals::check(pickle)?;
    let root = pickle.root();
    let Some(top) = pickle.mapping(root) else {
        let found = if is_tensor(pickle, root) { "one tensor without a name" } else { pickle.kind(root) };
        return Err(format!("expected a dictionary of tensors (a state_dict), found {found}; {ADVICE}"));
    };
    let mut notes = Vec::new();
    let entries = choose(pickle, top, &mut notes)?;
    let mut tensors: Vec<(String, View)> = Vec::new();
    let (mut known, mut others, mut axes) = (HashSet::new(), Vec::new(), 0);
    for (key, value) in entries {
        let Some(name) = pickle.text(key) else {
            if pickle.bytes(key).is_some_and(|bytes| bytes.len() > LONGEST_BYTES) && is_tensor(pickle, value)
            {
                return Err(format!("expected strings of at most {LONGEST_BYTES} bytes as names of tensors"));
            }
            continue;
        };
        if !is_tensor(pickle, value) {
            others.push(shortened(name));
        } else if !is_counter(name) {
            if !known.insert(name) {
                return Err(format!("two tensors are named {}", shortened(name)));
            }
            if tensors.len() == MOST_TENSORS {
                return Err(format!("expected at most {MOST_TENSORS} tensors, found more"));
            }
            let view = view(pickle, value).map_err(|what| format!("tensor {}: {what}", shortened(name)))?;
            axes += view.shape.len();
            if axes > MOST_AXES {
                return Err(format!("expected tensors of at most {MOST_AXES} axes together, found more"));
            }
            tensors.push((name.to_string(), view));
        }
    }
    if !others.is_empty() {
        notes.push(format!(
            "not used, since they are no tensors: {}",
            list(others.iter().copied(), others.len())
        ));
    }
    Ok(Content { tensors, notes })
}

/// Batch norms' counters, and that of `torch.optim.swa_utils.AveragedModel`, which nothing here uses.
fn is_counter(name: &str) -> bool {
    name == "num_batches_tracked" || name.ends_with(".num_batches_tracked") || name == "n_averaged"
}

/// The entries that are the weights: those of `top`, or of a dictionary in it.
fn choose<'a>(pickle: &Pickle<'a>, top: Entries<'a>, notes: &mut Vec<String>) -> Result<Entries<'a>, String> {
    let mut seen: HashSet<NodeId> = HashSet::new();
    let is_top = is_state(pickle, &top);
    let all = names(pickle, &top);
    // Dictionaries may share their entries, so that many of them are in a small file.
    let mut left = pickle.length();
    let mut level: Vec<(Trail<'_>, Value<'a>)> =
        vec![(Trail { keys: [""; DEEPEST], length: 0 }, pickle.root())];
    for depth in 0..DEEPEST {
        let mut found: Vec<(Trail<'_>, Value<'a>)> = Vec::new();
        let mut next: Vec<(Trail<'_>, Value<'a>)> = Vec::new();
        for (trail, outer) in &level {
            for (key, value) in pickle.mapping(*outer).unwrap_or_default() {
                let (Some(key), Value::Node(id)) = (pickle.text(key), value) else { continue };
                // Each once, however often a hostile file refers to it.
                if !seen.insert(id) {
                    continue;
                }
                left = left.checked_sub(pickle.entries(value)).ok_or_else(|| {
                    let most = pickle.length();
                    format!("expected at most {most} entries of dictionaries together, found more")
                })?;
                let Some(entries) = pickle.mapping(value) else { continue };
                let trail = trail.with(key);
                match is_state(pickle, &entries) {
                    true => found.push((trail, value)),
                    false if is_optimizer(pickle, &entries) => {}
                    false => next.push((trail, value)),
                }
            }
        }
        let rank = |trail: &Trail<'_>| NAMES.iter().position(|name| trail.key().eq_ignore_ascii_case(name));
        let best = (0..found.len()).filter_map(|at| Some((rank(&found[at].0)?, at))).min().map(|(_, at)| at);
        let best = match (best, found.len()) {
            (Some(best), _) => best,
            _ if depth == 0 && is_top => break,
            (None, 0) => {
                level = next;
                continue;
            }
            (None, 1) => 0,
            (None, count) => {
                let names: Vec<String> =
                    found.iter().take(SHOWN).map(|(trail, _)| trail.to_string()).collect();
                return Err(format!(
                    "expected one dictionary of tensors, found {count}: {}; in Python, save one of them: torch.save(torch.load(FILE)[{:?}], \"weights.pth\")",
                    list(names.iter().map(String::as_str), count),
                    shortened(&names[0]),
                ));
            }
        };
        let (trail, chosen) = found.swap_remove(best);
        let unused = all.iter().copied().filter(|name| *name != trail.keys[0]);
        // Those at the top are among them.
        let beside: Vec<String> = match depth {
            0 => Vec::new(),
            _ => found.iter().take(SHOWN).map(|(trail, _)| trail.to_string()).collect(),
        };
        let count = unused.clone().count() + if depth == 0 { 0 } else { found.len() };
        let shown = list(unused.chain(beside.iter().map(String::as_str)), count);
        let rest = if count == 0 { String::new() } else { format!("; not used: {shown}") };
        notes.push(format!("the weights are those of \"{}\"{rest}", shortened(&trail.to_string())));
        return Ok(pickle.mapping(chosen).unwrap_or_default());
    }
    if is_top {
        return Ok(top);
    }
    let found = match all.len() {
        0 => "none".to_string(),
        count => format!("only {}", list(all.into_iter(), count)),
    };
    Err(format!("expected a dictionary of tensors (a state_dict), found {found}; {ADVICE}"))
}

impl<'p> Trail<'p> {
    /// This trail and `key` behind it.
    fn with(mut self, key: &'p str) -> Trail<'p> {
        if let Some(place) = self.keys.get_mut(self.length) {
            *place = shortened(key);
            self.length += 1;
        }
        self
    }

    /// The last key, what is behind its last dot.
    fn key(&self) -> &'p str {
        let key = self.length.checked_sub(1).map_or("", |last| self.keys[last]);
        key.rsplit('.').next().unwrap_or(key)
    }
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.keys[..self.length].join("."))
    }
}

/// Whether `entries` are tensors by name, among other things.
fn is_state(pickle: &Pickle<'_>, entries: &[(Value<'_>, Value<'_>)]) -> bool {
    entries.iter().any(|&(key, value)| pickle.text(key).is_some() && is_tensor(pickle, value))
        && !is_optimizer(pickle, entries)
}

/// Whether `entries` are the state of an optimiser.
fn is_optimizer(pickle: &Pickle<'_>, entries: &[(Value<'_>, Value<'_>)]) -> bool {
    entries.iter().any(|(key, _)| pickle.text(*key) == Some("param_groups"))
}

/// The names of `entries`, shortened.
fn names<'p, 'a>(pickle: &'p Pickle<'a>, entries: &[(Value<'a>, Value<'a>)]) -> Vec<&'p str> {
    entries.iter().filter_map(|(key, _)| pickle.text(*key)).map(shortened).collect()
}

/// The first of `count` names, and the number of the others.
fn list<'n>(names: impl Iterator<Item = &'n str>, count: usize) -> String {
    let text: Vec<&str> = names.take(SHOWN).map(shortened).collect();
    match count.saturating_sub(SHOWN) {
        0 => text.join(", "),
        more => format!("{} and {more} more", text.join(", ")),
    }
}
