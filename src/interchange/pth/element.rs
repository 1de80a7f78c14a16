//! The types of numbers that PyTorch stores.

use super::super::numbers::{NumberError, convert, exact_integer, f16_to_f32};
use std::io::Read;

/// A type of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// Its name in PyTorch.
    pub name: &'static str,
    /// Bytes of one.
    pub size: usize,
    /// How it is read, if it is.
    number: Option<Number>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    F16,
    Bf16,
    F32,
    F64,
    I64,
}

/// Every storage class with the type of its elements. What is not read may still be skipped.
const STORAGES: [(&str, Element); 18] = [
    ("FloatStorage", element("float32", 4, Some(Number::F32))),
    ("DoubleStorage", element("float64", 8, Some(Number::F64))),
    ("HalfStorage", element("float16", 2, Some(Number::F16))),
    ("BFloat16Storage", element("bfloat16", 2, Some(Number::Bf16))),
    ("LongStorage", element("int64", 8, Some(Number::I64))),
    ("IntStorage", element("int32", 4, None)),
    ("ShortStorage", element("int16", 2, None)),
    ("CharStorage", element("int8", 1, None)),
    ("ByteStorage", element("uint8", 1, None)),
    ("BoolStorage", element("bool", 1, None)),
    ("ComplexFloatStorage", element("complex64", 8, None)),
    ("ComplexDoubleStorage", element("complex128", 16, None)),
    ("QInt8Storage", element("qint8", 1, None)),
    ("QUInt8Storage", element("quint8", 1, None)),
    ("QInt32Storage", element("qint32", 4, None)),
    ("QUInt4x2Storage", element("quint4x2", 1, None)),
    ("QUInt2x4Storage", element("quint2x4", 1, None)),
    // Of any type; counted in bytes.
    ("UntypedStorage", element("untyped", 1, None)),
];

const fn element(name: &'static str, size: usize, number: Option<Number>) -> Element {
    Element { name, size, number }
}

/// Where the numbers of a tensor are.
pub(super) enum Numbers<'a> {
    /// So many, one after another; at least the second number of them are known to exist.
    Stream(&'a mut dyn Read, usize, usize),
    /// At these places, counted in elements.
    Places(&'a [u8], &'a mut dyn ExactSizeIterator<Item = usize>),
}

impl Element {
    /// The type that the storage class `name` holds.
    pub fn of_storage(name: &str) -> Option<Element> {
        STORAGES.iter().find(|(storage, _)| *storage == name).map(|(_, element)| *element)
    }

    /// Whether numbers of this type are read.
    pub fn is_read(self) -> bool {
        self.number.is_some()
    }

    /// Converts numbers to `f32`.
    pub fn read(self, from: Numbers<'_>) -> Result<Vec<f32>, NumberError> {
        match self.number {
            Some(Number::F32) => each(from, |b| Ok(f32::from_le_bytes(b))),
            Some(Number::F16) => each(from, |b| Ok(f16_to_f32(u16::from_le_bytes(b)))),
            Some(Number::Bf16) => each(from, |b| Ok(f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))),
            Some(Number::F64) => each(from, |b| Ok(f64::from_le_bytes(b) as f32)),
            Some(Number::I64) => each(from, |b| exact_integer(i64::from_le_bytes(b))),
            None => Err(NumberError::Value(self.refusal())),
        }
    }

    /// The message for a tensor of a type that is not read.
    pub fn refusal(self) -> String {
        format!("expected float32, float16, bfloat16, float64 or int64, found {}", self.name)
    }
}

fn each<const N: usize>(
    from: Numbers<'_>,
    one: impl Fn([u8; N]) -> Result<f32, String>,
) -> Result<Vec<f32>, NumberError> {
    match from {
        Numbers::Stream(mut from, count, trusted) => convert(&mut from, count, trusted, one),
        Numbers::Places(bytes, places) => {
            let (elements, _) = bytes.as_chunks::<N>();
            let outside = || "expected a tensor within its storage, found one beyond it".to_string();
            let mut values = Vec::with_capacity(places.len());
            for place in places {
                let element = elements.get(place).ok_or_else(outside).map_err(NumberError::Value)?;
                values.push(one(*element).map_err(NumberError::Value)?);
            }
            Ok(values)
        }
    }
}
