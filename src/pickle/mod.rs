//! Python pickles (protocols 0 to 5) as plain data. A pickle is a program for a stack machine that builds objects and may call
//! any function; here nothing is called. Functions and classes are names ([`Node::Global`]), and what they would be called
//! with is kept beside them ([`Object`]), so a reader of a file format decides what a call means, and which names it takes.
//!
//! Every instruction takes at least a byte and constant time, nothing recurses, and memory is counted against a limit while
//! values arrive. Values may contain themselves: what walks them has to bound its depth.
//!
//! Source of the instructions: `pickletools.py` and `pickle.py` of CPython.

mod input;
mod machine;
mod strings;

pub(crate) use machine::read;

/// Longest string of Python 2 that [`Pickle::text`] takes, in bytes: whether one is UTF-8 is found out each time, and a pickle may
/// refer to one string many times.
pub(crate) const LONGEST_BYTES: usize = 4096;

/// A value: a number, a part of the pickle's bytes, or a container in the arena of its [`Pickle`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer that does not fit 64 bits: two's complement, little-endian.
    Long(&'a [u8]),
    Float(f64),
    /// A string; see [`Pickle::text`], which knows strings with escapes too.
    Text(&'a str),
    /// Bytes, or a string of Python 2; see [`Pickle::bytes`].
    Bytes(&'a [u8]),
    Node(NodeId),
}

/// The number of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(u32);

/// A container, a name, or a string that the pickle holds with escapes.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    Text(String),
    Bytes(Vec<u8>),
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    Set(Vec<Value<'a>>),
    /// In the order of the pickle; a key may be there twice.
    Dict(Vec<(Value<'a>, Value<'a>)>),
    /// The name of a function or class, which is never looked up.
    Global {
        module: &'a str,
        name: &'a str,
    },
    Object(Box<Object<'a>>),
    /// A reference to what is stored outside of the pickle.
    Persistent(Value<'a>),
}

/// A call that was not made, and what the pickle did to its result.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    /// The function or class: usually a [`Node::Global`].
    pub class: Value<'a>,
    /// The tuple of arguments.
    pub args: Value<'a>,
    /// What the object's `__setstate__` would get, if anything; the last one if there are several.
    pub state: Option<Value<'a>>,
    /// Entries that were set as in a dictionary.
    pub entries: Vec<(Value<'a>, Value<'a>)>,
    /// Values that were appended as to a list, or added as to a set.
    pub items: Vec<Value<'a>>,
}

/// What a pickle holds.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    root: Value<'a>,
    length: usize,
}

impl<'a> Pickle<'a> {
    /// The value that was pickled.
    pub fn root(&self) -> Value<'a> {
        self.root
    }

    /// Bytes from the start of the text to the end of this pickle; another may follow.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Every container, in the order in which they were made.
    pub fn nodes(&self) -> &[Node<'a>] {
        &self.nodes
    }

    /// The container that `value` refers to.
    pub fn node(&self, value: Value<'a>) -> Option<&Node<'a>> {
        match value {
            Value::Node(NodeId(id)) => self.nodes.get(id as usize),
            _ => None,
        }
    }

    /// The text of a string; of Python 2's strings only if it is UTF-8 and has at most [`LONGEST_BYTES`].
    pub fn text(&self, value: Value<'a>) -> Option<&str> {
        if let Some(bytes) = self.bytes(value) {
            return if bytes.len() <= LONGEST_BYTES { std::str::from_utf8(bytes).ok() } else { None };
        }
        match value {
            Value::Text(text) => Some(text),
            _ => match self.node(value)? {
                Node::Text(text) => Some(text),
                _ => None,
            },
        }
    }

    /// Bytes, or a string of Python 2.
    pub fn bytes(&self, value: Value<'a>) -> Option<&[u8]> {
        match value {
            Value::Bytes(bytes) => Some(bytes),
            _ => match self.node(value)? {
                Node::Bytes(bytes) => Some(bytes),
                _ => None,
            },
        }
    }

    /// The elements of a tuple or list.
    pub fn sequence(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match self.node(value)? {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a dictionary, or of `collections.OrderedDict` and `defaultdict`, in the order of the pickle.
    pub fn mapping(&self, value: Value<'a>) -> Option<Vec<(Value<'a>, Value<'a>)>> {
        match self.node(value)? {
            Node::Dict(entries) => Some(entries.clone()),
            Node::Object(object) => match self.global(object.class)? {
                ("collections", "OrderedDict") => {
                    let mut entries = match self.sequence(object.args)? {
                        [] => Vec::new(),
                        // Python 2 passes a list of pairs.
                        [pairs] => {
                            let pair = |&pair| match self.sequence(pair)? {
                                &[key, value] => Some((key, value)),
                                _ => None,
                            };
                            self.sequence(*pairs)?.iter().map(pair).collect::<Option<Vec<_>>>()?
                        }
                        _ => return None,
                    };
                    entries.extend(&object.entries);
                    Some(entries)
                }
                ("collections", "defaultdict") => Some(object.entries.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    /// How many entries [`Pickle::mapping`] has to look at; objects may share them.
    pub fn entries(&self, value: Value<'a>) -> usize {
        match self.node(value) {
            Some(Node::Dict(entries)) => entries.len(),
            Some(Node::Object(object)) => match self.global(object.class) {
                Some(("collections", "OrderedDict")) => {
                    let pairs = self.sequence(object.args).and_then(|args| self.sequence(*args.first()?));
                    pairs.map_or(0, <[_]>::len) + object.entries.len()
                }
                Some(("collections", "defaultdict")) => object.entries.len(),
                _ => 0,
            },
            _ => 0,
        }
    }

    /// The object that is the result of a call.
    pub fn object(&self, value: Value<'a>) -> Option<&Object<'a>> {
        match self.node(value)? {
            Node::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Module and name of a function or class.
    pub fn global(&self, value: Value<'a>) -> Option<(&'a str, &'a str)> {
        match self.node(value)? {
            Node::Global { module, name } => Some((module, name)),
            _ => None,
        }
    }

    /// Module and name of every function or class that the pickle names, in its order.
    pub fn globals(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Global { module, name } => Some((*module, *name)),
            _ => None,
        })
    }

    /// What `value` is, for messages.
    pub fn kind(&self, value: Value<'a>) -> &'static str {
        match value {
            Value::None => "None",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Long(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Text(_) => "a string",
            Value::Bytes(_) => "bytes",
            Value::Node(_) => match self.node(value) {
                Some(Node::Text(_)) => "a string",
                Some(Node::Bytes(_)) => "bytes",
                Some(Node::Tuple(_)) => "a tuple",
                Some(Node::List(_)) => "a list",
                Some(Node::Set(_)) => "a set",
                Some(Node::Dict(_)) => "a dictionary",
                Some(Node::Global { .. }) => "the name of a function or class",
                Some(Node::Object(_)) => "an object",
                Some(Node::Persistent(_)) => "a storage",
                None => "nothing",
            },
        }
    }
}

#[cfg(test)]
mod tests;
