//! Rejection of JSON with duplicate keys. Programs disagree about duplicates (some use the first value, others the last),
//! so such a file would have two meanings.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// Returns an error if `text` is not JSON, or if an object in it has a duplicate key.
pub(crate) fn check_keys(text: &[u8]) -> serde_json::Result<()> {
    serde_json::from_slice(text).map(|Distinct| ())
}

/// A JSON value whose objects have distinct keys; its content is discarded.
struct Distinct;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Distinct)
    }
}

impl<'de> Visitor<'de> for Distinct {
    type Value = Distinct;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_str<E>(self, _: &str) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_unit<E>(self) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Distinct, A::Error> {
        while let Some(Distinct) = list.next_element()? {}
        Ok(Distinct)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Distinct, A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = object.next_key::<String>()? {
            let Distinct = object.next_value()?;
            if keys.contains(&key) {
                let shown: String = key.chars().take(60).collect();
                return Err(A::Error::custom(format!("expected each key once, found {shown:?} twice")));
            }
            keys.insert(key);
        }
        Ok(Distinct)
    }
}

#[cfg(test)]
mod tests {
    use super::check_keys;

    #[test]
    fn a_duplicate_key_is_found_at_any_depth() {
        for sound in
            ["{}", "[1, -1, 0.5, null, true, \"a\"]", r#"{"a": {"a": 1}, "b": [{"a": 2}, {"a": 3}]}"#]
        {
            check_keys(sound.as_bytes()).unwrap();
        }
        for bad in
            [r#"{"a": 1, "a": 1}"#, r#"{"x": [{"b": {}, "c": 1, "b": {}}]}"#, r#"{"a": 1, "\u0061": 2}"#]
        {
            let message = check_keys(bad.as_bytes()).unwrap_err().to_string();
            assert!(message.contains("once, found") && message.contains("twice"), "{message}");
        }
        assert!(check_keys(b"{").is_err());
    }
}
