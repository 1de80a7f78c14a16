//! The weights of the classes in the loss: the key `class_weights` of a recipe.

use super::build::{BuildOptions, Model};
use super::reader::FromToml;
use super::recipe::LossKind;
use crate::error::{Error, Result};
use crate::json;
use crate::program::{BufferId, ProgramBuilder, Role};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use toml::de::DeValue;

/// How much each class weighs in the cross-entropy. As text, which the options of a run and its checkpoints hold: `none`,
/// `balanced`, or a JSON object from the names of classes to numbers.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum ClassWeights {
    /// All classes weigh the same.
    #[default]
    None,
    /// A class weighs n / (k count): n training samples of k classes, of which `count` are its own (scikit-learn's
    /// `compute_class_weight("balanced")`). Classes without training samples are not counted.
    Balanced,
    /// A number from 1e-6 to 1e6 for each class, by its name.
    Named(BTreeMap<String, f32>),
}

impl ClassWeights {
    /// Weights that can be meant: the sums of others would overflow or vanish beside those of other samples.
    pub(crate) const RANGE: RangeInclusive<f32> = 1e-6..=1e6;
    /// What messages expect of a weight.
    pub(crate) const EXPECTED_WEIGHT: &str = "a number from 0.000001 to 1000000";

    /// The first weight that is out of range, in the form "class: expected A, found B".
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        let ClassWeights::Named(weights) = self else { return Ok(()) };
        if weights.is_empty() {
            return Err("expected a weight for each class, found none".into());
        }
        match weights.iter().find(|(_, weight)| !ClassWeights::RANGE.contains(*weight)) {
            Some((class, weight)) => {
                Err(format!("{class}: expected {}, found {weight}", ClassWeights::EXPECTED_WEIGHT))
            }
            None => Ok(()),
        }
    }
}

impl fmt::Display for ClassWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClassWeights::None => f.write_str("none"),
            ClassWeights::Balanced => f.write_str("balanced"),
            ClassWeights::Named(weights) => {
                f.write_str(&serde_json::to_string(weights).map_err(|_| fmt::Error)?)
            }
        }
    }
}

impl FromStr for ClassWeights {
    type Err = Error;

    fn from_str(text: &str) -> Result<ClassWeights> {
        match text {
            "none" => Ok(ClassWeights::None),
            "balanced" => Ok(ClassWeights::Balanced),
            object => {
                let wrong = |error: serde_json::Error| {
                    Error::Usage(format!("expected none, balanced or a JSON object of numbers: {error}"))
                };
                json::check_keys(object.as_bytes()).map_err(wrong)?;
                serde_json::from_str(object).map(ClassWeights::Named).map_err(wrong)
            }
        }
    }
}

impl Model {
    /// The weight of each class in the training loss, if they have some.
    pub fn class_weights(&self) -> Option<&[f32]> {
        self.class_weights.as_ref().map(|(_, weights)| weights.as_slice())
    }

    /// The weight of the first `rows` rows in the training loss, whose mean divides by it: the sum of the weights of their
    /// classes, which stand in `labels`; without class weights the number of rows.
    pub fn loss_weight(&self, labels: &[f32], rows: usize) -> f64 {
        let Some(weights) = self.class_weights() else { return rows as f64 };
        let weight = |&label: &f32| weights.get(label as usize).map_or(0.0, |&weight| f64::from(weight));
        labels.iter().take(rows).map(weight).sum()
    }
}

/// The buffer of the class weights, and its content, if the training loss has some.
pub(super) fn buffer(
    builder: &mut ProgramBuilder,
    options: &BuildOptions,
    loss: LossKind,
    classes: usize,
) -> Result<Option<(BufferId, Vec<f32>)>> {
    let Some(weights) = options.class_weights.as_ref().filter(|_| options.training) else { return Ok(None) };
    if loss != LossKind::CrossEntropy || weights.len() != classes {
        let what =
            format!("class weights: expected {classes} beside a cross-entropy, found {}", weights.len());
        return Err(Error::Usage(format!("{what} beside {loss}")));
    }
    if let Some((class, weight)) = (0..).zip(weights).find(|(_, w)| !(w.is_finite() && **w >= 0.0)) {
        let what = format!("class weights: expected numbers of at least 0, found {weight} for class {class}");
        return Err(Error::Usage(what));
    }
    if weights.iter().all(|&weight| weight == 0.0) {
        return Err(Error::Usage("class weights: expected one above 0, found only 0".into()));
    }
    let buffer = builder.buffer("class_weights", [classes], Role::Labels)?;
    Ok(Some((buffer, weights.clone())))
}

impl FromToml for ClassWeights {
    const EXPECTED: &'static str = "\"none\", \"balanced\" or a table of class names with a number each";

    fn from_toml(value: &DeValue<'_>) -> Option<ClassWeights> {
        if let Some(table) = value.as_table() {
            let weight =
                |(name, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
                    Some((name.get_ref().to_string(), f32::from_toml(value.get_ref())?))
                };
            return table.iter().map(weight).collect::<Option<_>>().map(ClassWeights::Named);
        }
        match value.as_str()? {
            "none" => Some(ClassWeights::None),
            "balanced" => Some(ClassWeights::Balanced),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_reads_as_the_same_weights() {
        let named = BTreeMap::from([("a \"quoted\" name".to_string(), 0.1), ("1".into(), 2.5e-7)]);
        for weights in [ClassWeights::None, ClassWeights::Balanced, ClassWeights::Named(named)] {
            assert_eq!(weights.to_string().parse::<ClassWeights>().unwrap(), weights);
        }
        for bad in ["even", r#"{"a": 1, "a": 2}"#, r#"{"a": "b"}"#, "[1]"] {
            assert!(bad.parse::<ClassWeights>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_weight_that_cannot_be_meant_is_named() {
        for weight in [0.0, -1.0, 9e-7, 1.1e6, f32::NAN, f32::INFINITY] {
            let what = ClassWeights::Named(BTreeMap::from([("cat".into(), weight)])).check().unwrap_err();
            assert!(what.starts_with("cat: expected a number from 0.000001 to 1000000, found "), "{what}");
        }
        assert!(ClassWeights::Named(BTreeMap::new()).check().is_err());
    }
}
