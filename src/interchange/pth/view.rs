//! Tensors as a pickle describes them: calls of the functions that would rebuild them from a storage.

use super::element::Element;
use super::shortened;
use crate::pickle::{Node, Pickle, Value};

/// Most axes of a tensor; PyTorch's own limit.
const MOST_AXES: usize = 64;

/// Most calls around a tensor: a parameter, of a subclass, of a tensor.
const DEEPEST: usize = 4;

/// Longest key of a storage in bytes. PyTorch counts storages, and earlier versions used addresses.
const LONGEST_KEY: usize = 64;

/// Most entries of a tensor's metadata.
const MOST_METADATA: usize = 16;

/// A storage that tensors refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    /// Its name in the file.
    pub key: String,
    pub element: Element,
    /// Number of elements.
    pub count: usize,
}

/// A tensor: some elements of a storage.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub storage: Storage,
    /// The storage's element with which it begins.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// Steps along the axes, in elements; 0 along an axis of one element.
    pub strides: Vec<usize>,
    /// Number of elements.
    pub count: usize,
    /// How many elements from `offset` on hold all of them.
    pub span: usize,
    /// Whether the values are those of the storage times -1.
    pub negated: bool,
}

impl View {
    /// Whether the elements stand one after another.
    pub fn is_contiguous(&self) -> bool {
        let mut step = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&extent, &stride)| {
            let fits = extent == 1 || stride == step;
            step *= extent;
            fits
        }) || self.count == 0
    }
}

/// Whether `value` is a tensor, of whatever kind.
pub(super) fn is_tensor(pickle: &Pickle<'_>, value: Value<'_>) -> bool {
    pickle.object(value).and_then(|object| pickle.global(object.class)).is_some_and(|(module, name)| {
        match module {
            "torch._utils" => name.starts_with("_rebuild_"),
            "torch._tensor" => name == "_rebuild_from_type_v2",
            "torch.nn.parameter" => true,
            _ => false,
        }
    })
}

/// The tensor `value`.
pub(super) fn view(pickle: &Pickle<'_>, value: Value<'_>) -> Result<View, String> {
    let object = pickle.object(value).ok_or_else(|| unusual("a tensor", pickle.kind(value)))?;
    rebuilt(pickle, object.class, object.args, 0)
}

fn unusual(expected: &str, found: &str) -> String {
    format!("expected {expected}, found {found}")
}

/// The result of calling `class` with `args`.
fn rebuilt(pickle: &Pickle<'_>, class: Value<'_>, args: Value<'_>, depth: usize) -> Result<View, String> {
    let name =
        pickle.global(class).ok_or_else(|| unusual("a function that makes a tensor", pickle.kind(class)))?;
    let args = pickle.sequence(args).ok_or_else(|| unusual("arguments", pickle.kind(args)))?;
    let wrong = || unusual("the arguments of a tensor", &format!("{} for {}.{}", args.len(), name.0, name.1));
    if depth == DEEPEST {
        return Err(unusual("a tensor", "one in another too many times"));
    }
    let inner = |value: Value<'_>| {
        let object = pickle.object(value).ok_or_else(|| unusual("a tensor", pickle.kind(value)))?;
        rebuilt(pickle, object.class, object.args, depth + 1)
    };
    match (name, args) {
        (("torch._utils", "_rebuild_tensor"), &[storage, offset, size, stride])
        | (("torch._utils", "_rebuild_tensor_v2"), &[storage, offset, size, stride, _, _]) => {
            strided(pickle, storage, [offset, size, stride], None, None)
        }
        (("torch._utils", "_rebuild_tensor_v2"), &[storage, offset, size, stride, _, _, more]) => {
            strided(pickle, storage, [offset, size, stride], None, Some(more))
        }
        (("torch._utils", "_rebuild_tensor_v3"), &[storage, offset, size, stride, _, _, dtype]) => {
            strided(pickle, storage, [offset, size, stride], Some(dtype), None)
        }
        (("torch._utils", "_rebuild_tensor_v3"), &[storage, offset, size, stride, _, _, dtype, more]) => {
            strided(pickle, storage, [offset, size, stride], Some(dtype), Some(more))
        }
        (("torch._utils", "_rebuild_parameter"), &[data, _, _])
        | (("torch._utils", "_rebuild_parameter_with_state"), &[data, _, _, _])
        | (("torch.nn.parameter", "Parameter" | "Buffer"), &[data, ..]) => inner(data),
        // A tensor with attributes; other subclasses may hold other numbers.
        (("torch._tensor", "_rebuild_from_type_v2"), &[function, class, args, _]) => {
            match pickle.global(class) {
                Some(("torch", "Tensor") | ("torch.nn.parameter", "Parameter" | "Buffer")) => {
                    rebuilt(pickle, function, args, depth + 1)
                }
                Some((module, name)) => {
                    Err(unusual("a plain tensor", &format!("one of the class {module}.{name}")))
                }
                None => Err(wrong()),
            }
        }
        (("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3"), _)
        | (("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state"), _)
        | (("torch.nn.parameter" | "torch._tensor", _), _) => Err(wrong()),
        (("torch._utils", "_rebuild_qtensor"), _) => Err(unusual("a plain tensor", "a quantized one")),
        (("torch._utils", "_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor"), _) => {
            Err(unusual("a plain tensor", "a sparse one"))
        }
        ((module, name), _) => Err(unusual("a plain tensor", &format!("one that {module}.{name} makes"))),
    }
}

fn strided(
    pickle: &Pickle<'_>,
    at: Value<'_>,
    [offset, size, stride]: [Value<'_>; 3],
    dtype: Option<Value<'_>>,
    more: Option<Value<'_>>,
) -> Result<View, String> {
    let Some(Node::Persistent(id)) = pickle.node(at) else {
        return Err(unusual("a storage", pickle.kind(at)));
    };
    let (storage, base, room) = located(pickle, *id)?;
    if let Some(dtype) = dtype {
        let name = pickle.global(dtype).map_or("another type", |(_, name)| name);
        return Err(format!("expected float32, float16, bfloat16, float64 or int64, found {name}"));
    }
    if !storage.element.is_read() {
        return Err(storage.element.refusal());
    }
    let negated = more.map_or(Ok(false), |more| is_negated(pickle, more))?;
    let offset = number(pickle, offset, "offset")?;
    let [shape, strides] = [(size, "shape"), (stride, "strides")].map(|(value, what)| {
        let values = pickle
            .sequence(value)
            .ok_or_else(|| unusual(&format!("a tuple as {what}"), pickle.kind(value)))?;
        if values.len() > MOST_AXES {
            return Err(unusual(&format!("at most {MOST_AXES} axes"), &values.len().to_string()));
        }
        values.iter().map(|&value| number(pickle, value, what)).collect::<Result<Vec<_>, _>>()
    });
    let (shape, mut strides) = (shape?, strides?);
    if shape.len() != strides.len() {
        return Err(unusual(&format!("{} strides", shape.len()), &strides.len().to_string()));
    }
    // Checked even if another extent is 0.
    let bytes =
        shape.iter().try_fold(size_of::<f32>(), |product, &extent| product.checked_mul(extent.max(1)));
    if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(format!("the shape {shape:?} has more elements than can be counted"));
    }
    let count: usize = shape.iter().product();
    let mut span = usize::from(count > 0);
    for (stride, &extent) in strides.iter_mut().zip(&shape) {
        if extent <= 1 {
            *stride = 0;
        } else if count > 0 {
            span = (extent - 1).saturating_mul(*stride).saturating_add(span);
        }
    }
    if count > 0 && offset.saturating_add(span) > room {
        let (shape, end) = (format!("{shape:?}"), offset.saturating_add(span));
        return Err(format!("the shape {shape} needs a storage of {end} elements, found {room}"));
    }
    Ok(View {
        storage,
        offset: base + if count > 0 { offset } else { 0 },
        shape,
        strides,
        count,
        span,
        negated,
    })
}

/// The storage that the reference `id` names, and the part of it that is meant: its first element and how many there are.
pub(super) fn located(pickle: &Pickle<'_>, id: Value<'_>) -> Result<(Storage, usize, usize), String> {
    let parts = pickle.sequence(id).unwrap_or_default();
    let ([word, class, key, _, count], view) = match *parts {
        [word, class, key, place, count] => ([word, class, key, place, count], Value::None),
        [word, class, key, place, count, view] => ([word, class, key, place, count], view),
        _ => return Err(unusual("a storage of five or six parts", &parts.len().to_string())),
    };
    if pickle.text(word) != Some("storage") {
        return Err(unusual("a reference to a storage", "another one"));
    }
    let (_, name) =
        pickle.global(class).ok_or_else(|| unusual("the class of a storage", pickle.kind(class)))?;
    let element = Element::of_storage(name).ok_or_else(|| unusual("a known class of storages", name))?;
    let key = storage_key(pickle, key)?;
    let count = number(pickle, count, "number of elements")?;
    if count.checked_mul(element.size).is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(unusual("a storage that fits the file", &format!("one of {count} elements")));
    }
    let (first, room) = match view {
        Value::None => (0, count),
        view => match pickle.sequence(view) {
            Some(&[_, first, room]) => {
                (number(pickle, first, "first element")?, number(pickle, room, "number of elements")?)
            }
            _ => return Err(unusual("a part of a storage", pickle.kind(view))),
        },
    };
    if first.checked_add(room).is_none_or(|end| end > count) {
        return Err(unusual(
            &format!("a part of a storage of {count} elements"),
            &format!("{room} from {first} on"),
        ));
    }
    Ok((Storage { key, element, count }, first, room))
}

/// The key of a storage that `value` is. Every tensor may refer to it, so it has to be short.
pub(super) fn storage_key(pickle: &Pickle<'_>, value: Value<'_>) -> Result<String, String> {
    let key = pickle.text(value).ok_or_else(|| unusual("the key of a storage", pickle.kind(value)))?;
    if key.len() > LONGEST_KEY {
        let most = format!("a key of a storage of at most {LONGEST_KEY} bytes");
        return Err(unusual(&most, &key.len().to_string()));
    }
    Ok(key.to_string())
}

fn number(pickle: &Pickle<'_>, value: Value<'_>, what: &str) -> Result<usize, String> {
    match value {
        Value::Int(number) => {
            usize::try_from(number).map_err(|_| unusual(&format!("0 or more as {what}"), &number.to_string()))
        }
        other => Err(unusual(&format!("an integer as {what}"), pickle.kind(other))),
    }
}

/// What a tensor's metadata say of its sign.
fn is_negated(pickle: &Pickle<'_>, metadata: Value<'_>) -> Result<bool, String> {
    if metadata == Value::None {
        return Ok(false);
    }
    let Some(Node::Dict(entries)) = pickle.node(metadata) else {
        return Err(unusual("a dictionary of metadata", pickle.kind(metadata)));
    };
    if entries.len() > MOST_METADATA {
        let most = format!("at most {MOST_METADATA} entries of metadata");
        return Err(unusual(&most, &entries.len().to_string()));
    }
    let mut negated = false;
    for &(key, value) in entries {
        match (pickle.text(key), value) {
            (Some("neg"), Value::Bool(value)) => negated = value,
            (_, Value::Bool(false)) => {}
            (key, _) => {
                return Err(unusual("no metadata of a tensor but neg", shortened(key.unwrap_or("another"))));
            }
        }
    }
    Ok(negated)
}
