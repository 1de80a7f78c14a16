//! Which columns of a Parquet file hold the images and the labels, and what the classes are called.
//!
//! The Hugging Face library `datasets` writes an image as a struct of `bytes` and `path`, and describes the columns as JSON in the
//! key-value metadata of the file under the key `huggingface`: `{"info": {"features": {"image": {"_type": "Image"}, ...}}}`.

use crate::json;
use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::file::metadata::FileMetaData;
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

/// Names of a column of images, where no description says which one it is.
const IMAGES: [&str; 8] = ["image", "img", "images", "picture", "photo", "jpg", "png", "jpeg"];

/// Names of a column of labels.
const LABELS: [&str; 8] = ["label", "labels", "class", "target", "category", "y", "classes", "targets"];

/// The leaf column of the images and that of the labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub image: Leaf,
    pub label: Leaf,
    /// The leaf column with the paths of the images, if the column of images has one.
    pub path: Option<usize>,
    /// Names of the classes; empty if the file says none.
    pub names: Vec<String>,
}

/// A leaf of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// The name of the column that it belongs to.
    pub name: String,
    /// Its number among all leaves.
    pub number: usize,
}

/// The columns that the request names, else the ones that the file's description or their own names say.
pub(super) fn columns(
    file: &FileMetaData,
    image: Option<&str>,
    label: Option<&str>,
) -> Result<Columns, String> {
    let features = features(file)?;
    let schema = file.schema_descr();
    let mut columns: Vec<&str> = Vec::new();
    for leaf in schema.columns() {
        let name = root(leaf);
        if columns.last() != Some(&name) {
            columns.push(name);
        }
    }
    let typed = |kind: &str| -> Vec<&str> {
        let is_kind = |name: &&str| features.as_ref().is_some_and(|all| all[*name]["_type"] == kind);
        columns.iter().copied().filter(is_kind).collect()
    };
    let image = choose(&columns, image, "image", typed("Image"), &IMAGES, |name| {
        schema.columns().iter().any(|leaf| root(leaf) == name && is_binary(leaf))
    })?;
    let label = choose(&columns, label, "label", typed("ClassLabel"), &LABELS, |_| false)?;
    let leaf = |name: &str, inner: Option<&str>| {
        let is_it = |leaf: &ColumnDescriptor| match (leaf.path().parts(), inner) {
            ([only], None) => only == name,
            ([first, second], Some(inner)) => first == name && second == inner,
            _ => false,
        };
        schema.columns().iter().position(|leaf| is_it(leaf))
    };
    let bytes = leaf(&image, None).or_else(|| leaf(&image, Some("bytes")));
    let number = bytes.filter(|&number| {
        let leaf = schema.column(number);
        leaf.physical_type() == PhysicalType::BYTE_ARRAY && leaf.max_rep_level() == 0
    });
    let number = number.ok_or_else(|| {
        format!(
            "column {image}: expected images as bytes, or as a struct of bytes and path, found another type"
        )
    })?;
    let label_number = leaf(&label, None).filter(|&number| schema.column(number).max_rep_level() == 0);
    let label_number = label_number
        .ok_or_else(|| format!("column {label}: expected one label in each row, found lists or structs"))?;
    let path = leaf(&image, Some("path"));
    let names = names(features.as_ref().map(|all| &all[&label]), &label)?;
    Ok(Columns {
        image: Leaf { name: image, number },
        label: Leaf { name: label, number: label_number },
        path,
        names,
    })
}

fn root(leaf: &ColumnDescriptor) -> &str {
    leaf.path().parts().first().map_or("", String::as_str)
}

/// Whether a leaf holds bytes that are not declared as text.
fn is_binary(leaf: &ColumnDescriptor) -> bool {
    let is_text = matches!(
        leaf.logical_type_ref(),
        Some(LogicalType::String | LogicalType::Json | LogicalType::Enum | LogicalType::Bson)
    ) || leaf.converted_type() != ConvertedType::NONE;
    leaf.physical_type() == PhysicalType::BYTE_ARRAY && !is_text
}

/// The column for `what`: the `wanted` one, the only one that the description says (or the one of them with a usual name), the only one
/// with a usual name, or the only one that `fits`.
fn choose(
    columns: &[&str],
    wanted: Option<&str>,
    what: &str,
    described: Vec<&str>,
    usual: &[&str],
    fits: impl Fn(&str) -> bool,
) -> Result<String, String> {
    let listed = |names: &[&str]| {
        let more = if names.len() > 8 { format!(" and {} more", names.len() - 8) } else { String::new() };
        format!("{}{more}", names.iter().take(8).copied().collect::<Vec<_>>().join(", "))
    };
    if let Some(wanted) = wanted {
        return match columns.contains(&wanted) {
            true => Ok(wanted.to_string()),
            false => Err(format!(
                "{what}-column {wanted}: expected one of the columns {}, found none of that name",
                listed(columns)
            )),
        };
    }
    let is_usual = |name: &&str| usual.iter().any(|known| name.eq_ignore_ascii_case(known));
    let fitting: Vec<&str> = columns.iter().copied().filter(|name| fits(name)).collect();
    let named: Vec<&str> = columns.iter().copied().filter(is_usual).collect();
    for candidates in [described, named, fitting] {
        let usual: Vec<&str> = candidates.iter().copied().filter(is_usual).collect();
        match (&candidates[..], &usual[..]) {
            ([], _) => {}
            ([only], _) | (_, [only]) => return Ok(only.to_string()),
            _ => {
                return Err(format!(
                    "expected one column of {what}s, found {}; {what}-column says which",
                    listed(&candidates)
                ));
            }
        }
    }
    Err(format!(
        "expected a column of {what}s ({}), found {}; {what}-column names it",
        usual[0],
        listed(columns)
    ))
}

/// The description of the columns by `datasets`, if the file has one.
fn features(file: &FileMetaData) -> Result<Option<Value>, String> {
    let entries = file.key_value_metadata().into_iter().flatten();
    let Some(text) =
        entries.filter(|entry| entry.key == "huggingface").find_map(|entry| entry.value.as_ref())
    else {
        return Ok(None);
    };
    let value: Value = json::check_keys(text.as_bytes())
        .and_then(|()| serde_json::from_str(text))
        .map_err(|error| format!("metadata huggingface: {error}"))?;
    Ok(Some(value["info"]["features"].clone()).filter(Value::is_object))
}

fn names(feature: Option<&Value>, label: &str) -> Result<Vec<String>, String> {
    let Some(list) = feature.map(|feature| &feature["names"]).filter(|names| !names.is_null()) else {
        return Ok(Vec::new());
    };
    let names =
        list.as_array().and_then(|list| list.iter().map(|name| name.as_str().map(String::from)).collect());
    names.ok_or_else(|| {
        format!("metadata huggingface: the names of {label}: expected a list of texts, found another value")
    })
}
