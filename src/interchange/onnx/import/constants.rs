//! The constants of the file: initializers, `Constant` nodes, and what nodes compute of them. Those in the file are decoded on
//! demand, each within a size limit.

use super::super::schema::TensorProto;
use super::attributes::short;
use super::external::External;
use super::tensor::{self, Constant};
use crate::tensor::Tensor;
use std::borrow::Cow;
use std::collections::HashSet;

/// Longest accepted list of dimensions or axes.
const LONGEST_LIST: usize = 64;

/// Most values copied because several layers share a tensor: exporters store equal batch norm vectors once.
const MOST_COPIED: usize = 16 << 20;

/// Most values that nodes may compute or fill constants with, in total: a few bytes of a file can describe any number.
const MOST_COMPUTED: usize = 1 << 28;

/// Where the values of a constant are.
#[derive(Debug)]
enum Stored<'a> {
    File(Cow<'a, TensorProto>),
    /// One value, repeated.
    Filled {
        dims: Vec<usize>,
        value: f32,
    },
    Computed(Tensor),
}

/// A reference to a constant, possibly reshaped or transposed by nodes.
#[derive(Clone, Copy, Debug)]
pub struct Handle<'a> {
    pub name: &'a str,
    index: usize,
    /// Index of the shape that a node has given it; `None` is the shape in the file.
    shape: Option<usize>,
    /// Whether rows and columns are swapped.
    pub transposed: bool,
}

impl Handle<'_> {
    /// The same tensor with `transposed` set.
    pub fn with(self, transposed: bool) -> Self {
        Handle { transposed, ..self }
    }
}

/// All constants.
#[derive(Debug, Default)]
pub struct Constants<'a> {
    list: Vec<Stored<'a>>,
    /// Shapes that nodes have given to constants.
    shapes: Vec<Vec<usize>>,
    /// Positions of the constants read so far, and names of those that became weights.
    read: HashSet<usize>,
    weights: HashSet<&'a str>,
    copied: usize,
    computed: usize,
    external: External,
}

impl<'a> Constants<'a> {
    pub fn new(external: External) -> Self {
        Constants { external, ..Constants::default() }
    }

    pub fn add(&mut self, name: &'a str, proto: Cow<'a, TensorProto>) -> Handle<'a> {
        self.store(name, Stored::File(proto))
    }

    fn store(&mut self, name: &'a str, stored: Stored<'a>) -> Handle<'a> {
        self.list.push(stored);
        Handle { name, index: self.list.len() - 1, shape: None, transposed: false }
    }

    /// Adds a constant of shape `dims` that repeats one value.
    pub fn add_filled(&mut self, name: &'a str, dims: Vec<usize>, value: f32) -> Result<Handle<'a>, String> {
        let len = dims.iter().try_fold(1usize, |len, &d| len.checked_mul(d));
        if dims.len() > LONGEST_LIST || len.is_none_or(|len| len > MOST_COMPUTED) {
            return Err(format!("expected at most {MOST_COMPUTED} values, found the extents {dims:?}"));
        }
        Ok(self.store(name, Stored::Filled { dims, value }))
    }

    /// Adds a constant that a node computes; `make` is called if as many values as `dims` has may be computed.
    pub fn add_computed(
        &mut self,
        name: &'a str,
        dims: &[usize],
        make: impl FnOnce() -> Vec<f32>,
    ) -> Result<Handle<'a>, String> {
        let len = dims.iter().try_fold(1usize, |len, &d| len.checked_mul(d));
        self.count_computed(len)?;
        let tensor = Tensor::new(dims.to_vec(), make()).map_err(|error| error.to_string())?;
        Ok(self.store(name, Stored::Computed(tensor)))
    }

    fn count_computed(&mut self, len: Option<usize>) -> Result<(), String> {
        self.computed = len.map_or(usize::MAX, |len| self.computed.saturating_add(len));
        if self.computed > MOST_COMPUTED {
            return Err(format!("expected at most {MOST_COMPUTED} computed values in total"));
        }
        Ok(())
    }

    /// The value that a filled constant repeats; `None` for other constants.
    pub fn filled(&self, handle: Handle<'a>) -> Option<f32> {
        match self.list[handle.index] {
            Stored::Filled { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The same values with the shape `dims`.
    pub fn reshaped(&mut self, handle: Handle<'a>, dims: Vec<usize>) -> Result<Handle<'a>, String> {
        let len = dims.iter().try_fold(1usize, |len, &d| len.checked_mul(d));
        if handle.transposed || len != Some(self.len(handle)?) || dims.len() > LONGEST_LIST {
            let found = self.dims(handle)?;
            return Err(format!("tensor {}: {found:?} cannot become {dims:?}", short(handle.name)));
        }
        self.shapes.push(dims);
        Ok(Handle { shape: Some(self.shapes.len() - 1), ..handle })
    }

    /// Its shape.
    pub fn dims(&self, handle: Handle<'a>) -> Result<Vec<usize>, String> {
        if let Some(shape) = handle.shape {
            let mut dims = self.shapes[shape].clone();
            if handle.transposed {
                dims.reverse();
            }
            return Ok(dims);
        }
        let wrong = || format!("tensor {}: expected extents of 0 to 2147483647", short(handle.name));
        let mut dims = match &self.list[handle.index] {
            Stored::File(proto) => proto
                .dims
                .iter()
                .map(|&d| usize::try_from(d).ok().filter(|&d| d <= i32::MAX as usize))
                .collect::<Option<Vec<usize>>>()
                .filter(|dims| dims.len() <= LONGEST_LIST)
                .ok_or_else(wrong)?,
            Stored::Filled { dims, .. } => dims.clone(),
            Stored::Computed(tensor) => tensor.shape().dims().to_vec(),
        };
        if handle.transposed {
            dims.reverse();
        }
        Ok(dims)
    }

    /// Its shape in the file, whatever shape nodes have given it.
    pub fn file_dims(&self, handle: Handle<'a>) -> Result<Vec<usize>, String> {
        self.dims(Handle { shape: None, transposed: false, ..handle })
    }

    /// Number of values according to the shape.
    fn len(&self, handle: Handle<'a>) -> Result<usize, String> {
        let dims = self.dims(handle)?;
        let len = dims.iter().try_fold(1usize, |len, &d| len.checked_mul(d));
        len.ok_or_else(|| format!("tensor {}: extents {dims:?} are too large", short(handle.name)))
    }

    fn read(&mut self, handle: Handle<'a>) -> Result<Constant, String> {
        if !self.read.insert(handle.index) {
            self.copied = self.copied.saturating_add(self.len(handle)?);
            if self.copied > MOST_COPIED {
                let what = "tensors shared by layers have too many values in total";
                return Err(format!("{what}: expected at most {MOST_COPIED}"));
            }
        }
        let len = self.len(handle)?;
        if matches!(self.list[handle.index], Stored::Filled { .. }) {
            self.count_computed(Some(len))?;
        }
        let read = match &self.list[handle.index] {
            Stored::File(proto) => tensor::read(proto, &mut self.external)
                .map_err(|what| format!("tensor {}: {what}", short(handle.name)))?,
            Stored::Filled { dims, value } => Constant::Floats(Tensor::full(dims.clone(), *value)),
            Stored::Computed(tensor) => Constant::Floats(tensor.clone()),
        };
        match (read, handle.shape) {
            (Constant::Floats(tensor), Some(shape)) => {
                let tensor = Tensor::new(self.shapes[shape].clone(), tensor.into_data());
                tensor.map(Constant::Floats).map_err(|error| error.to_string())
            }
            (read, _) => Ok(read),
        }
    }

    /// The values of a constant, and whether another layer already uses them. Exporters store equal tensors once, even if
    /// their layers merely started equal.
    pub fn weight(&mut self, handle: Handle<'a>) -> Result<(Tensor, bool), String> {
        let is_shared = !self.weights.insert(handle.name);
        Ok((self.tensor(handle)?, is_shared))
    }

    /// The values as the node sees them: reshaped, and transposed if it is.
    pub fn tensor(&mut self, handle: Handle<'a>) -> Result<Tensor, String> {
        let tensor = self.floats(handle)?;
        if handle.transposed { transpose(tensor) } else { Ok(tensor) }
    }

    /// The floating-point values in the order of the file.
    pub fn floats(&mut self, handle: Handle<'a>) -> Result<Tensor, String> {
        match self.read(handle)? {
            Constant::Floats(tensor) => Ok(tensor),
            Constant::Ints { .. } => Err(format!(
                "tensor {}: expected floating-point numbers, found whole numbers",
                short(handle.name)
            )),
        }
    }

    /// One number per channel for a value of `rank` dimensions (batch first, then `channels`). The constant may have any
    /// shape that broadcasts to this, including a single number.
    pub fn per_channel(
        &mut self,
        handle: Handle<'a>,
        rank: usize,
        channels: usize,
    ) -> Result<Vec<f32>, String> {
        let dims = self.dims(handle)?;
        let axis = (dims.len() + 1).checked_sub(rank);
        let fits = dims.len() <= rank
            && dims.iter().enumerate().all(|(i, &d)| d == 1 || (Some(i) == axis && d == channels));
        if !fits {
            return Err(format!(
                "tensor {}: expected one number or one for each of {channels} channels, found {dims:?}",
                short(handle.name)
            ));
        }
        let values = self.floats(handle)?.into_data();
        match *values {
            [one] => Ok(vec![one; channels]),
            _ => Ok(values),
        }
    }

    /// A vector of `len` numbers.
    pub fn vector(&mut self, handle: Handle<'a>, len: usize) -> Result<Tensor, String> {
        let dims = self.dims(handle)?;
        if dims != [len] {
            return Err(format!("tensor {}: expected [{len}], found {dims:?}", short(handle.name)));
        }
        self.floats(handle)
    }

    /// A single number.
    pub fn scalar(&mut self, handle: Handle<'a>) -> Result<f32, String> {
        let dims = self.dims(handle)?;
        match (dims.iter().all(|&d| d == 1), &dims) {
            (true, _) => {
                self.floats(handle)?.data().first().copied().ok_or_else(|| "expected a number".into())
            }
            (false, dims) => {
                Err(format!("tensor {}: expected one number, found {dims:?}", short(handle.name)))
            }
        }
    }

    /// True if the constant's type is an integer type.
    pub fn is_integer(&self, handle: Handle<'a>) -> bool {
        matches!(&self.list[handle.index], Stored::File(proto) if tensor::is_integer(proto.data_type))
    }

    /// The single integer of a tensor attribute.
    pub fn integer(&mut self, proto: &TensorProto) -> Result<i64, String> {
        match tensor::read(proto, &mut self.external)? {
            Constant::Ints { values, .. } if values.len() == 1 => Ok(values[0]),
            _ => Err("expected one whole number".into()),
        }
    }

    /// True if the tensor attribute `proto` has an integer type.
    pub fn holds_integers(&self, proto: &TensorProto) -> bool {
        tensor::is_integer(proto.data_type)
    }

    /// The single floating-point number of a tensor attribute.
    pub fn number(&mut self, proto: &TensorProto) -> Result<f32, String> {
        match tensor::read(proto, &mut self.external)? {
            Constant::Floats(tensor) if tensor.data().len() == 1 => Ok(tensor.data()[0]),
            _ => Err("expected one number".into()),
        }
    }

    /// A short list of integers, and whether it is a scalar (no axis).
    pub fn ints(&mut self, handle: Handle<'a>) -> Result<(Vec<i64>, bool), String> {
        let (dims, len) = (self.dims(handle)?, self.len(handle)?);
        if len > LONGEST_LIST || dims.len() > 1 {
            let name = short(handle.name);
            return Err(format!(
                "tensor {name}: expected a list of at most {LONGEST_LIST} numbers, found {dims:?}"
            ));
        }
        match self.read(handle)? {
            Constant::Ints { values, .. } => Ok((values, dims.is_empty())),
            Constant::Floats(_) => Err(format!("tensor {}: expected whole numbers", short(handle.name))),
        }
    }
}

/// Transposes a matrix.
pub(super) fn transpose(matrix: Tensor) -> Result<Tensor, String> {
    let [rows, columns] = *matrix.shape().dims() else {
        return Err(format!("expected a matrix, found {}", matrix.shape()));
    };
    let data = matrix.data();
    let transposed =
        (0..columns).flat_map(|column| (0..rows).map(move |row| data[row * columns + column])).collect();
    Tensor::new([columns, rows], transposed).map_err(|error| error.to_string())
}
