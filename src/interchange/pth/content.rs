//! The weights in what was saved: a dictionary of tensors, or the one of a checkpoint that has its epoch, the state of its
//! optimiser and other values beside it.

use super::ADVICE;
use super::globals;
use super::view::{View, is_tensor, view};
use crate::pickle::{NodeId, Pickle, Value};
use std::collections::HashSet;

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
    let (mut known, mut others) = (HashSet::new(), Vec::new());
    for (key, value) in entries {
        let Some(name) = pickle.text(key) else { continue };
        if !is_tensor(pickle, value) {
            others.push(name.to_string());
        } else if !is_counter(name) {
            if !known.insert(name) {
                return Err(format!("two tensors are named {}", shortened(name)));
            }
            if tensors.len() == MOST_TENSORS {
                return Err(format!("expected at most {MOST_TENSORS} tensors, found more"));
            }
            let view = view(pickle, value).map_err(|what| format!("tensor {}: {what}", shortened(name)))?;
            tensors.push((name.to_string(), view));
        }
    }
    if !others.is_empty() {
        notes.push(format!("not used, since they are no tensors: {}", list(&others)));
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
    let all: Vec<String> = names(pickle, &top);
    let mut level: Vec<(String, Entries<'a>)> = vec![(String::new(), top)];
    for depth in 0..DEEPEST {
        let mut found: Vec<(String, Entries<'a>)> = Vec::new();
        let mut next: Vec<(String, Entries<'a>)> = Vec::new();
        for (path, entries) in &level {
            for &(key, value) in entries {
                let (Some(key), Value::Node(id)) = (pickle.text(key), value) else { continue };
                // Each once, however often a hostile file refers to it.
                if !seen.insert(id) {
                    continue;
                }
                let Some(entries) = pickle.mapping(value) else { continue };
                let path =
                    if path.is_empty() { key.to_string() } else { format!("{path}.{}", shortened(key)) };
                match is_state(pickle, &entries) {
                    true => found.push((path, entries)),
                    false if is_optimizer(pickle, &entries) => {}
                    false => next.push((path, entries)),
                }
            }
        }
        let rank = |path: &str| {
            let key = path.rsplit('.').next().unwrap_or(path);
            NAMES.iter().position(|name| key.eq_ignore_ascii_case(name))
        };
        let best = (0..found.len()).filter_map(|at| Some((rank(&found[at].0)?, at))).min().map(|(_, at)| at);
        let best = match (best, found.len()) {
            (Some(best), _) => best,
            _ if depth == 0 && is_top => break,
            (None, 0) => {
                level = next;
                continue;
            }
            (None, 1) => 0,
            (None, _) => {
                let names: Vec<String> = found.iter().map(|(path, _)| path.clone()).collect();
                return Err(format!(
                    "expected one dictionary of tensors, found {}: {}; in Python, save one of them: torch.save(torch.load(FILE)[{:?}], \"weights.pth\")",
                    names.len(),
                    list(&names),
                    shortened(&names[0]),
                ));
            }
        };
        let (path, entries) = found.swap_remove(best);
        let first = path.split('.').next().unwrap_or(&path);
        let unused: Vec<String> =
            all.iter().filter(|name| *name != first && **name != path).cloned().collect();
        let beside: Vec<String> =
            found.into_iter().map(|(path, _)| path).filter(|path| !unused.contains(path)).collect();
        let unused = [unused, beside].concat();
        let rest = if unused.is_empty() { String::new() } else { format!("; not used: {}", list(&unused)) };
        notes.push(format!("the weights are those of \"{}\"{rest}", shortened(&path)));
        return Ok(entries);
    }
    if is_top {
        return Ok(std::mem::take(&mut level[0].1));
    }
    let found = if all.is_empty() { "none".to_string() } else { format!("only {}", list(&all)) };
    Err(format!("expected a dictionary of tensors (a state_dict), found {found}; {ADVICE}"))
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

fn names(pickle: &Pickle<'_>, entries: &[(Value<'_>, Value<'_>)]) -> Vec<String> {
    entries.iter().filter_map(|(key, _)| pickle.text(*key)).map(String::from).collect()
}

/// The first of `names`, and the number of the others.
fn list(names: &[String]) -> String {
    let text: Vec<&str> = names.iter().take(SHOWN).map(|name| shortened(name)).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => text.join(", "),
        more => format!("{} and {more} more", text.join(", ")),
    }
}

/// The start of a name that may have any length.
fn shortened(name: &str) -> &str {
    name.char_indices().nth(100).map_or(name, |(at, _)| &name[..at])
}
