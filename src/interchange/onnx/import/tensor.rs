//! The tensors of an ONNX file, as numbers in host memory.

use super::super::schema::{TensorProto, data_type};
use crate::tensor::Tensor;
use std::path::Path;

/// A tensor whose values the file gives.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    Floats(Tensor),
    /// Shapes and axes, row-major.
    Ints {
        dims: Vec<usize>,
        values: Vec<i64>,
    },
}

/// The values of `proto`; `external` is the folder in which external data may lie, if it may be read at all. Why not, in one line, without the
/// tensor's name.
pub(super) fn read(proto: &TensorProto, external: Option<&Path>) -> Result<Constant, String> {
    if proto.data_location == 1 || !proto.external_data.is_empty() {
        return Err(format!("external data cannot be read yet{}", external.map_or("", |_| " at all")));
    }
    let dims: Option<Vec<usize>> = proto.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let dims = dims.ok_or_else(|| format!("expected extents of 0 or more, found {:?}", proto.dims))?;
    let size = dims.iter().try_fold(1usize, |size, &d| size.checked_mul(d));
    let size = size.ok_or_else(|| format!("extents {dims:?} are too large"))?;
    let raw = &proto.raw_data;
    let check = |found: usize| {
        if found == size { Ok(()) } else { Err(format!("expected {size} values {dims:?}, found {found}")) }
    };
    match proto.data_type {
        data_type::FLOAT => {
            let values: Vec<f32> = if raw.is_empty() {
                proto.float_data.clone()
            } else {
                raw.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
            };
            check(values.len())?;
            Tensor::new(dims, values).map(Constant::Floats).map_err(|error| error.to_string())
        }
        data_type::INT64 => {
            let values: Vec<i64> = if raw.is_empty() {
                proto.int64_data.clone()
            } else {
                raw.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()
            };
            check(values.len())?;
            Ok(Constant::Ints { dims, values })
        }
        other => Err(format!("expected numbers, found data type {other}")),
    }
}
