//! What the drivers are given of the largest tiles of the matrix product: the SPIR-V of the loop over k, as wgpu makes
//! it, must hold no bounds check, no 64-bit counter and no division. `-- --nocapture` prints the counts that stand in
//! `benches/NOTES.md`.

use std::collections::{BTreeMap, HashMap};
use striate::gpu::kernels::{BlockSize, Dispatch, GemmKernel, Limits, kernels};
use striate::ops::{Conv2d, Linear, Op};
use wgpu::naga;

/// The instructions of SPIR-V that are looked for, from the specification, section 3.49; `EXTENDED` with the numbers of
/// GLSL.std.450.
mod code {
    pub const EXT_INST: u16 = 12;
    pub const ENTRY_POINT: u16 = 15;
    pub const TYPE_INT: u16 = 21;
    pub const FUNCTION: u16 = 54;
    pub const FUNCTION_END: u16 = 56;
    pub const FUNCTION_CALL: u16 = 57;
    pub const LOAD: u16 = 61;
    pub const U_DIV: u16 = 134;
    pub const S_DIV: u16 = 135;
    pub const U_MOD: u16 = 137;
    pub const S_REM: u16 = 138;
    pub const S_MOD: u16 = 139;
    pub const SELECT: u16 = 169;
    pub const COMPARISONS: std::ops::RangeInclusive<u16> = 170..=179;
    pub const LOOP_MERGE: u16 = 246;
    pub const LABEL: u16 = 248;
    pub const BRANCH: u16 = 249;
    pub const BRANCH_CONDITIONAL: u16 = 250;
    pub const SWITCH: u16 = 251;
    pub const KILL: u16 = 252;
    pub const RETURN: u16 = 253;
    pub const RETURN_VALUE: u16 = 254;
    pub const UNREACHABLE: u16 = 255;
    pub const CONSTANT_TRUE: u16 = 41;
    pub const CONSTANT_FALSE: u16 = 42;
    pub const BARRIER: u16 = 224;
    pub const GLSL_U_MIN: u32 = 38;
    pub const GLSL_FMA: u32 = 50;
}

/// One instruction: its number and its operands.
struct Instruction {
    code: u16,
    words: Vec<u32>,
}

/// The functions of a module by their number, and the instructions in front of them.
#[derive(Default)]
struct Binary {
    head: Vec<Instruction>,
    functions: HashMap<u32, Vec<Instruction>>,
    /// The constants that are true or false.
    constants: HashMap<u32, bool>,
    entry: u32,
}

fn compile(dispatch: &Dispatch) -> Binary {
    let module = naga::front::wgsl::parse_str(&dispatch.shader.source()).unwrap();
    let flags = naga::valid::ValidationFlags::all();
    let info =
        naga::valid::Validator::new(flags, naga::valid::Capabilities::empty()).validate(&module).unwrap();
    let entry = Some((naga::ShaderStage::Compute, "main"));
    let values = dispatch.constants.iter().map(|&(name, value)| (name.to_string(), value)).collect();
    let (module, info) =
        naga::back::pipeline_constants::process_overrides(&module, &info, entry, &values).unwrap();
    // As wgpu's Vulkan back end asks for it under `ShaderRuntimeChecks::unchecked()`.
    let options = naga::back::spv::Options {
        flags: naga::back::spv::WriterFlags::empty(),
        bounds_check_policies: naga::proc::BoundsCheckPolicies {
            index: naga::proc::BoundsCheckPolicy::Unchecked,
            buffer: naga::proc::BoundsCheckPolicy::Unchecked,
            image_load: naga::proc::BoundsCheckPolicy::Unchecked,
            binding_array: naga::proc::BoundsCheckPolicy::Unchecked,
        },
        zero_initialize_workgroup_memory: naga::back::spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        emit_int_div_checks: false,
        ..Default::default()
    };
    parse(&naga::back::spv::write_vec(&module, &info, &options, None).unwrap())
}

fn parse(words: &[u32]) -> Binary {
    let mut binary = Binary::default();
    let (mut at, mut function) = (5, None);
    while at < words.len() {
        let (length, code) = ((words[at] >> 16) as usize, words[at] as u16);
        let instruction = Instruction { code, words: words[at + 1..at + length].to_vec() };
        at += length;
        match code {
            code::ENTRY_POINT => binary.entry = instruction.words[1],
            code::FUNCTION => function = Some(instruction.words[1]),
            code::CONSTANT_TRUE | code::CONSTANT_FALSE => {
                binary.constants.insert(instruction.words[1], code == code::CONSTANT_TRUE);
            }
            _ => {}
        }
        match function {
            Some(id) => binary.functions.entry(id).or_default().push(instruction),
            None => binary.head.push(instruction),
        }
        if code == code::FUNCTION_END {
            function = None;
        }
    }
    binary
}

/// What a run through instructions executes, calls included.
#[derive(Default, Debug)]
struct Counts {
    codes: BTreeMap<u16, usize>,
    extended: BTreeMap<u32, usize>,
}

impl Counts {
    fn of(&self, codes: impl IntoIterator<Item = u16>) -> usize {
        codes.into_iter().filter_map(|code| self.codes.get(&code)).sum()
    }

    fn divisions(&self) -> usize {
        self.of([code::U_DIV, code::S_DIV, code::U_MOD, code::S_REM, code::S_MOD])
    }

    fn fma(&self) -> usize {
        self.extended.get(&code::GLSL_FMA).copied().unwrap_or(0)
    }

    fn total(&self) -> usize {
        self.codes.values().sum()
    }
}

/// The instructions of the blocks that can be reached from the first: a branch on a constant is decided.
fn reachable<'a>(binary: &Binary, instructions: &'a [Instruction]) -> Vec<&'a Instruction> {
    let label = |id: u32| instructions.iter().position(|i| i.code == code::LABEL && i.words[0] == id);
    let (mut open, mut seen, mut all) = (vec![0], Vec::new(), Vec::new());
    while let Some(start) = open.pop() {
        if seen.contains(&start) {
            continue;
        }
        seen.push(start);
        for instruction in &instructions[start..] {
            all.push(instruction);
            let words = &instruction.words;
            let targets: &[u32] = match instruction.code {
                code::BRANCH => &words[..1],
                code::BRANCH_CONDITIONAL => match binary.constants.get(&words[0]) {
                    Some(true) => &words[1..2],
                    Some(false) => &words[2..3],
                    None => &words[1..3],
                },
                code::RETURN | code::RETURN_VALUE => break,
                code::SWITCH | code::KILL | code::UNREACHABLE => panic!("no such end of a block is expected"),
                _ => continue,
            };
            open.extend(targets.iter().filter_map(|&id| label(id)));
            break;
        }
    }
    all
}

fn count(binary: &Binary, instructions: &[&Instruction], counts: &mut Counts) {
    for Instruction { code, words } in instructions {
        match *code {
            code::FUNCTION_CALL => {
                count(binary, &reachable(binary, &binary.functions[&words[2]]), counts);
            }
            code::EXT_INST => *counts.extended.entry(words[3]).or_default() += 1,
            _ => {}
        }
        *counts.codes.entry(*code).or_default() += 1;
    }
}

/// The loop of the entry point: from its header to the block after it.
fn main_loop(binary: &Binary) -> &[Instruction] {
    let main = &binary.functions[&binary.entry];
    let loops: Vec<usize> = (0..main.len()).filter(|&i| main[i].code == code::LOOP_MERGE).collect();
    assert_eq!(loops.len(), 1, "the loop over k is the only one");
    let after = main[loops[0]].words[0];
    // The loop ends where a branch leaves it: its target is not in the slice.
    let end = main.iter().position(|i| i.code == code::LABEL && i.words[0] == after).unwrap();
    &main[loops[0]..end]
}

/// The calls of the loop whose callee multiplies: their counts alone.
fn multiplications(binary: &Binary, body: &[&Instruction]) -> Counts {
    let mut all = Counts::default();
    for instruction in body.iter().filter(|i| i.code == code::FUNCTION_CALL) {
        let mut counts = Counts::default();
        count(binary, &[instruction], &mut counts);
        if counts.fma() > 0 {
            count(binary, &[instruction], &mut all);
        }
    }
    all
}

fn products() -> Vec<(&'static str, Op)> {
    let conv3 = Conv2d {
        batch: 128,
        c_in: 192,
        h_in: 13,
        w_in: 13,
        c_out: 384,
        kernel: [3, 3],
        stride: [1, 1],
        pad: [1; 4],
        dilation: [1, 1],
        groups: 1,
        bias: true,
        relu: true,
    };
    let fc7 = Linear { batch: 128, inputs: 4096, outputs: 4096, bias: true, relu: true };
    vec![
        ("conv3 forward", Op::Conv2dForward(conv3)),
        ("conv3 grad input", Op::Conv2dGradInput(conv3)),
        ("conv3 grad weight", Op::Conv2dGradWeight(conv3)),
        ("fc7 forward", Op::LinearForward(fc7)),
        ("fc7 grad input", Op::LinearGradInput(fc7)),
        ("fc7 grad weight", Op::LinearGradWeight(fc7)),
    ]
}

#[test]
fn the_inner_loop_has_no_bounds_check_no_wide_counter_and_no_division() {
    println!(
        "{:<18} {:<18} {:>5} {:>6} {:>7} {:>9} {:>9} {:>8} {:>8}",
        "product", "block", "fma4", "loads", "selects", "compares", "divisions", "barriers", "all"
    );
    for (name, op) in products() {
        for block in [
            BlockSize::B128x128x8,
            BlockSize::B128x128x8Double,
            BlockSize::B128x128x16,
            BlockSize::B128x128x16Double,
        ] {
            let limits = Limits { kernel: GemmKernel::Exactly(block), ..Limits::default() };
            let dispatch = &kernels(&op, &limits).unwrap().dispatches[0];
            let binary = compile(dispatch);
            let what = format!("{name}, {}", block.name());
            let wide = |i: &&Instruction| i.code == code::TYPE_INT && i.words[1] == 64;
            assert_eq!(binary.head.iter().filter(wide).count(), 0, "{what}: 64-bit integers");

            let body = reachable(&binary, main_loop(&binary));
            let inner = multiplications(&binary, &body);
            // 16 vectors of four products for each of 8 or 16 steps in k.
            let steps = if block.name().contains("x16") { 16 } else { 8 };
            assert_eq!(inner.fma(), 16 * steps, "{what}: fma");
            assert_eq!(inner.divisions(), 0, "{what}: divisions among the products");
            assert_eq!(inner.of(code::COMPARISONS), 0, "{what}: comparisons among the products");
            assert_eq!(inner.of([code::SELECT]), 0, "{what}: selects among the products");
            assert_eq!(inner.extended.get(&code::GLSL_U_MIN), None, "{what}: clamped indices");

            let mut whole = Counts::default();
            count(&binary, &body, &mut whole);
            assert_eq!(whole.extended.get(&code::GLSL_U_MIN), None, "{what}: clamped indices");
            // Outside of the products only what finds out where the elements of the next tile lie divides, and by
            // constants: for a convolution the term of one k for each invocation (1 / 8 or 1 / 16 of them where there
            // is a table), and the phase of the stride of its input's gradient.
            let most = match op {
                Op::Conv2dForward(_) => 4,
                Op::Conv2dGradWeight(_) => 14,
                Op::Conv2dGradInput(_) => 40,
                _ => 0,
            };
            assert!(
                whole.divisions() <= most,
                "{what}: {} divisions in a turn of the loop",
                whole.divisions()
            );
            println!(
                "{name:<18} {:<18} {:>5} {:>6} {:>7} {:>9} {:>9} {:>8} {:>8}",
                block.name(),
                whole.fma(),
                whole.of([code::LOAD]),
                whole.of([code::SELECT]),
                whole.of(code::COMPARISONS),
                whole.divisions(),
                whole.of([code::BARRIER]),
                whole.total()
            );
        }
    }
}

/// The reader of SPIR-V above sees what it is to find: with checks on there is plenty.
#[test]
fn the_counts_notice_a_division() {
    let mut counts = Counts::default();
    let division = Instruction { code: code::U_DIV, words: vec![1, 2, 3, 4] };
    let binary = Binary::default();
    count(&binary, &[&division], &mut counts);
    assert_eq!((counts.divisions(), counts.total()), (1, 1));
}
