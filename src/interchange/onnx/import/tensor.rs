//! Decoding of an ONNX file's tensors. Every size is checked against the available bytes before memory is allocated.

use super::super::schema::{TensorProto, data_type};
use super::external::{External, OUTSIDE};
use crate::interchange::numbers::f16_to_f32;
use crate::tensor::Tensor;
use prost::bytes::Bytes;

/// Most dimensions of a tensor; the networks that can be imported need at most five.
const RANK: usize = 8;

/// Most integers in a tensor, since integers are only shapes, axes and flags.
const INTS: usize = 1 << 16;

/// A constant tensor of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    Floats(Tensor),
    /// Shapes and axes, row-major.
    Ints {
        dims: Vec<usize>,
        values: Vec<i64>,
    },
}

/// Decodes `proto`; values in another file are read through `external`. An error is one line without the tensor's name.
pub(super) fn read(proto: &TensorProto, external: &mut External) -> Result<Constant, String> {
    let (dims, size) = extents(&proto.dims)?;
    let values = TensorValues { proto, size, external };
    match proto.data_type {
        data_type::FLOAT => floats(dims, values.read(&proto.float_data, |v| Ok(*v), f32::from_le_bytes)?),
        data_type::DOUBLE => {
            let values = values.read(&proto.double_data, |v| Ok(*v), f64::from_le_bytes)?;
            floats(dims, values.into_iter().map(narrow).collect::<Result<_, _>>()?)
        }
        data_type::FLOAT16 => floats(dims, values.half_precision(&proto.int32_data, f16_to_f32)?),
        data_type::BFLOAT16 => floats(
            dims,
            values.half_precision(&proto.int32_data, |bits| f32::from_bits(u32::from(bits) << 16))?,
        ),
        _ if size > INTS && is_integer(proto.data_type) => {
            Err(format!("expected at most {INTS} whole numbers, found {size}"))
        }
        data_type::INT64 => ints(dims, values.read(&proto.int64_data, |v| Ok(*v), i64::from_le_bytes)?),
        data_type::INT32 => ints(dims, values.read(&proto.int32_data, |v| Ok(*v), i32::from_le_bytes)?),
        data_type::INT8 => ints(dims, values.read(&proto.int32_data, byte::<i8>, i8::from_le_bytes)?),
        data_type::UINT8 | data_type::BOOL => {
            ints(dims, values.read(&proto.int32_data, byte::<u8>, u8::from_le_bytes)?)
        }
        other => Err(format!(
            "expected FLOAT, FLOAT16, BFLOAT16, DOUBLE, INT64, INT32, INT8, UINT8 or BOOL, found {}",
            type_name(other)
        )),
    }
}

/// Converts dimensions, and returns them with their product.
fn extents(dims: &[i64]) -> Result<(Vec<usize>, usize), String> {
    if dims.len() > RANK {
        return Err(format!("expected at most {RANK} extents, found {}", dims.len()));
    }
    let extents: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let extents = extents.ok_or_else(|| format!("expected extents of 0 or more, found {dims:?}"))?;
    // Multiply only dimensions above 0, so that a 0 cannot hide an overflow of the others.
    let size = extents.iter().filter(|&&d| d > 0).try_fold(1usize, |size, &d| size.checked_mul(d));
    let size = size.filter(|&size| size <= isize::MAX as usize / 8);
    let size = size.ok_or_else(|| format!("the extents {dims:?} are too large"))?;
    let size = if extents.contains(&0) { 0 } else { size };
    Ok((extents, size))
}

/// Access to a tensor's values, which are raw bytes in the file, a list of numbers, or in another file.
struct TensorValues<'a> {
    proto: &'a TensorProto,
    /// Number of values.
    size: usize,
    external: &'a mut External,
}

impl TensorValues<'_> {
    /// Reads the values from raw bytes (each through `raw`) or from `list` (each through `listed`). Values in more than one
    /// place are an error.
    fn read<const N: usize, L, T>(
        self,
        list: &[L],
        listed: impl Fn(&L) -> Result<T, String>,
        raw: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, String> {
        let TensorProto { float_data, int32_data, int64_data, raw_data, double_data, external_data, .. } =
            self.proto;
        let elsewhere = self.proto.data_location == OUTSIDE;
        let places = [
            !float_data.is_empty(),
            !int32_data.is_empty(),
            !int64_data.is_empty(),
            !double_data.is_empty(),
            !raw_data.is_empty(),
            elsewhere || !external_data.is_empty(),
        ];
        let places = places.iter().filter(|&&used| used).count();
        if places > 1 {
            return Err(format!("expected its values in one place, found {places}"));
        }
        if !list.is_empty() {
            self.expect(list.len(), "values")?;
            return list.iter().map(listed).collect();
        }
        let bytes = self.size.saturating_mul(N);
        let data = if elsewhere { self.external.read(external_data, bytes)? } else { Bytes::clone(raw_data) };
        if data.len() != bytes {
            self.expect(data.len() / N, "values")?;
            return Err(format!("expected {bytes} bytes, found {}", data.len()));
        }
        Ok(data.as_chunks().0.iter().map(|b| raw(*b)).collect())
    }

    /// Reads 16-bit numbers.
    fn half_precision(self, list: &[i32], number: impl Fn(u16) -> f32) -> Result<Vec<f32>, String> {
        self.read(list, |value| half(value).map(&number), |bytes| number(u16::from_le_bytes(bytes)))
    }

    fn expect(&self, found: usize, what: &str) -> Result<(), String> {
        let TensorValues { proto, size, .. } = self;
        if found == *size {
            Ok(())
        } else {
            Err(format!("expected {size} {what} for the extents {:?}, found {found}", proto.dims))
        }
    }
}

fn floats(dims: Vec<usize>, values: Vec<f32>) -> Result<Constant, String> {
    Tensor::new(dims, values).map(Constant::Floats).map_err(|error| error.to_string())
}

fn ints<T: Into<i64>>(dims: Vec<usize>, values: Vec<T>) -> Result<Constant, String> {
    Ok(Constant::Ints { dims, values: values.into_iter().map(Into::into).collect() })
}

/// Rounds to the nearest `f32`; overflow is an error.
fn narrow(value: f64) -> Result<f32, String> {
    let narrow = value as f32;
    if narrow.is_infinite() && value.is_finite() {
        return Err(format!("expected numbers that fit 32 bits, found {value:e}"));
    }
    Ok(narrow)
}

/// The 16 bits of a half-precision number, which lists store as integers.
fn half(value: &i32) -> Result<u16, String> {
    u16::try_from(*value).map_err(|_| format!("expected the 16 bits of a number, found {value}"))
}

fn byte<T: TryFrom<i32>>(value: &i32) -> Result<T, String> {
    T::try_from(*value).map_err(|_| format!("expected a number of one byte, found {value}"))
}

/// True if `data_type` is one of the supported integer types.
pub(super) fn is_integer(data_type: i32) -> bool {
    use data_type::{BOOL, INT8, INT32, INT64, UINT8};
    [INT64, INT32, INT8, UINT8, BOOL].contains(&data_type)
}

/// The name of `data_type` in `TensorProto.DataType`.
fn type_name(data_type: i32) -> String {
    const NAMES: [&str; 24] = [
        "UNDEFINED",
        "FLOAT",
        "UINT8",
        "INT8",
        "UINT16",
        "INT16",
        "INT32",
        "INT64",
        "STRING",
        "BOOL",
        "FLOAT16",
        "DOUBLE",
        "UINT32",
        "UINT64",
        "COMPLEX64",
        "COMPLEX128",
        "BFLOAT16",
        "FLOAT8E4M3FN",
        "FLOAT8E4M3FNUZ",
        "FLOAT8E5M2",
        "FLOAT8E5M2FNUZ",
        "UINT4",
        "INT4",
        "FLOAT4E2M1",
    ];
    let name = usize::try_from(data_type).ok().and_then(|number| NAMES.get(number));
    name.map_or_else(|| format!("data type {data_type}"), |name| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interchange::onnx::schema::StringStringEntryProto;
    use std::path::Path;

    fn read(proto: &TensorProto) -> Result<Constant, String> {
        super::read(proto, &mut External::beside(Path::new("x.onnx"), false))
    }

    fn proto(data_type: i32, dims: &[i64]) -> TensorProto {
        TensorProto { data_type, dims: dims.to_vec(), ..TensorProto::default() }
    }

    fn raw(data_type: i32, dims: &[i64], bytes: &[u8]) -> TensorProto {
        TensorProto { raw_data: Bytes::copy_from_slice(bytes), ..proto(data_type, dims) }
    }

    fn refused(proto: &TensorProto, expected: &str) {
        let message = read(proto).unwrap_err();
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }

    #[test]
    fn every_type_of_number_is_read_from_both_places() {
        let expected = Constant::Floats(Tensor::new([2], vec![1.0, -2.5]).unwrap());
        let bits = |data_type, a: u16, b: u16| {
            let bytes = [a.to_le_bytes(), b.to_le_bytes()].concat();
            let list = TensorProto { int32_data: vec![a.into(), b.into()], ..proto(data_type, &[2]) };
            [raw(data_type, &[2], &bytes), list]
        };
        let double = [1.0f64.to_le_bytes(), (-2.5f64).to_le_bytes()].concat();
        let single = [1.0f32.to_le_bytes(), (-2.5f32).to_le_bytes()].concat();
        let mut floats = vec![
            raw(data_type::FLOAT, &[2], &single),
            TensorProto { float_data: vec![1.0, -2.5], ..proto(data_type::FLOAT, &[2]) },
            raw(data_type::DOUBLE, &[2], &double),
            TensorProto { double_data: vec![1.0, -2.5], ..proto(data_type::DOUBLE, &[2]) },
        ];
        floats.extend(bits(data_type::FLOAT16, 0x3c00, 0xc100));
        floats.extend(bits(data_type::BFLOAT16, 0x3f80, 0xc020));
        for proto in floats {
            assert_eq!(read(&proto).unwrap(), expected, "{proto:?}");
        }
        let expected = |values: [i64; 2]| Constant::Ints { dims: vec![2], values: values.to_vec() };
        let listed = |data_type, a, b| TensorProto { int32_data: vec![a, b], ..proto(data_type, &[2]) };
        let long = [(-1i64).to_le_bytes(), (1i64 << 40).to_le_bytes()].concat();
        assert_eq!(read(&raw(data_type::INT64, &[2], &long)).unwrap(), expected([-1, 1 << 40]));
        let proto64 = TensorProto { int64_data: vec![-1, 1 << 40], ..proto(data_type::INT64, &[2]) };
        assert_eq!(read(&proto64).unwrap(), expected([-1, 1 << 40]));
        let int = [(-1i32).to_le_bytes(), 70_000i32.to_le_bytes()].concat();
        assert_eq!(read(&raw(data_type::INT32, &[2], &int)).unwrap(), expected([-1, 70_000]));
        assert_eq!(read(&listed(data_type::INT32, -1, 70_000)).unwrap(), expected([-1, 70_000]));
        assert_eq!(read(&raw(data_type::INT8, &[2], &[255, 1])).unwrap(), expected([-1, 1]));
        assert_eq!(read(&raw(data_type::UINT8, &[2], &[255, 1])).unwrap(), expected([255, 1]));
        assert_eq!(read(&listed(data_type::BOOL, 0, 1)).unwrap(), expected([0, 1]));
    }

    #[test]
    fn scalars_and_empty_tensors_are_tensors() {
        let scalar = raw(data_type::FLOAT, &[], &1.5f32.to_le_bytes());
        assert_eq!(read(&scalar).unwrap(), Constant::Floats(Tensor::new([], vec![1.5]).unwrap()));
        assert_eq!(
            read(&proto(data_type::INT64, &[0])).unwrap(),
            Constant::Ints { dims: vec![0], values: vec![] }
        );
    }

    #[test]
    fn inconsistent_shapes_are_refused() {
        let four = [0; 4];
        refused(&raw(data_type::FLOAT, &[-1], &four), "0 or more, found [-1]");
        refused(&raw(data_type::FLOAT, &[2], &four), "expected 2 values for the extents [2], found 1");
        refused(&raw(data_type::FLOAT, &[1], &[0; 5]), "expected 4 bytes, found 5");
        refused(&raw(data_type::FLOAT, &[1 << 40, 1 << 40], &four), "too large");
        refused(&raw(data_type::FLOAT, &[0, 1 << 40, 1 << 40], &[]), "too large");
        refused(&raw(data_type::FLOAT, &[1 << 50], &four), "expected 1125899906842624 values");
        refused(&raw(data_type::FLOAT, &[i64::MAX], &four), "too large");
        refused(&raw(data_type::FLOAT, &[1; 9], &four), "at most 8 extents, found 9");
        refused(&raw(data_type::INT64, &[1 << 17], &four), "at most 65536 whole numbers");
        refused(&proto(data_type::FLOAT, &[1]), "found 0");
    }

    #[test]
    fn inconsistent_values_are_refused() {
        refused(&raw(8, &[1], &[0]), "found STRING");
        refused(&raw(99, &[1], &[0]), "found data type 99");
        refused(&raw(-1, &[1], &[0]), "found data type -1");
        let two = TensorProto { float_data: vec![1.0], ..raw(data_type::FLOAT, &[1], &[0; 4]) };
        refused(&two, "in one place, found 2");
        let wrong = TensorProto { int64_data: vec![1], ..proto(data_type::FLOAT, &[1]) };
        refused(&wrong, "found 0");
        let listed = |data_type, value| TensorProto { int32_data: vec![value], ..proto(data_type, &[1]) };
        refused(&listed(data_type::FLOAT16, 65_536), "16 bits of a number, found 65536");
        refused(&listed(data_type::INT8, 128), "one byte, found 128");
        refused(&raw(data_type::DOUBLE, &[1], &1e300f64.to_le_bytes()), "fit 32 bits, found 1e300");
        let outside = TensorProto {
            data_location: 1,
            external_data: vec![StringStringEntryProto { key: "location".into(), value: "w.bin".into() }],
            ..proto(data_type::FLOAT, &[1])
        };
        refused(&outside, "w.bin; reading it requires the option external-data");
    }
}
