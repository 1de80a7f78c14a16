//! What a header may say that is not so: every number as 0, 1, the largest, one more, negative and in the wrong byte order; a
//! field that is missing or there twice; a file that is cut.

use crate::sound::{joined, parts};
use serde_json::{Value, json};

/// A number in a binary header.
#[derive(Clone, Copy)]
pub struct Number {
    pub name: &'static str,
    pub at: usize,
    pub bytes: usize,
    pub big_endian: bool,
}

/// Other bytes for `number`, each with what it is.
pub fn numbers(sound: &[u8], number: Number) -> Vec<(String, Vec<u8>)> {
    let Number { name, at, bytes, big_endian } = number;
    let old = &sound[at..at + bytes];
    let mut own: Vec<u8> = old.to_vec();
    if big_endian {
        own.reverse();
    }
    let own = own.iter().rev().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
    let most = u64::MAX >> (64 - 8 * bytes);
    let mut lies = Vec::new();
    for value in [
        0,
        1,
        most,
        most >> 1,
        (most >> 1) + 1,
        own.wrapping_add(1),
        own.wrapping_sub(1),
        own.swap_bytes() >> (64 - 8 * bytes),
    ] {
        let mut new = value.to_le_bytes()[..bytes].to_vec();
        if big_endian {
            new.reverse();
        }
        if new != old && !lies.iter().any(|(_, lie)| *lie == new) {
            lies.push((format!("{name} as {value}"), new));
        }
    }
    let file = |new: &[u8]| [&sound[..at], new, &sound[at + bytes..]].concat();
    let mut files: Vec<_> = lies.into_iter().map(|(what, new)| (what, file(&new))).collect();
    files.push((format!("{name} twice"), file(&old.repeat(2))));
    files.push((format!("without {name}"), file(&[])));
    files
}

/// `sound` cut at these places.
pub fn cuts(sound: &[u8], places: impl IntoIterator<Item = usize>) -> Vec<(String, Vec<u8>)> {
    let places = places.into_iter().filter(|&at| at < sound.len());
    places.map(|at| (format!("cut at {at}"), sound[..at].to_vec())).collect()
}

/// What a JSON value may be replaced by.
fn values(own: &Value) -> Vec<(&'static str, String)> {
    let mut values = vec![
        ("0", "0".to_string()),
        ("1", "1".into()),
        ("max", u64::MAX.to_string()),
        ("max + 1", "18446744073709551616".into()),
        ("half of max", i64::MAX.to_string()),
        ("negative", "-1".into()),
        ("a fraction", "0.5".into()),
        ("a large number", "1e400".into()),
        ("text", "\"1e9\"".into()),
        ("null", "null".into()),
        ("a list", "[[]]".into()),
        ("an object", "{}".into()),
    ];
    let own = own.to_string();
    values.retain(|(_, text)| *text != own);
    values
}

/// The places of all values in `header` that `wanted` says yes to.
pub fn places(header: &Value, wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
    fn walk(value: &Value, at: &str, places: &mut Vec<String>) {
        let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
        match value {
            Value::Object(object) => {
                object.iter().for_each(|(key, value)| walk(value, &format!("{at}/{}", escaped(key)), places));
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(n, value)| walk(value, &format!("{at}/{n}"), places));
            }
            _ => {}
        }
        if !at.is_empty() {
            places.push(at.to_string());
        }
    }
    let mut all = Vec::new();
    walk(header, "", &mut all);
    all.retain(|place| wanted(place));
    all
}

/// A safetensors file with a lie in each of `places` of its header, which `mend` may make consistent otherwise.
pub fn header_lies(
    sound: &[u8],
    places: &[String],
    mend: &dyn Fn(Vec<u8>) -> Vec<u8>,
) -> Vec<(String, Vec<u8>)> {
    const HERE: &str = "\"@here@\"";
    let (header, data) = parts(sound);
    let mut files = Vec::new();
    for place in places {
        let mut marked = header.clone();
        let old = marked.pointer_mut(place).unwrap().take();
        *marked.pointer_mut(place).unwrap() = json!("@here@");
        let text = marked.to_string();
        for (what, value) in values(&old) {
            files.push((format!("{place} as {what}"), mend(joined(&text.replace(HERE, &value), data))));
        }
        let key = place.rsplit('/').next().unwrap().replace("~1", "/").replace("~0", "~");
        let marker = format!("\"{key}\":{HERE}");
        if text.contains(&marker) {
            let own = format!("\"{key}\":{old}");
            let twice = text.replace(&marker, &format!("{own},{own}"));
            files.push((format!("{place} twice"), mend(joined(&twice, data))));
            let without = text.replace(&format!("{marker},"), "").replace(&format!(",{marker}"), "");
            files.push((format!("without {place}"), mend(joined(&without, data))));
        }
    }
    files
}
