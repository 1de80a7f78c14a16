//! The layers of a model file, with those of blocks in their place.
//!
//! Layers of a block are named after its use: `conv1` of a block that `layer1.0` uses is `layer1.0.conv1`. Inside, `input` is
//! the block's input, and only layers of the block can be read. A layer with the name "" is called as the use itself. A layer whose `if` is false is left out, and readers of it
//! read its first input instead; a layer below it may have its name.

use super::blocks::{Block, Use};
use super::init::Init;
use super::layer::{LONGEST_NAME, Layer};
use super::reader::{SpecText, Table, suggestion};
use super::scope::{Scope, length};
use crate::error::Result;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Most bytes that the layers of blocks may have when they are written out, as a model file may have without blocks: a few
/// bytes can ask for any number of layers.
const LONGEST: usize = super::spec::LONGEST as usize;

/// Bytes that count for a layer or a use beside its text.
const OVERHEAD: usize = 64;

/// How deep blocks may use blocks.
const DEEPEST: usize = 8;

/// The layers of a model file under construction.
pub(super) struct Expansion<'t, 'b> {
    blocks: &'b [Block<'t>],
    init: &'b Init,
    layers: Vec<Layer>,
    names: HashSet<String>,
    /// Bytes so far.
    bytes: usize,
    used: Vec<bool>,
}

/// A list of layers that is being read: the file's, or that of a use of a block.
pub(super) struct Frame<'t> {
    /// What the names of its layers begin with: empty, or `layer1.0.`.
    prefix: String,
    scope: Option<Rc<Scope<'t>>>,
    /// Blocks that it may use: those above.
    blocks: usize,
    depth: usize,
    /// The place of the use, for messages: ` (block basic, line 30)`.
    within: String,
    /// The layer whose output stands for each name.
    names: HashMap<String, String>,
    /// Names of layers that are left out, which another one may have.
    left_out: HashSet<String>,
    /// The layer whose output the next one reads by default.
    above: String,
}

impl<'t> Frame<'t> {
    /// The text under `key`, with parameters filled in.
    fn text(&self, t: &Table<'t>, key: &'static str, number: Option<usize>) -> Result<Option<String>> {
        let Some(text) = t.get::<String>(key)? else { return Ok(None) };
        self.fill(t, key, text, number).map(Some)
    }

    fn fill(&self, t: &Table<'t>, key: &str, text: String, number: Option<usize>) -> Result<String> {
        match &self.scope {
            Some(scope) => scope.fill(&text, number, LONGEST_NAME).map_err(|what| t.error(key, what)),
            None => Ok(text),
        }
    }

    /// A name in this list as a name in the network.
    fn whole_name(&self, t: &Table<'t>, local: &str) -> Result<String> {
        let name = match (local, self.prefix.strip_suffix('.')) {
            ("", Some(of_use)) => of_use.to_string(),
            _ => format!("{}{local}", self.prefix),
        };
        if name.len() > LONGEST_NAME {
            let what = format!(
                "expected a name of at most {LONGEST_NAME} bytes with that of the block, found {name}"
            );
            return Err(t.error("name", what));
        }
        Ok(name)
    }

    /// The layer that the name `local` stands for.
    fn layer(&self, t: &Table<'t>, local: &str) -> Result<String> {
        self.names.get(local).cloned().ok_or_else(|| {
            let near = suggestion(local, self.names.keys().map(String::as_str));
            t.source.error(t.line, format!("{}: no layer `{local}` above it{near}", t.what()))
        })
    }

    /// The one layer that `t` reads: that of `input`, or the one above.
    pub fn input(&self, t: &Table<'t>) -> Result<String> {
        match self.text(t, "input", None)? {
            Some(local) => self.layer(t, &local),
            None => Ok(self.above.clone()),
        }
    }

    /// The layers of `inputs`.
    pub fn inputs(&self, t: &Table<'t>) -> Result<Vec<String>> {
        let locals: Vec<String> = t.need("inputs")?;
        locals.into_iter().map(|local| self.layer(t, &self.fill(t, "inputs", local, None)?)).collect()
    }

    /// What the name `local` stands for from here on.
    fn bind(&mut self, t: &Table<'t>, local: String, layer: String) -> Result<()> {
        if self.names.insert(local.clone(), layer).is_some() && !self.left_out.remove(&local) {
            return Err(twice(t, &format!("{}{local}", self.prefix)));
        }
        Ok(())
    }

    /// The same for a layer that is left out.
    fn bind_left_out(&mut self, local: String, layer: String) {
        if !self.names.contains_key(&local) {
            self.left_out.insert(local.clone());
            self.names.insert(local, layer);
        }
    }
}

fn twice(t: &Table<'_>, name: &str) -> crate::error::Error {
    t.source.error(t.line, format!("two layers are called {name}"))
}

impl<'t, 'b> Expansion<'t, 'b> {
    /// The layers of `file`, which reads `blocks` and has the default initial values `init`.
    pub fn layers(file: &Table<'t>, blocks: &'b [Block<'t>], init: &'b Init) -> Result<Vec<Layer>> {
        let mut expansion = Expansion {
            blocks,
            init,
            layers: Vec::new(),
            names: HashSet::from(["input".to_string()]),
            bytes: 0,
            used: vec![false; blocks.len()],
        };
        let frame = Frame {
            prefix: String::new(),
            scope: None,
            blocks: blocks.len(),
            depth: 0,
            within: String::new(),
            names: HashMap::from([("input".to_string(), "input".to_string())]),
            left_out: HashSet::new(),
            above: "input".into(),
        };
        let layers: Vec<_> = file.tables("layer")?.iter().map(|t| (t.raw_table(), t.line)).collect();
        expansion.list(file.source, &layers, frame)?;
        match blocks.iter().zip(&expansion.used).find(|(_, used)| !**used) {
            Some((block, _)) => Err(file.error("block", format!("no layer uses block {}", block.name))),
            None => Ok(expansion.layers),
        }
    }

    /// Adds the layers of a list and returns the one whose output is the list's.
    fn list(
        &mut self,
        source: SpecText<'t>,
        list: &[(&'t toml::de::DeTable<'t>, usize)],
        mut frame: Frame<'t>,
    ) -> Result<String> {
        for (number, &(table, line)) in list.iter().enumerate() {
            let what = match frame.prefix.strip_suffix('.') {
                None => format!("layer {}", number + 1),
                Some(whole) => format!("layer {} of {whole}{}", number + 1, frame.within),
            };
            let t = Table::new(source, table, what, line).within(frame.scope.clone());
            if frame.scope.is_some() {
                self.count(&t, table, frame.scope.as_deref())?;
            }
            match t.has("block") {
                true => self.add_use(t, number, &mut frame)?,
                false => self.add_layer(t, number, &mut frame)?,
            }
        }
        Ok(frame.above)
    }

    /// Counts a layer or a use; an error if there are too many.
    fn count(
        &mut self,
        t: &Table<'t>,
        table: &'t toml::de::DeTable<'t>,
        scope: Option<&Scope<'t>>,
    ) -> Result<()> {
        self.charge(t, length(table, scope))
    }

    fn charge(&mut self, t: &Table<'t>, bytes: usize) -> Result<()> {
        self.bytes += OVERHEAD + bytes;
        if self.bytes <= LONGEST {
            return Ok(());
        }
        let what =
            format!("{}: expected at most {LONGEST} bytes of layers from blocks, found more", t.what());
        Err(t.source.error(t.line, what))
    }

    fn add_layer(&mut self, mut t: Table<'t>, number: usize, frame: &mut Frame<'t>) -> Result<()> {
        let local = frame.text(&t, "name", None)?;
        if let Some(local) = &local {
            t.rename(format!("layer {}{}", frame.whole_name(&t, local)?, frame.within));
        }
        let is_in_block = frame.scope.is_some();
        let is_left_out = is_in_block && !t.or("if", true)?;
        if is_left_out {
            // Its first input takes its place.
            let first = match t.has("inputs") {
                true => frame.inputs(&t)?.into_iter().next(),
                false => Some(frame.input(&t)?),
            };
            let first = first.ok_or_else(|| t.error("inputs", "expected at least 1 layer, found 0"))?;
            if let Some(local) = local {
                frame.bind_left_out(local, first.clone());
            }
            frame.above = first;
            return Ok(());
        }
        let op: String = t.need("op")?;
        let local = local.unwrap_or_else(|| format!("{op}.{number}"));
        let name = frame.whole_name(&t, &local)?;
        let layer = Layer::read(&t, name.clone(), frame, self.init)?;
        if !self.names.insert(name.clone()) {
            return Err(twice(&t, &name));
        }
        self.layers.push(layer);
        frame.bind(&t, local, name.clone())?;
        frame.above = name;
        Ok(())
    }

    /// Adds the layers of the block that `t` uses.
    fn add_use(&mut self, mut t: Table<'t>, number: usize, frame: &mut Frame<'t>) -> Result<()> {
        // The name with `{i}` still in it, if it is there.
        let name = t.get::<String>("name")?;
        t.rename(format!(
            "layer {}{}{}",
            frame.prefix,
            name.as_deref().unwrap_or("of a block"),
            frame.within
        ));
        if t.has("op") {
            return Err(t.error("op", "expected either `op` or `block`, found both"));
        }
        if frame.scope.is_none() && t.has("if") {
            return Err(t.error("if", "expected it in a block, whose parameters decide"));
        }
        let Use { block, instances } = Use::read(&t, &self.blocks[..frame.blocks])?;
        let template: &'b Block<'t> = &self.blocks[block];
        self.used[block] = true;
        let mut input = frame.input(&t)?;
        let is_left_out = frame.scope.is_some() && !t.or("if", true)?;
        let name = name.unwrap_or_else(|| format!("{}.{number}", template.name));
        if frame.depth == DEEPEST {
            return Err(t.error("block", format!("expected blocks within blocks at most {DEEPEST} deep")));
        }
        let within = format!(" (block {}, line {})", template.name, t.line);
        for (i, scope) in &instances {
            let local = instance_name(&t, &name, *i, frame)?;
            let prefix = frame.whole_name(&t, &format!("{local}."))?;
            // Also for those of which nothing is left.
            self.charge(&t, 0)?;
            if !is_left_out {
                let inner = Frame {
                    prefix,
                    scope: Some(Rc::new(scope.clone())),
                    blocks: block,
                    depth: frame.depth + 1,
                    within: within.clone(),
                    names: HashMap::from([("input".to_string(), input.clone())]),
                    left_out: HashSet::new(),
                    above: input,
                };
                input = self.list(t.source, &template.layers, inner)?;
            }
            match is_left_out {
                true => frame.bind_left_out(local, input.clone()),
                false => frame.bind(&t, local, input.clone())?,
            }
        }
        // The last one also has the name without a number.
        if instances[0].0.is_some() && !name.contains("{i}") {
            let local = frame.fill(&t, "name", name, None)?;
            match is_left_out {
                true => frame.bind_left_out(local, input.clone()),
                false => frame.bind(&t, local, input.clone())?,
            }
        }
        frame.above = input;
        Ok(())
    }
}

/// The name of one instance of a use: with its number for `{i}`, or at the end.
fn instance_name<'t>(t: &Table<'t>, name: &str, i: Option<usize>, frame: &Frame<'t>) -> Result<String> {
    let numbered = match i {
        None => name.to_string(),
        Some(i) if name.contains("{i}") => name.replace("{i}", &i.to_string()),
        Some(i) => format!("{name}.{i}"),
    };
    let local = frame.fill(t, "name", numbered, i)?;
    match local.is_empty() || local == "input" {
        true => Err(t.error("name", "expected a name other than `input`, found none or this")),
        false => Ok(local),
    }
}
