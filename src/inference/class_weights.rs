//! The weights of the classes in the loss: read from a file, and matched with the classes of the training data.

use super::messages::Messages;
use crate::data::{Dataset, Labels};
use crate::error::{Error, Result, printable};
use crate::json;
use crate::model::{ClassWeights, LossKind, Recipe, suggestion};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Longest accepted file of weights, in bytes.
const MOST_BYTES: u64 = 16 << 20;

/// Reads the weights of classes from a file: a class on each line, its name and its number separated by a comma, a tab or
/// spaces (a first line `class,weight` is a header), or a JSON object of numbers.
///
/// # Errors
/// [`Error::Data`] names the line; a class that occurs twice is one.
pub fn read_class_weights(path: &Path) -> Result<ClassWeights> {
    let file = std::fs::File::open(path).map_err(|error| Error::io(path, error))?;
    let mut text = String::new();
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(|error| Error::io(path, error))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(Error::data(
            path,
            format!("expected at most {MOST_BYTES} bytes of class weights, found more"),
        ));
    }
    let text = text.trim_start_matches('\u{feff}');
    let weights =
        if text.trim_start().starts_with('{') { of_json(path, text)? } else { of_lines(path, text)? };
    if weights.is_empty() {
        return Err(Error::data(path, "expected a class and its weight on each line, found none"));
    }
    Ok(ClassWeights::Named(weights))
}

fn of_json(path: &Path, text: &str) -> Result<BTreeMap<String, f32>> {
    let wrong = |error: serde_json::Error| {
        Error::data(path, format!("expected a JSON object of numbers: {}", printable(&error.to_string())))
    };
    json::check_keys(text.as_bytes()).map_err(wrong)?;
    let weights: BTreeMap<String, f32> = serde_json::from_str(text).map_err(wrong)?;
    match weights.iter().find(|(_, weight)| !ClassWeights::RANGE.contains(*weight)) {
        Some((name, weight)) => Err(Error::data(path, no_weight(name, &weight.to_string()))),
        None => Ok(weights),
    }
}

fn of_lines(path: &Path, text: &str) -> Result<BTreeMap<String, f32>> {
    let separators = |c: char| c == ',' || c.is_whitespace();
    let mut weights = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |what: String| Err(Error::data(path, format!("line {number}: {what}")));
        let line = line.trim();
        let pair =
            line.rsplit_once(separators).map(|(name, weight)| (name.trim_end_matches(separators), weight));
        let Some((name, weight)) = pair.filter(|(name, _)| !name.is_empty()) else {
            return wrong(format!("expected a class and its weight, found {}", short(line)));
        };
        let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
        let value = weight.parse::<f32>().ok().filter(|value| ClassWeights::RANGE.contains(value));
        match value {
            None if number == 1 && weight.eq_ignore_ascii_case("weight") => {}
            None => return wrong(no_weight(name, weight)),
            Some(value) => {
                if weights.insert(name.to_string(), value).is_some() {
                    return wrong(format!("expected each class once, found {} twice", short(name)));
                }
            }
        }
    }
    Ok(weights)
}

fn no_weight(name: &str, found: &str) -> String {
    format!("{}: expected {}, found {}", short(name), ClassWeights::EXPECTED_WEIGHT, short(found))
}

/// `text` as a message shows it.
fn short(text: &str) -> String {
    const MOST: usize = 60;
    let shown: String = text.chars().take(MOST).collect();
    let more = if shown.len() < text.len() { "..." } else { "" };
    format!("{}{more}", printable(&shown))
}

/// The weight of each of `outputs` outputs in the loss of `recipe`, for training on `data`; `None` if all classes weigh the
/// same. Outputs that stand for no class of the data get 0, and so do classes without samples unless they are named.
///
/// # Errors
/// [`Error::Usage`] if the loss or the labels know no classes, or if the names are not those of the data's classes.
pub fn class_weights(recipe: &Recipe, data: &Dataset, outputs: usize) -> Result<Option<Vec<f32>>> {
    let wrong = |what: String| Err(Error::Usage(format!("class-weights: {what}")));
    if recipe.class_weights == ClassWeights::None {
        return Ok(None);
    }
    if recipe.loss != LossKind::CrossEntropy {
        return wrong(format!("expected loss {}, found {}", LossKind::CrossEntropy, recipe.loss));
    }
    let Some(counts) = class_counts(data) else {
        return wrong(format!("{}: expected classes as labels, found values", data.name));
    };
    let mut weights = match &recipe.class_weights {
        ClassWeights::Named(named) => {
            let names = &data.class_names;
            if let Some(name) = named.keys().find(|name| !names.contains(name)) {
                let near = suggestion(name, names.iter().map(String::as_str));
                let (name, data, count) = (short(name), &data.name, names.len());
                return wrong(format!("expected one of the {count} classes of {data}, found {name}{near}"));
            }
            // A class of the network that the data has no samples of needs no weight.
            let weight_of = |class: usize| names.get(class).and_then(|name| named.get(name)).copied();
            let present = || (0..counts.len()).filter(|&class| counts[class] > 0);
            if let Some(missing) = present().find(|&class| weight_of(class).is_none()) {
                let (found, all) = (present().filter_map(weight_of).count(), present().count());
                let missing = names.get(missing).cloned().unwrap_or_else(|| missing.to_string());
                return wrong(format!(
                    "expected a weight for each of the {all} classes of {} with samples, found {found}: none for {missing}",
                    data.name
                ));
            }
            (0..names.len()).map(|class| weight_of(class).unwrap_or(0.0)).collect()
        }
        _ => balanced(&counts),
    };
    weights.resize(outputs, 0.0);
    Ok(Some(weights))
}

/// scikit-learn's `compute_class_weight("balanced")` for classes with so many samples.
fn balanced(counts: &[usize]) -> Vec<f32> {
    let samples: usize = counts.iter().sum();
    let classes = counts.iter().filter(|&&count| count > 0).count();
    let weight = |&count: &usize| match count {
        0 => 0.0,
        count => (samples as f64 / (classes as f64 * count as f64)) as f32,
    };
    counts.iter().map(weight).collect()
}

/// Samples of each class of `data`; `None` if its labels are values.
pub(crate) fn class_counts(data: &Dataset) -> Option<Vec<usize>> {
    let Labels::Classes(labels) = &data.labels else { return None };
    let mut counts = vec![0; data.classes];
    for &label in labels {
        if let Some(count) = counts.get_mut(label as usize) {
            *count += 1;
        }
    }
    Some(counts)
}

/// The largest class has more than this many times the samples of the smallest: training data that is worth a remark.
const IMBALANCE: usize = 5;

/// A line on training data whose classes differ much in size; `None` for other data. Classes without samples do not count.
pub(crate) fn imbalance(data: &Dataset, messages: &dyn Messages) -> Option<String> {
    let counts = class_counts(data)?;
    let present = || counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let (smallest, few) = present().min_by_key(|(_, count)| **count)?;
    let (largest, many) = present().rev().max_by_key(|(_, count)| **count)?;
    if *many <= IMBALANCE.saturating_mul(*few) {
        return None;
    }
    let name = |class: usize| data.class_names.get(class).cloned().unwrap_or_else(|| class.to_string());
    Some(format!(
        "note: class {} has {many} training samples, class {} only {few}; {} balanced or {} balanced gives rare classes more weight",
        name(largest),
        name(smallest),
        messages.option("class-weights"),
        messages.option("sampler")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Images;

    fn dataset(labels: &[u32], names: &[&str]) -> Dataset {
        Dataset {
            name: "pets".into(),
            shape: [1, 1, 1],
            classes: names.len(),
            class_names: names.iter().map(ToString::to_string).collect(),
            images: Images::U8(vec![0; labels.len()]),
            labels: Labels::Classes(labels.to_vec()),
        }
    }

    fn recipe(class_weights: ClassWeights) -> Recipe {
        Recipe { class_weights, ..Recipe::default() }
    }

    fn read(text: &str) -> Result<ClassWeights> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.csv");
        std::fs::write(&path, text).unwrap();
        read_class_weights(&path)
    }

    /// numpy 2.4.6, scikit-learn 1.9.1: compute_class_weight("balanced", classes=np.unique(y), y=y) for
    /// y = [0, 0, 0, 0, 0, 1, 2, 2] is [0.53333333 2.66666667 1.33333333] (tests/fixtures/balanced.py).
    #[test]
    fn balanced_weights_are_those_of_scikit_learn() {
        let data = dataset(&[0, 0, 0, 0, 0, 1, 2, 2], &["a", "b", "c", "without samples"]);
        let weights = class_weights(&recipe(ClassWeights::Balanced), &data, 5).unwrap().unwrap();
        assert_eq!(weights, [8.0 / 15.0, 8.0 / 3.0, 8.0 / 6.0, 0.0, 0.0].map(|w: f64| w as f32));
        assert_eq!(class_weights(&Recipe::default(), &data, 5).unwrap(), None);
    }

    #[test]
    fn weights_by_name_follow_the_classes_of_the_data_and_every_class_needs_one() {
        let data = dataset(&[0, 1], &["cat", "guinea pig"]);
        let weights = |text: &str| class_weights(&recipe(read(text).unwrap()), &data, 2);
        for text in [
            "guinea pig,4\ncat,0.5\n",
            "class\tweight\r\ncat\t0.5\r\n\r\nguinea pig\t4\r\n",
            "cat 0.5\nguinea pig 4",
            "\u{feff}\"cat\", 0.5\n\"guinea pig\", 4",
            "{\"guinea pig\": 4, \"cat\": 0.5}",
        ] {
            assert_eq!(weights(text).unwrap().unwrap(), [0.5, 4.0], "{text}");
        }
        let error = weights("cat,1\nguinea pg,2\nguinea pig,3").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert_eq!(
            error.to_string(),
            "class-weights: expected one of the 2 classes of pets, found guinea pg; did you mean `guinea pig`?"
        );
        let error = weights("cat,1").unwrap_err().to_string();
        assert!(
            error.ends_with("each of the 2 classes of pets with samples, found 1: none for guinea pig"),
            "{error}"
        );
    }

    /// Weights of a network with more classes than the data, which `relabel` numbers as the network does.
    #[test]
    fn a_class_without_samples_needs_no_weight() {
        let data = dataset(&[3, 1, 3], &["a", "cat", "b", "dog", "c"]);
        let weights = |text: &str| class_weights(&recipe(read(text).unwrap()), &data, 5);
        assert_eq!(weights("cat,2\ndog,3").unwrap().unwrap(), [0.0, 2.0, 0.0, 3.0, 0.0]);
        assert_eq!(weights("cat,2\ndog,3\nc,4").unwrap().unwrap(), [0.0, 2.0, 0.0, 3.0, 4.0]);
        let error = weights("cat,2\nc,4").unwrap_err().to_string();
        assert!(error.ends_with("the 2 classes of pets with samples, found 1: none for dog"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_meant_is_an_error_with_its_line() {
        for (text, expected) in [
            ("", "expected a class and its weight on each line, found none"),
            ("cat", "line 1: expected a class and its weight, found cat"),
            ("cat,1\n,2", "line 2: expected a class and its weight, found ,2"),
            ("cat,1\ndog,x", "line 2: dog: expected a number from 0.000001 to 1000000, found x"),
            ("class,weight\ncat,0", "line 2: cat: expected a number from 0.000001 to 1000000, found 0"),
            ("cat,-1", "line 1: cat: expected a number from 0.000001 to 1000000, found -1"),
            ("cat,nan", "line 1: cat: expected a number from 0.000001 to 1000000, found nan"),
            ("\n\ncat,1\n\ncat,x", "line 5: cat: expected a number from 0.000001 to 1000000, found x"),
            ("cat,1e-7", "line 1: cat: expected a number from 0.000001 to 1000000, found 1e-7"),
            ("cat,1e7", "line 1: cat: expected a number from 0.000001 to 1000000, found 1e7"),
            ("{\"cat\": -1}", "cat: expected a number from 0.000001 to 1000000, found -1"),
            ("{\"cat\": \"x\"}", "expected a JSON object of numbers: invalid type"),
            ("cat,1\ncat,2", "line 2: expected each class once, found cat twice"),
            ("{\"cat\": 1, \"cat\": 2}", "expected each key once, found \"cat\" twice"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.exit_code(), 4, "{text}");
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn data_without_classes_and_other_losses_are_refused() {
        let mut data = dataset(&[0, 1], &["a", "b"]);
        let mse = Recipe { loss: LossKind::Mse, ..recipe(ClassWeights::Balanced) };
        let error = class_weights(&mse, &data, 2).unwrap_err().to_string();
        assert_eq!(error, "class-weights: expected loss cross-entropy, found mse");
        data.labels = Labels::Values { width: 1, values: vec![0.0, 1.0] };
        let error = class_weights(&recipe(ClassWeights::Balanced), &data, 2).unwrap_err().to_string();
        assert_eq!(error, "class-weights: pets: expected classes as labels, found values");
    }

    #[test]
    fn only_large_differences_are_worth_a_remark() {
        let sizes = |many: usize, few: usize| {
            let labels: Vec<u32> = [vec![1; many], vec![0; few]].concat();
            imbalance(&dataset(&labels, &["rare", "common", "none"]), &())
        };
        assert_eq!(sizes(50, 10), None);
        let line = sizes(51, 10).unwrap();
        assert!(
            line.starts_with("note: class common has 51 training samples, class rare only 10; "),
            "{line}"
        );
        assert_eq!(sizes(51, 0), None);
    }
}
