//! How a run that is resumed differs from the one that wrote the checkpoint. Options that say how long the run
//! continues may change, and with them the learning rates to come; a rate that was already used may not. Everything else must be the
//! same.

use super::identity::Identity;
use std::fmt;

/// What a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Subject {
    /// An option of the run, or of the recipe that a flag overrides.
    Option,
    /// The network, or a part of the recipe that only its model file holds.
    Network,
    Data,
}

/// A line of the identity, or an option, that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Difference {
    pub subject: Subject,
    /// The option in kebab case, or what the line is about.
    pub name: String,
    /// Both empty where the values say nothing to people (hashes).
    pub then: String,
    pub now: String,
}

impl Difference {
    /// A difference of the option `name`.
    pub fn option(name: &str, then: impl Into<String>, now: impl Into<String>) -> Difference {
        Difference { subject: Subject::Option, name: name.into(), then: then.into(), now: now.into() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.then.is_empty() && self.now.is_empty() {
            true => write!(f, "{}: other than in this run", self.name),
            false => write!(f, "{}: {} in this run, {} given", self.name, self.then, self.now),
        }
    }
}

/// The differences of two identities.
#[derive(Debug, Default)]
pub(in super::super) struct Comparison {
    /// Those that any run may have.
    pub changes: Vec<Difference>,
    /// Those that make it another run.
    pub differences: Vec<Difference>,
}

/// Options that say when a run ends.
const ENDS: [&str; 3] = ["epochs", "patience", "lr-cuts"];
/// Epochs at which the learning rate is cut. Those to come may change.
const MILESTONES: &str = "lr-milestones";
const WARMUP: &str = "lr-warmup-epochs";
/// Parts of the recipe for which there is no option.
const OF_THE_MODEL_FILE: [&str; 3] = ["beta2", "eps", "loss"];

/// Compares the identity of the run that wrote a checkpoint in epoch number `epochs` (counted from 1, the number of epochs
/// that have begun) with that of the run that resumes it.
pub(super) fn compare(then: &Identity, now: &Identity, epochs: usize) -> Comparison {
    let before = then;
    let mut comparison = Comparison::default();
    // Milestones count from the end of the warm-up.
    let warmup = before.get(WARMUP).and_then(|epochs| plain(epochs).parse::<f64>().ok()).unwrap_or(0.0);
    let counted = (epochs as f64 - warmup).floor().max(1.0) as usize;
    let names = then.keys().chain(now.keys().filter(|name| !then.contains_key(*name)));
    for name in names.filter(|name| then.get(*name) != now.get(*name)) {
        let (then, now) = (then.get(name).map(String::as_str), now.get(name).map(String::as_str));
        let is_free = ENDS.contains(&name.as_str())
            || (name == MILESTONES && passed(then, counted) == passed(now, counted));
        let difference = difference(name, then, now);
        if is_free {
            comparison.changes.push(difference);
        } else {
            comparison.differences.push(difference);
        }
    }
    comparison
}

/// The milestones in a list such as `[1, 2]` that lie in the first `epochs` epochs.
fn passed(list: Option<&str>, epochs: usize) -> Option<Vec<usize>> {
    let mut all = milestones(list?)?;
    all.retain(|&milestone| milestone < epochs);
    all.sort_unstable();
    Some(all)
}

/// The numbers in a list such as `[1, 2]`.
pub(in super::super) fn milestones(list: &str) -> Option<Vec<usize>> {
    let inner = list.strip_prefix('[')?.strip_suffix(']')?;
    inner.split(',').map(str::trim).filter(|word| !word.is_empty()).map(|word| word.parse().ok()).collect()
}

fn difference(name: &str, then: Option<&str>, now: Option<&str>) -> Difference {
    let is_data = ["training ", "validation "].iter().any(|part| name.starts_with(part));
    let is_network = name == "input"
        || name == "square"
        || name == "changes of pictures"
        || ["layer ", "preprocess", "augment.", "init."].iter().any(|part| name.starts_with(part));
    let subject = match (is_data, is_network || OF_THE_MODEL_FILE.contains(&name)) {
        (true, _) => Subject::Data,
        (_, true) => Subject::Network,
        _ => Subject::Option,
    };
    // Of the names of classes the lines have a hash beside their number.
    let [then, now] = [then, now].map(|text| {
        let text = text.map_or("none", plain);
        if name.ends_with(" classes") { text.split(' ').next().unwrap_or(text) } else { text }
    });
    let name = match name.strip_prefix("layer ").and_then(|rest| rest.split_once(' ')) {
        Some((_, layer)) => format!("layer {layer}"),
        None if subject == Subject::Network && OF_THE_MODEL_FILE.contains(&name) => {
            format!("{name} of the model file")
        }
        None => name.to_string(),
    };
    let is_hash = name.ends_with(" labels") || name.ends_with(" images") || then == now;
    let [then, now] = match (is_hash, parts(then, now)) {
        (true, _) => [String::new(), String::new()],
        (_, Some(parts)) => parts,
        // The text of a checkpoint of format 1 is for programs.
        _ if then.contains(" { ") || now.contains(" { ") => [String::new(), String::new()],
        _ => [short(then), short(now)],
    };
    let name = if is_data && is_hash { name.replace(" classes", " class names") } else { name };
    Difference { subject, name, then, now }
}

/// Optional values as format 1 printed them, without the words of the language.
fn plain(text: &str) -> &str {
    match text.strip_prefix("Some(").and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => inner,
        None if text == "None" => "none",
        None => text,
    }
}

/// What differs between two JSON objects: `kernel 5` and `kernel 3`.
fn parts(then: &str, now: &str) -> Option<[String; 2]> {
    let object = |text: &str| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).ok();
    let (then, now) = (object(then)?, object(now)?);
    let keys = then.keys().chain(now.keys().filter(|key| !then.contains_key(*key)));
    let keys: Vec<_> = keys.filter(|key| then.get(*key) != now.get(*key)).collect();
    let of = |object: &serde_json::Map<String, serde_json::Value>| {
        let part = |key: &&String| match object.get(*key) {
            None => format!("{key} none"),
            Some(serde_json::Value::String(text)) => format!("{key} {text}"),
            Some(value) => format!("{key} {value}"),
        };
        short(&keys.iter().map(part).collect::<Vec<_>>().join(", "))
    };
    Some([of(&then), of(&now)])
}

/// A value, shortened to fit into a line.
fn short(value: &str) -> String {
    const MOST: usize = 120;
    let mut text: String = value.chars().take(MOST).collect();
    if text.len() < value.len() {
        text.push_str("...");
    }
    text
}

/// Differences that are listed.
pub(in super::super) const SHOWN: usize = 5;

/// The differences as one line of text.
pub(super) fn in_one_line(all: &[Difference]) -> String {
    let shown: Vec<_> = all.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = if all.len() > SHOWN { format!("; and {} more", all.len() - SHOWN) } else { String::new() };
    format!("{}{more}", shown.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pairs: &[(&str, &str)]) -> Identity {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    fn texts(all: &[Difference]) -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn when_a_run_ends_may_change_and_what_was_done_may_not() {
        let then = lines(&[("epochs", "3"), ("patience", "Some(4)"), ("lr", "0.1"), ("seed", "1")]);
        let now = lines(&[("epochs", "9"), ("patience", "None"), ("lr", "0.2"), ("seed", "1")]);
        let found = compare(&then, &now, 2);
        assert_eq!(
            texts(&found.changes),
            ["epochs: 3 in this run, 9 given", "patience: 4 in this run, none given"]
        );
        assert_eq!(texts(&found.differences), ["lr: 0.1 in this run, 0.2 given"]);
        assert!(
            compare(&then, &then, 2).differences.is_empty() && compare(&then, &then, 2).changes.is_empty()
        );
    }

    #[test]
    fn only_milestones_to_come_may_change() {
        let at = |list: &str| lines(&[(MILESTONES, list)]);
        let may = |then: &str, now: &str, epochs: usize| {
            compare(&at(then), &at(now), epochs).differences.is_empty()
        };
        // In the third epoch, number 2 counted from 0, the milestone 2 is in force.
        assert!(may("[1]", "[1, 3]", 3) && may("[]", "[3]", 3) && !may("[]", "[2]", 3));
        // The third epoch is the first after a warm-up of two.
        let after_warmup = |list: &str| lines(&[(MILESTONES, list), (WARMUP, "2")]);
        let is_free = |then: &str, now: &str, epochs: usize| {
            compare(&after_warmup(then), &after_warmup(now), epochs).differences.is_empty()
        };
        assert!(is_free("[1]", "[2]", 3) && !is_free("[1]", "[2]", 4));
        assert!(may("[1, 5]", "[1, 4, 6]", 3) && !may("[1, 2]", "[1]", 3) && !may("[1]", "what", 3));
    }

    #[test]
    fn differences_are_in_the_words_of_people() {
        let then = lines(&[
            ("layer 002 c1", r#"{"kernel":5,"name":"c1","op":"conv2d"}"#),
            ("layer 003 old", "(Conv2d { out_channels: 3 })"),
            ("loss", "mse"),
            ("training classes", "3 0123"),
            ("training images", "89ab"),
            ("training samples", "51"),
            ("validation classes", "3 0123"),
        ]);
        let now = lines(&[
            ("layer 002 c1", r#"{"kernel":3,"name":"c1","op":"conv2d","stride":2}"#),
            ("layer 003 old", "(Conv2d { out_channels: 4 })"),
            ("loss", "cross-entropy"),
            ("training classes", "4 4567"),
            ("training images", "cdef"),
            ("training samples", "50"),
            ("validation classes", "3 4567"),
        ]);
        let found = compare(&then, &now, 1).differences;
        assert_eq!(
            texts(&found),
            [
                "layer c1: kernel 5, stride none in this run, kernel 3, stride 2 given",
                "layer old: other than in this run",
                "loss of the model file: mse in this run, cross-entropy given",
                "training classes: 3 in this run, 4 given",
                "training images: other than in this run",
                "training samples: 51 in this run, 50 given",
                "validation class names: other than in this run",
            ]
        );
        assert!(found.iter().all(|difference| difference.subject != Subject::Option));
        assert!(in_one_line(&found).ends_with("; and 2 more"), "{}", in_one_line(&found));
        let long = compare(&Identity::new(), &lines(&[("x", &"y".repeat(500))]), 1).differences;
        assert!(in_one_line(&long).len() < 200);
    }
}
