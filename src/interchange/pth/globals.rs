//! The functions and classes that a pickle may name. None of them is ever called: those of tensors are interpreted, and those
//! of plain values that stand beside the weights in checkpoints are passed over.

use super::{ADVICE, shortened};
use crate::pickle::{Node, NodeId, Pickle, Value};
use std::collections::HashMap;

/// Longest name of a known function or class in bytes.
const LONGEST: usize = 64;

/// How many unknown names a message lists.
const SHOWN: usize = 3;

/// Checks that `pickle` names nothing else, and that it is no whole module.
pub(super) fn check(pickle: &Pickle<'_>) -> Result<(), String> {
    let mut unknown: Vec<String> = Vec::new();
    for (module, name) in pickle.globals().filter(|(module, name)| !is_known(module, name)) {
        if unknown.len() > SHOWN {
            break;
        }
        let full = full(module, name);
        if !unknown.contains(&full) {
            unknown.push(full);
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    if let Some(class) = module(pickle) {
        return Err(format!(
            "expected a dictionary of tensors (a state_dict), found a whole module ({class}), which is code of its own; {ADVICE}"
        ));
    }
    let more = if unknown.len() > SHOWN { " and others" } else { "" };
    unknown.truncate(SHOWN);
    Err(format!(
        "expected tensors and plain values, found {}{more}, which a pickle may call and Striate never does; {ADVICE}",
        unknown.join(", ")
    ))
}

/// Module and name of a function or class, which may have any length.
fn full(module: &str, name: &str) -> String {
    format!("{}.{}", shortened(module), shortened(name))
}

/// The class of the outermost module (`torch.nn.Module`) that was pickled whole.
fn module(pickle: &Pickle<'_>) -> Option<String> {
    // Objects may share a state, which is searched once.
    let mut known: HashMap<NodeId, bool> = HashMap::new();
    let mut has_modules = |state: Value<'_>| match (state, pickle.node(state)) {
        (Value::Node(id), Some(Node::Dict(entries))) => *known
            .entry(id)
            .or_insert_with(|| entries.iter().any(|(key, _)| pickle.text(*key) == Some("_modules"))),
        _ => false,
    };
    pickle.nodes().iter().find_map(|node| match node {
        Node::Object(object) if object.state.is_some_and(&mut has_modules) => {
            let (module, name) =
                pickle.global(object.class).or_else(|| match pickle.node(object.class)? {
                    // With its source code, as earlier versions wrote it: ('module', class, file, source).
                    Node::Persistent(id) => pickle.global(*pickle.sequence(*id)?.get(1)?),
                    _ => None,
                })?;
            Some(full(module, name))
        }
        _ => None,
    })
}

fn is_known(module: &str, name: &str) -> bool {
    if name.len() > LONGEST {
        return false;
    }
    match module {
        "torch._utils" => name.starts_with("_rebuild_"),
        "torch._tensor" => name == "_rebuild_from_type_v2",
        "torch.nn.parameter" => matches!(name, "Parameter" | "Buffer"),
        "torch.storage" => matches!(name, "UntypedStorage" | "TypedStorage"),
        "torch.serialization" => name == "_get_layout",
        "torch.torch_version" => name == "TorchVersion",
        "torch" => {
            let is_number = ["float", "bfloat16", "int", "uint", "complex", "bool", "qint", "quint", "bits"]
                .iter()
                .any(|kind| name.starts_with(kind));
            let is_scheme = name.starts_with("per_tensor_") || name.starts_with("per_channel_");
            matches!(name, "Tensor" | "Size" | "device")
                || name.ends_with("Storage")
                || is_number
                || is_scheme
        }
        "torch.cuda" => name.ends_with("Storage"),
        "collections" => matches!(name, "OrderedDict" | "defaultdict" | "Counter" | "deque"),
        "__builtin__" | "builtins" => matches!(
            name,
            "set"
                | "frozenset"
                | "complex"
                | "bytearray"
                | "bytes"
                | "dict"
                | "list"
                | "tuple"
                | "int"
                | "long"
                | "float"
                | "bool"
                | "str"
                | "unicode"
                | "object"
                | "slice"
                | "range"
                | "xrange"
        ),
        "_codecs" => name == "encode",
        "copy_reg" | "copyreg" => name == "_reconstructor",
        "argparse" => name == "Namespace",
        "types" => name == "SimpleNamespace",
        "datetime" => matches!(name, "datetime" | "date" | "time" | "timedelta" | "timezone"),
        "pathlib" | "pathlib._local" => name.ends_with("Path"),
        "numpy" => matches!(name, "dtype" | "ndarray") || is_numpy_number(name),
        "numpy.dtypes" => name.ends_with("DType"),
        "numpy.core.multiarray" | "numpy._core.multiarray" => matches!(name, "scalar" | "_reconstruct"),
        "numpy.core.numeric" | "numpy._core.numeric" => name == "_frombuffer",
        // Hyperparameters of Lightning's checkpoints.
        "pytorch_lightning.utilities.parsing"
        | "lightning.pytorch.utilities.parsing"
        | "lightning_fabric.utilities.data"
        | "lightning.fabric.utilities.data" => name == "AttributeDict",
        _ => false,
    }
}

fn is_numpy_number(name: &str) -> bool {
    let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
    matches!(kind, "float" | "int" | "uint" | "bool" | "bool_" | "str_" | "bytes_" | "complex")
}
