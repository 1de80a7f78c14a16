//! Learning rates by group of parameters (`--lr-mult features=0.1`), for fine-tuning, in which pretrained layers learn slowly.

use crate::error::{Error, Result};
use crate::model::Spec;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A factor of the learning rate for all parameters whose name begins with a prefix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RateGroup {
    pub prefix: String,
    pub factor: f32,
}

impl From<RateGroup> for String {
    fn from(group: RateGroup) -> String {
        format!("{}={}", group.prefix, group.factor)
    }
}

impl TryFrom<String> for RateGroup {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl FromStr for RateGroup {
    type Err = Error;

    /// `PREFIX=FACTOR`, the factor a number of at least 0.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::Usage(format!("expected PREFIX=FACTOR, such as features=0.1, found {text}"));
        let (prefix, factor) = text.rsplit_once('=').ok_or_else(wrong)?;
        let factor: f32 = factor.trim().parse().map_err(|_| wrong())?;
        let prefix = prefix.trim().to_string();
        if prefix.is_empty() || !factor.is_finite() || factor < 0.0 {
            return Err(wrong());
        }
        Ok(RateGroup { prefix, factor })
    }
}

/// Multiplies the `lr_mult` of every weight and bias with the factor of the group with the longest prefix of its name,
/// if there is one. A prefix that matches no parameter is an error, since a typing mistake would train what should stay fixed.
pub fn scale_rates(spec: &mut Spec, groups: &[RateGroup]) -> Result<()> {
    let mut used = vec![false; groups.len()];
    for layer in &mut spec.layers {
        for (kind, _) in layer.op.tensors(&[1; 3]) {
            let Some(side) = kind.side() else { continue };
            let name = format!("{}.{}", layer.name, layer.op.tensor_name(kind));
            let matching = groups.iter().enumerate().filter(|(_, g)| name.starts_with(&g.prefix));
            matching.clone().for_each(|(i, _)| used[i] = true);
            // Of two groups with the same prefix, the later counts.
            if let Some((_, group)) = matching.max_by_key(|(i, g)| (g.prefix.len(), *i)) {
                layer.lr_mult[side] *= group.factor;
            }
        }
    }
    match groups.iter().zip(&used).find(|(_, used)| !**used) {
        None => Ok(()),
        Some((group, _)) => Err(Error::Usage(format!(
            "lr-mult: expected the start of a parameter's name, found {}",
            group.prefix
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(text: &[&str]) -> Vec<RateGroup> {
        text.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn the_longest_prefix_wins_and_what_the_file_says_stays_a_factor() {
        let mut spec = Spec::load("alexnet-2012").unwrap();
        scale_rates(&mut spec, &groups(&["conv=0.1", "conv5=0.5", "conv5.bias=0", "fc8=10"])).unwrap();
        let mult = |name: &str| spec.layers.iter().find(|l| l.name == name).unwrap().lr_mult;
        assert_eq!(mult("conv1"), [0.1, 0.2]);
        assert_eq!(mult("conv5"), [0.5, 0.0]);
        assert_eq!(mult("fc7"), [1.0, 2.0]);
        assert_eq!(mult("fc8"), [10.0, 20.0]);
    }

    #[test]
    fn mistakes_are_named() {
        let mut spec = Spec::load("alexnet-mini").unwrap();
        // A layer without parameters, a bias that is not there, a typing mistake.
        for prefix in ["features.1.", "features.3.bias", "faetures"] {
            let error = scale_rates(&mut spec, &groups(&[&format!("{prefix}=0.1")])).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains(prefix), "{error}");
        }
        for text in ["features", "=0.1", "features=", "features=-1", "features=nan", "features=inf"] {
            let error = text.parse::<RateGroup>().unwrap_err();
            assert!(error.to_string().contains("PREFIX=FACTOR"), "{error}");
        }
    }
}
