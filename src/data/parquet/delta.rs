//! Lengths that a page states in the encoding DELTA_BINARY_PACKED, counted before the library takes memory for them: a block without
//! bits can stand for any number of values.
//!
//! Source: <https://github.com/apache/parquet-format/blob/master/Encodings.md>.

use super::thrift::{Fault, varint};

/// An error unless `bytes`, values in this encoding, are at most `most`.
pub(super) fn check(bytes: &[u8], most: usize) -> Result<(), String> {
    let mut next = bytes.iter();
    let mut number = || varint(&mut || next.next().copied().ok_or(Fault::Short));
    // The size of a block and the number of parts of one come first.
    let header = (|| Ok((number()?, number()?, number()?)))();
    match header {
        Ok((.., count)) if count <= most as u64 => Ok(()),
        Ok((.., count)) => Err(format!("expected a page of at most {most} values, found {count}")),
        Err(Fault::Short) => Err("expected a page of values, found one that ends early".into()),
        Err(Fault::Wrong(what)) => Err(format!("expected a page of values, found {what}")),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn values_are_counted() {
        // Blocks of 128 in 4 parts; 300 values; the first is 0.
        let bytes = [0x80, 1, 4, 0xac, 2, 0];
        assert_eq!(super::check(&bytes, 300), Ok(()));
        assert!(super::check(&bytes, 299).unwrap_err().contains("at most 299 values, found 300"));
        assert!(super::check(&bytes[..3], 300).unwrap_err().contains("ends early"));
    }
}
