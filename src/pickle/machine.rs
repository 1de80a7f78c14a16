//! The stack machine that reads a pickle.

use super::input::{Input, integer, shown};
use super::strings::{literal, raw_unicode};
use super::{Node, NodeId, Object, Pickle, Value};
use std::collections::HashMap;

/// What a value in a container costs, in bytes: containers grow by doubling.
const PER_VALUE: usize = 2 * size_of::<Value<'_>>();

/// What a container costs beside its values, in bytes: its place in the arena, which grows by doubling, and an allocation.
const PER_NODE: usize = 2 * size_of::<Node<'_>>() + 32;

/// What an object costs beside its node.
const PER_OBJECT: usize = size_of::<Object<'_>>() + 16;

/// What a value in the memo costs.
const PER_MEMO: usize = 3 * (size_of::<(u32, Value<'_>)>() + 1);

/// Reads the pickle at the start of `text`, which may go on behind it. Its values may take about `memory` bytes.
///
/// # Errors
///
/// One line that says what was expected at which byte.
pub(crate) fn read(text: &[u8], memory: usize) -> Result<Pickle<'_>, String> {
    let mut machine = Machine {
        input: Input { text, at: 0 },
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        nodes: Vec::new(),
        left: memory,
        memory,
    };
    let root = machine.run()?;
    Ok(Pickle { nodes: machine.nodes, root, length: machine.input.at })
}

struct Machine<'a> {
    input: Input<'a>,
    stack: Vec<Value<'a>>,
    /// Heights of the stack, where a container's values begin.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    nodes: Vec<Node<'a>>,
    /// Bytes of memory that may still be taken.
    left: usize,
    memory: usize,
}

type Pairs<'a> = Vec<(Value<'a>, Value<'a>)>;

impl<'a> Machine<'a> {
    /// Runs until the pickle's end; its value.
    fn run(&mut self) -> Result<Value<'a>, String> {
        loop {
            let opcode = self.input.array::<1>()?[0];
            match opcode {
                b'.' => return self.pop(),
                b'(' => {
                    self.spend(2 * size_of::<usize>())?;
                    self.marks.push(self.stack.len());
                }
                // Protocol and frame say nothing that the instructions do not.
                0x80 => {
                    let [protocol] = self.input.array()?;
                    if protocol > 5 {
                        return Err(self
                            .input
                            .wrong("a protocol of at most 5", &format!("protocol {protocol}")));
                    }
                }
                0x95 => {
                    let length = u64::from_le_bytes(self.input.array()?);
                    if length > (self.input.left()) as u64 {
                        return Err(self
                            .input
                            .wrong("a frame within the pickle", &format!("{length} bytes")));
                    }
                }
                b'0' => drop(self.pop()?),
                b'1' => drop(self.above_mark()?),
                b'2' => {
                    let top = self.pop()?;
                    self.push(top)?;
                    self.push(top)?;
                }
                b'p' | b'q' | b'r' | 0x94 => self.memorise(opcode)?,
                b'g' | b'h' | b'j' => self.recall(opcode)?,
                b'}' | b']' | b')' | 0x8f | b'd' | b'l' | b't' | 0x85..=0x87 | 0x91 => {
                    self.container(opcode)?
                }
                b's' | b'u' | b'a' | b'e' | 0x90 => self.fill(opcode)?,
                b'c' | 0x93 | b'R' | 0x81 | b'o' | b'i' | b'b' | b'P' | b'Q' => self.call(opcode)?,
                _ => {
                    let value = self.scalar(opcode)?;
                    self.push(value)?;
                }
            }
        }
    }

    /// Numbers, strings and bytes.
    fn scalar(&mut self, opcode: u8) -> Result<Value<'a>, String> {
        Ok(match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(self.input.array::<1>()?[0].into()),
            b'M' => Value::Int(u16::from_le_bytes(self.input.array()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.input.array()?).into()),
            b'G' => Value::Float(f64::from_be_bytes(self.input.array()?)),
            0x8a | 0x8b => {
                let digits =
                    if opcode == 0x8a { self.input.counted::<1>()? } else { self.input.counted::<4>()? };
                integer(digits)
            }
            b'I' => match self.input.line()? {
                "00" => Value::Bool(false),
                "01" => Value::Bool(true),
                digits => Value::Int(self.input.decimal(digits)?),
            },
            b'L' => {
                let digits = self.input.line()?;
                Value::Int(self.input.decimal(digits.strip_suffix('L').unwrap_or(digits))?)
            }
            b'F' => {
                let number = self.input.line()?;
                Value::Float(number.parse().map_err(|_| self.input.wrong("a number", &shown(number)))?)
            }
            b'X' => self.input.text(4)?,
            0x8c => self.input.text(1)?,
            0x8d => self.input.text(8)?,
            b'U' | b'C' => Value::Bytes(self.input.counted::<1>()?),
            b'T' | b'B' => Value::Bytes(self.input.counted::<4>()?),
            0x8e | 0x96 => Value::Bytes(self.input.counted::<8>()?),
            b'S' => {
                let line = self.input.line_bytes()?;
                let bytes = literal(line).map_err(|expected| self.input.wrong(expected, "another"))?;
                self.node(Node::Bytes(bytes), line.len())?
            }
            b'V' => {
                let line = self.input.line_bytes()?;
                let text = raw_unicode(line).map_err(|expected| self.input.wrong(expected, "another"))?;
                self.node(Node::Text(text), 2 * line.len())?
            }
            other => {
                self.input.at -= 1;
                return Err(self
                    .input
                    .wrong("an instruction that builds plain data", &format!("0x{other:02x}")));
            }
        })
    }

    /// Makes a tuple, list, set or dictionary.
    fn container(&mut self, opcode: u8) -> Result<(), String> {
        let node = match opcode {
            b'}' => Node::Dict(Vec::new()),
            b']' => Node::List(Vec::new()),
            b')' => Node::Tuple(Vec::new()),
            0x8f => Node::Set(Vec::new()),
            b'd' => Node::Dict(self.pairs_above_mark()?),
            b'l' => Node::List(self.above_mark()?),
            b't' => Node::Tuple(self.above_mark()?),
            // A frozenset.
            0x91 => Node::Set(self.above_mark()?),
            _ => {
                let start = self.height(usize::from(opcode - 0x84))?;
                self.spend((self.stack.len() - start) * PER_VALUE)?;
                Node::Tuple(self.stack.drain(start..).collect())
            }
        };
        let value = self.node(node, 0)?;
        self.push(value)
    }

    /// Adds values to the container below them.
    fn fill(&mut self, opcode: u8) -> Result<(), String> {
        let (mut pairs, mut items) = (Pairs::new(), Vec::new());
        match opcode {
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.spend(2 * PER_VALUE)?;
                pairs.push((key, value));
            }
            b'u' => pairs = self.pairs_above_mark()?,
            b'a' => {
                self.spend(PER_VALUE)?;
                items.push(self.pop()?);
            }
            _ => items = self.above_mark()?,
        }
        let (at, stack) = (self.input.at, self.height(1)?);
        let Value::Node(NodeId(id)) = self.stack[stack] else {
            return Err(self.input.wrong("a container to add to", "another value"));
        };
        match (opcode, self.nodes.get_mut(id as usize)) {
            (b's' | b'u', Some(Node::Dict(entries))) => entries.extend(pairs),
            (b's' | b'u', Some(Node::Object(object))) => object.entries.extend(pairs),
            (b'a' | b'e', Some(Node::List(list))) => list.extend(items),
            (0x90, Some(Node::Set(set))) => set.extend(items),
            (b'a' | b'e' | 0x90, Some(Node::Object(object))) => object.items.extend(items),
            _ => {
                return Err(format!(
                    "the pickle: expected a container to add to at byte {at}, found another value"
                ));
            }
        }
        Ok(())
    }

    /// Names, calls and references.
    fn call(&mut self, opcode: u8) -> Result<(), String> {
        let value = match opcode {
            b'c' => {
                let (module, name) = (self.input.line()?, self.input.line()?);
                self.node(Node::Global { module, name }, 0)?
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => self.node(Node::Global { module, name }, 0)?,
                _ => return Err(self.input.wrong("the strings of a module and a name", "other values")),
            },
            b'R' | 0x81 => {
                let (args, class) = (self.pop()?, self.pop()?);
                self.object(class, args)?
            }
            b'o' | b'i' => {
                let mut args = self.above_mark()?;
                let class = if opcode == b'i' {
                    let (module, name) = (self.input.line()?, self.input.line()?);
                    self.node(Node::Global { module, name }, 0)?
                } else if args.is_empty() {
                    return Err(self.input.wrong("a class", "nothing"));
                } else {
                    args.remove(0)
                };
                let args = self.node(Node::Tuple(args), 0)?;
                self.object(class, args)?
            }
            b'b' => {
                let state = self.pop()?;
                let top = self.height(1)?;
                if let Value::Node(NodeId(id)) = self.stack[top]
                    && let Some(Node::Object(object)) = self.nodes.get_mut(id as usize)
                {
                    object.state = Some(state);
                    return Ok(());
                }
                return Err(self.input.wrong("an object to set the state of", "another value"));
            }
            b'P' => {
                let line = self.input.line()?;
                self.node(Node::Persistent(Value::Text(line)), 0)?
            }
            _ => {
                let id = self.pop()?;
                self.node(Node::Persistent(id), 0)?
            }
        };
        self.push(value)
    }

    fn object(&mut self, class: Value<'a>, args: Value<'a>) -> Result<Value<'a>, String> {
        let object = Object { class, args, state: None, entries: Vec::new(), items: Vec::new() };
        self.node(Node::Object(Box::new(object)), PER_OBJECT)
    }

    fn memorise(&mut self, opcode: u8) -> Result<(), String> {
        let number = match opcode {
            b'p' => self.memo_number()?,
            b'q' => self.input.array::<1>()?[0].into(),
            b'r' => u32::from_le_bytes(self.input.array()?),
            // Counts what is there, as Python does.
            _ => self.memo.len() as u32,
        };
        let top = self.height(1)?;
        self.spend(PER_MEMO)?;
        self.memo.insert(number, self.stack[top]);
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Result<(), String> {
        let number = match opcode {
            b'g' => self.memo_number()?,
            b'h' => self.input.array::<1>()?[0].into(),
            _ => u32::from_le_bytes(self.input.array()?),
        };
        let Some(&value) = self.memo.get(&number) else {
            return Err(self.input.wrong("the number of a value that was memorised", &number.to_string()));
        };
        self.push(value)
    }

    fn memo_number(&mut self) -> Result<u32, String> {
        let line = self.input.line()?;
        line.parse().map_err(|_| self.input.wrong("the number of a value", &shown(line)))
    }

    /// Puts `node` into the arena; it holds `bytes` beside itself.
    fn node(&mut self, node: Node<'a>, bytes: usize) -> Result<Value<'a>, String> {
        self.spend(PER_NODE.saturating_add(bytes))?;
        let id = u32::try_from(self.nodes.len()).map_err(|_| self.input.wrong("fewer values", "more"))?;
        self.nodes.push(node);
        Ok(Value::Node(NodeId(id)))
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), String> {
        if self.stack.len() == self.stack.capacity() {
            // The stack grows by doubling, into another allocation.
            self.spend((2 * self.stack.len()).max(64) * size_of::<Value<'_>>())?;
        }
        self.stack.push(value);
        Ok(())
    }

    /// The place in the stack of the topmost `count` values. Those below a mark are out of reach.
    fn height(&self, count: usize) -> Result<usize, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack
            .len()
            .checked_sub(count)
            .filter(|&place| place >= floor)
            .ok_or_else(|| self.input.wrong("a value on the stack", "none"))
    }

    fn pop(&mut self) -> Result<Value<'a>, String> {
        self.height(1)?;
        self.stack.pop().ok_or_else(|| self.input.wrong("a value on the stack", "none"))
    }

    /// Takes the values above the last mark.
    fn above_mark(&mut self) -> Result<Vec<Value<'a>>, String> {
        let mark = self.marks.pop().ok_or_else(|| self.input.wrong("a mark on the stack", "none"))?;
        self.spend((self.stack.len() - mark) * PER_VALUE)?;
        // Not `split_off`, which may hand over the capacity of the stack, too.
        Ok(self.stack.drain(mark..).collect())
    }

    fn pairs_above_mark(&mut self) -> Result<Pairs<'a>, String> {
        let values = self.above_mark()?;
        let (pairs, rest) = values.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.input.wrong("a value for each key", "a key without one"));
        }
        self.spend(values.len() * PER_VALUE)?;
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => {
                let most = format!("values that take at most {} bytes", self.memory);
                return Err(self.input.wrong(&most, "more"));
            }
        }
        Ok(())
    }
}
