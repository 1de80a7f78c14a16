//! Access to the attributes of a node. Attributes that no accessor has read are unsupported and rejected at the end.

use super::super::schema::{AttributeProto, AttributeType, GraphProto, NodeProto, TensorProto};
use std::cell::RefCell;

/// The attributes of one node.
pub struct Attributes<'a> {
    list: &'a [AttributeProto],
    /// Names of the attributes that were read.
    read: RefCell<Vec<&'static str>>,
}

impl<'a> Attributes<'a> {
    pub fn new(node: &'a NodeProto) -> Self {
        Attributes { list: &node.attribute, read: RefCell::default() }
    }

    /// Returns the attribute `name`, whose type must be `kind` or undefined (files of IR version 1 do not store it).
    fn find(&self, name: &'static str, kind: AttributeType) -> Result<Option<&'a AttributeProto>, String> {
        self.mark_read(name);
        let Some(found) = self.list.iter().find(|attribute| attribute.name == name) else { return Ok(None) };
        if found.r#type == kind as i32 || found.r#type == AttributeType::Undefined as i32 {
            return Ok(Some(found));
        }
        Err(format!("attribute {name}: expected type {kind:?}, found type {}", found.r#type))
    }

    pub fn int(&self, name: &'static str, default: i64) -> Result<i64, String> {
        Ok(self.find(name, AttributeType::Int)?.map_or(default, |attribute| attribute.i))
    }

    pub fn flag(&self, name: &'static str, default: bool) -> Result<bool, String> {
        match self.int(name, i64::from(default))? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("attribute {name}: expected 0 or 1, found {other}")),
        }
    }

    pub fn float(&self, name: &'static str, default: f32) -> Result<f32, String> {
        let value = self.find(name, AttributeType::Float)?.map_or(default, |attribute| attribute.f);
        if value.is_finite() {
            Ok(value)
        } else {
            Err(format!("attribute {name}: expected a finite number, found {value}"))
        }
    }

    pub fn ints(&self, name: &'static str) -> Result<Option<&'a [i64]>, String> {
        Ok(self.find(name, AttributeType::Ints)?.map(|attribute| attribute.ints.as_slice()))
    }

    pub fn floats(&self, name: &'static str) -> Result<Option<&'a [f32]>, String> {
        Ok(self.find(name, AttributeType::Floats)?.map(|attribute| attribute.floats.as_slice()))
    }

    pub fn text(&self, name: &'static str, default: &'static str) -> Result<&'a str, String> {
        match self.find(name, AttributeType::String)? {
            None => Ok(default),
            Some(attribute) => std::str::from_utf8(&attribute.s)
                .map_err(|_| format!("attribute {name}: expected a UTF-8 string")),
        }
    }

    pub fn tensor(&self, name: &'static str) -> Result<Option<&'a TensorProto>, String> {
        Ok(self.find(name, AttributeType::Tensor)?.and_then(|attribute| attribute.t.as_ref()))
    }

    pub fn graph(&self, name: &'static str) -> Result<Option<&'a GraphProto>, String> {
        Ok(self.find(name, AttributeType::Graph)?.and_then(|attribute| attribute.g.as_deref()))
    }

    /// Marks `name` as supported.
    pub fn mark_read(&self, name: &'static str) {
        self.read.borrow_mut().push(name);
    }

    /// Returns the node's only attribute, of any name and type.
    pub fn only(&self) -> Result<&'a AttributeProto, String> {
        match self.list {
            [one] => Ok(one),
            _ => Err(format!("expected one attribute, found {}", self.list.len())),
        }
    }

    /// Returns `N` integers of `least` to 65536, each `default` if the attribute is absent.
    pub fn sizes<const N: usize>(
        &self,
        name: &'static str,
        least: i64,
        default: usize,
    ) -> Result<[usize; N], String> {
        let Some(list) = self.ints(name)? else { return Ok([default; N]) };
        sizes(name, list, least)
    }

    /// Rejects attributes that were not read.
    pub fn finish(&self) -> Result<(), String> {
        let read = self.read.borrow();
        match self.list.iter().find(|attribute| !read.contains(&attribute.name.as_str())) {
            None => Ok(()),
            Some(attribute) => Err(format!("attribute {} is not supported", short(&attribute.name))),
        }
    }
}

/// Converts `list` to `N` integers of `least` to 65536.
pub(super) fn sizes<const N: usize>(name: &str, list: &[i64], least: i64) -> Result<[usize; N], String> {
    let good: Option<Vec<usize>> =
        list.iter().map(|&n| usize::try_from(n).ok().filter(|_| (least..=1 << 16).contains(&n))).collect();
    good.and_then(|good| good.try_into().ok()).ok_or_else(|| {
        format!("attribute {name}: expected {N} numbers of {least} to 65536, found {}", ints(list))
    })
}

/// Formats a list of numbers for a message; a long one is shortened.
pub(super) fn ints(list: &[i64]) -> String {
    if list.len() <= 8 {
        format!("{list:?}")
    } else {
        format!("{:?} and {} more", &list[..8], list.len() - 8)
    }
}

/// Shortens a name for a message to 60 characters.
pub(super) fn short(name: &str) -> String {
    match name.char_indices().nth(60) {
        None => name.to_string(),
        Some((end, _)) => format!("{}...", &name[..end]),
    }
}
