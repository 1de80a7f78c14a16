//! The graph of the file, reduced to the nodes that its output depends on.

use super::super::schema::{self, NodeProto, TensorProto, ValueInfoProto};
use super::attributes::short;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

/// The part of a graph that its output depends on.
pub struct ReachableGraph<'a> {
    /// Nodes that the output depends on, each after those that it reads; else in file order.
    pub nodes: Vec<&'a NodeProto>,
    pub initializers: HashMap<&'a str, &'a TensorProto>,
    /// Inputs without initializers (before IR version 4 a file lists initializers as inputs, too).
    pub inputs: Vec<&'a ValueInfoProto>,
    /// The value taken as the network's output.
    pub output: &'a str,
    /// Names of the other outputs.
    pub others: Vec<&'a str>,
    /// How often each value is read, by `nodes` or as the output.
    readers: HashMap<&'a str, usize>,
}

impl<'a> ReachableGraph<'a> {
    pub fn new(graph: &'a schema::GraphProto) -> Result<Self, String> {
        let mut initializers = HashMap::new();
        for tensor in &graph.initializer {
            if initializers.insert(tensor.name.as_str(), tensor).is_some() {
                return Err(format!("two initializers are called {}", short(&tensor.name)));
            }
        }
        let mut makers: HashMap<&str, usize> = HashMap::new();
        for (number, node) in graph.node.iter().enumerate() {
            for output in node.output.iter().filter(|output| !output.is_empty()) {
                if makers.insert(output, number).is_some() || initializers.contains_key(output.as_str()) {
                    return Err(format!("the value {} is produced twice", short(output)));
                }
            }
        }
        let names: Vec<&str> = graph.output.iter().map(|output| output.name.as_str()).collect();
        let output = names.iter().find(|name| **name == "logits").or(names.first());
        let output = *output.ok_or("expected an output, found none")?;

        let mut needed = vec![false; graph.node.len()];
        let mut seen = HashSet::from([output]);
        let mut open = vec![output];
        while let Some(name) = open.pop() {
            let Some(&maker) = makers.get(name) else { continue };
            if !std::mem::replace(&mut needed[maker], true) {
                open.extend(reads(&graph.node[maker]).filter(|input| seen.insert(input)));
            }
        }
        let needed: Vec<usize> = (0..needed.len()).filter(|&number| needed[number]).collect();
        let nodes = sorted(&graph.node, &needed, &makers)?;
        let mut readers = HashMap::from([(output, 1)]);
        for input in nodes.iter().flat_map(|node| reads(node)) {
            *readers.entry(input).or_insert(0) += 1;
        }
        let inputs =
            graph.input.iter().filter(|input| !initializers.contains_key(input.name.as_str())).collect();
        let others = names.into_iter().filter(|name| *name != output).collect();
        Ok(ReachableGraph { nodes, initializers, inputs, output, others, readers })
    }

    /// The nodes that read `value`; a reader that is the graph's output or a branch is not among them.
    pub fn readers_of<'s>(&'s self, value: &'s str) -> impl Iterator<Item = &'a NodeProto> + use<'s, 'a> {
        self.nodes.iter().copied().filter(move |node| node.input.iter().any(|input| input == value))
    }

    /// How often `value` is read, by the remaining nodes or as the output.
    pub fn readers(&self, value: &str) -> usize {
        self.readers.get(value).copied().unwrap_or(0)
    }
}

/// The nodes with the numbers `needed`, each after the nodes that make what it reads. Of those that could come next, the
/// first one in the file does, so that a sorted file stays as it is.
fn sorted<'a>(
    nodes: &'a [NodeProto],
    needed: &[usize],
    makers: &HashMap<&str, usize>,
) -> Result<Vec<&'a NodeProto>, String> {
    // The nodes that wait for each node, and how many values each node waits for.
    let (mut waiting, mut open) = (HashMap::<usize, Vec<usize>>::new(), HashMap::new());
    for &number in needed {
        let makers = reads(&nodes[number]).filter_map(|input| makers.get(input));
        for &maker in makers {
            waiting.entry(maker).or_default().push(number);
            *open.entry(number).or_insert(0usize) += 1;
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> =
        needed.iter().filter(|number| !open.contains_key(number)).map(|&number| Reverse(number)).collect();
    let mut sorted = Vec::with_capacity(needed.len());
    while let Some(Reverse(number)) = ready.pop() {
        sorted.push(&nodes[number]);
        for reader in waiting.get(&number).into_iter().flatten() {
            let Some(left) = open.get_mut(reader) else { continue };
            *left -= 1;
            if *left == 0 {
                open.remove(reader);
                ready.push(Reverse(*reader));
            }
        }
    }
    match needed.iter().find(|number| open.contains_key(number)) {
        None => Ok(sorted),
        Some(&number) => {
            let output = nodes[number].output.first().map_or("", String::as_str);
            Err(format!("the value {} depends on itself", short(output)))
        }
    }
}

/// The values that a node reads, including those that nodes of its branches read.
fn reads(node: &NodeProto) -> impl Iterator<Item = &str> {
    let branches = node.attribute.iter().filter_map(|attribute| attribute.g.as_deref());
    let inner = branches.flat_map(|graph| graph.node.iter().flat_map(|node| &node.input));
    node.input.iter().chain(inner).map(String::as_str)
}
