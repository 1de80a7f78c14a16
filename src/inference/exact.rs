//! Exact numbers in a checkpoint's metadata: an `f64` as the 16 hexadecimal digits of its bits. JSON has no infinity
//! and no NaN, and its readers may be off by the last bit.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format!("{:016x}", value.to_bits()))
}

pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let text = String::deserialize(from)?;
    u64::from_str_radix(&text, 16).map(f64::from_bits).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Number(#[serde(with = "super")] f64);

    #[test]
    fn every_number_comes_back_bit_for_bit() {
        for value in [0.1 + 0.2, -0.0, f64::INFINITY, f64::NAN, f64::MIN_POSITIVE / 3.0] {
            let text = serde_json::to_string(&Number(value)).unwrap();
            let back: Number = serde_json::from_str(&text).unwrap();
            assert_eq!(back.0.to_bits(), value.to_bits(), "{text}");
        }
    }
}
