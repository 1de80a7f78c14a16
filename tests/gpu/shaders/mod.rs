//! Every kernel without a device: each dispatch of each operator is held against its WGSL, parsed and validated by
//! the compiler that wgpu uses. What a shader computes is the business of the operator tests.

mod spirv;
mod structs;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::LazyLock;
use striate::gpu::Schedule;
use striate::gpu::kernels::{
    Binding, BlockSize, Dispatch, GemmKernel, Kernels, Limits, NOOP, PEAK_COPY, PEAK_FMA, Precision, Shader,
    Source, kernels,
};
use striate::model::{BuildOptions, Model, Optimizer, Spec};
use striate::ops::{Access, BatchNorm2d, Op, OperandKind, Softmax};
use striate::program::Span;
use striate::verify::cases::{alexnet_cases, cases};
use wgpu::naga;

/// The operators of all test cases, and one that is long enough to be cut along its batch.
fn small_operators() -> Vec<Op> {
    let norm = BatchNorm2d { batch: 7, channels: 2, inner: 20_000, eps: 1e-5, momentum: 0.1, relu: false };
    let long = [Op::BatchNorm2dStats(norm), Op::BatchNorm2dGradParameters(norm)];
    cases().into_iter().map(|case| case.op).chain(long).collect()
}

/// What every adapter offers, with each of the tiles, and limits so low that most operators above have to be cut into
/// parts.
fn all_limits() -> Vec<Limits> {
    let whole = Limits::default();
    let mut all = vec![
        whole,
        Limits { precision: Precision::Half, ..whole },
        Limits { precision: Precision::Half, kernel: GemmKernel::Registers, ..whole },
        Limits { precision: Precision::HalfCooperative, ..whole },
        Limits { align: 8, binding: 300, groups: 50, ..whole },
        Limits { align: 8, binding: 100_000, groups: 50, ..whole },
    ];
    let tiles = [GemmKernel::Registers, GemmKernel::Subgroup]
        .into_iter()
        .chain(BlockSize::ALL.map(GemmKernel::Exactly));
    all.extend(tiles.map(|kernel| Limits { kernel, ..whole }));
    all
}

/// Every operator under every limit, without what cannot be cut that finely, and AlexNet's as they would run.
static ALL: LazyLock<Vec<(Op, Limits, Kernels)>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for limits in all_limits() {
        let is_real = limits.binding == Limits::default().binding;
        let mut ops = small_operators();
        if is_real {
            ops.extend(alexnet_cases(128).into_iter().map(|case| case.op));
        }
        for op in ops {
            match kernels(&op, &limits) {
                Ok(found) => all.push((op, limits, found)),
                Err(error) => {
                    assert!(!is_real, "{}: {error}", op.name());
                    assert_eq!(error.exit_code(), 3, "{}: {error}", op.name());
                }
            }
        }
    }
    all
});

struct Module {
    module: naga::Module,
    info: naga::valid::ModuleInfo,
}

/// Whether a shader is for adapters with cooperative matrices.
fn is_cooperative(shader: &Shader) -> bool {
    shader.source().contains("enable wgpu_cooperative_matrix;")
}

/// Parsed and validated, with nothing but the capabilities that every adapter has; and those of shaders that
/// are only taken where they are.
fn compile(shader: &Shader) -> Module {
    let source = shader.source();
    let module = naga::front::wgsl::parse_str(&source)
        .unwrap_or_else(|e| panic!("{}", located(shader, e.location(&source), &e.emit_to_string(&source))));
    let flags = naga::valid::ValidationFlags::all();
    let mut validator = naga::valid::Validator::new(flags, capabilities(shader));
    let info = validator
        .validate(&module)
        .unwrap_or_else(|e| panic!("{}", located(shader, e.location(&source), &e.emit_to_string(&source))));
    Module { module, info }
}

/// A message of the compiler with the label of the shader and file and line of the part.
fn located(shader: &Shader, at: Option<naga::SourceLocation>, message: &str) -> String {
    let (file, line) = at.and_then(|at| shader.locate(at.line_number as usize)).unwrap_or_default();
    format!("{}: {file}:{line}: {message}", shader.label())
}

fn capabilities(shader: &Shader) -> naga::valid::Capabilities {
    use naga::valid::Capabilities as C;
    let mut all = C::empty();
    all.set(C::SUBGROUP, shader.source().contains("subgroupBroadcast(") || is_cooperative(shader));
    all.set(C::SHADER_FLOAT16, shader.source().contains("enable f16;"));
    all.set(C::COOPERATIVE_MATRIX, is_cooperative(shader));
    all
}

static MODULES: LazyLock<HashMap<Shader, Module>> = LazyLock::new(|| {
    let mut modules = HashMap::new();
    let kernels = ALL.iter().flat_map(|(_, _, k)| &k.dispatches).map(|dispatch| dispatch.shader);
    for shader in kernels.chain(PROBES) {
        modules.entry(shader).or_insert_with(|| compile(&shader));
    }
    modules.extend(together().into_iter().map(|shader| (shader, compile(&shader))));
    modules
});

/// The shaders of steps that run together, in AlexNet's training with and without what an optimiser can have.
fn together() -> HashSet<Shader> {
    let (limits, mut shaders) = (Limits::default(), HashSet::new());
    for optimizer in [Optimizer::Sgd, Optimizer::Adam, Optimizer::AdamW, Optimizer::RmsProp] {
        for freeze in [None, Some("features.0.bias".to_string())] {
            let mut spec = Spec::load("alexnet").unwrap();
            spec.recipe.optimizer = optimizer;
            let options = BuildOptions { clip: freeze.is_some(), freeze, ..BuildOptions::new(16) };
            let model = Model::build(&spec, &options).unwrap();
            let schedule = Schedule::new(&model.program, &limits).unwrap();
            shaders.extend(schedule.steps(Span::Train).flat_map(|t| &t.dispatches).map(|l| l.shader));
        }
    }
    shaders
}

/// The resource variables by binding number; all are in group 0.
fn resources<'a>(name: &str, module: &'a naga::Module) -> BTreeMap<u32, &'a naga::GlobalVariable> {
    let mut found = BTreeMap::new();
    for (_, variable) in module.global_variables.iter() {
        if let Some(binding) = &variable.binding {
            assert_eq!(binding.group, 0, "{name}.wgsl: {:?} is not in group 0", variable.name);
            let twice = found.insert(binding.binding, variable);
            assert!(twice.is_none(), "{name}.wgsl: binding {} is declared twice", binding.binding);
        }
    }
    found
}

#[test]
fn every_kernel_has_one_entry_point_called_main_and_stays_within_the_default_limits() {
    for (shader, Module { module, .. }) in MODULES.iter() {
        let name = shader.name;
        let [entry] = module.entry_points.as_slice() else {
            panic!("{name}.wgsl has {} entry points", module.entry_points.len());
        };
        assert_eq!((entry.name.as_str(), entry.stage), ("main", naga::ShaderStage::Compute), "{name}.wgsl");
        assert!(entry.workgroup_size_overrides.is_none(), "{name}.wgsl: the workgroup size is no constant");
        let invocations: u32 = entry.workgroup_size.iter().product();
        assert!((1..=256).contains(&invocations), "{name}.wgsl: {invocations} invocations");

        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).unwrap();
        let bytes: u32 = module
            .global_variables
            .iter()
            .filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup)
            .map(|(_, v)| layouter[v.ty].size)
            .sum();
        // What is taken only where there is more says what it needs.
        let block = BlockSize::ALL.into_iter().find(|b| shader.label().split('/').nth(1) == Some(b.name()));
        let cooperative = if is_cooperative(shader) { 32_768 } else { 16_384 };
        let most = block.map_or(cooperative, BlockSize::workgroup_memory);
        assert!(bytes <= most, "{name}.wgsl: {bytes} bytes of workgroup memory");

        let storage = resources(name, module)
            .values()
            .filter(|v| matches!(v.space, naga::AddressSpace::Storage { .. }))
            .count();
        assert!(storage <= 8, "{name}.wgsl: {storage} storage buffers");
    }
}

#[test]
fn bindings_agree_with_the_variables_of_the_shader_in_number_kind_and_access() {
    for (op, _, kernels) in ALL.iter() {
        let operands = op.operands();
        for dispatch in &kernels.dispatches {
            let name = dispatch.shader.name;
            let Module { module, info } = &MODULES[&dispatch.shader];
            let resources = resources(name, module);
            let numbers: Vec<u32> = resources.keys().copied().collect();
            let expected: Vec<u32> = (0..dispatch.bindings.len() as u32).collect();
            assert_eq!(numbers, expected, "{name}.wgsl for {}", op.name());
            for (handle, variable) in module.global_variables.iter() {
                let Some(resource) = &variable.binding else { continue };
                let what = format!("{name}.wgsl, {}", variable.name.as_deref().unwrap_or("?"));
                // wgpu drops unused variables from the layout it derives, and the bind group would not fit.
                assert!(!info.get_entry_point(0)[handle].is_empty(), "{what} is not used");
                let writes = match variable.space {
                    naga::AddressSpace::Uniform => false,
                    naga::AddressSpace::Storage { access } => access.contains(naga::StorageAccess::STORE),
                    space => panic!("{what} is in {space:?}"),
                };
                let Source::Operand(i) = dispatch.bindings[resource.binding as usize].source else {
                    continue;
                };
                assert_eq!(
                    writes,
                    operands[i].access != Access::Read,
                    "{what}: operand {}",
                    operands[i].name
                );
                let uniform = variable.space == naga::AddressSpace::Uniform;
                assert_eq!(
                    uniform,
                    operands[i].kind == OperandKind::Hyper,
                    "{what}: operand {}",
                    operands[i].name
                );
            }
        }
    }
}

#[test]
fn constants_and_overrides_have_the_same_names_and_acceptable_values() {
    let mut seen = HashSet::new();
    for (op, _, kernels) in ALL.iter() {
        for Dispatch { shader, constants, .. } in &kernels.dispatches {
            let bits: Vec<(&str, u64)> =
                constants.iter().map(|&(name, value)| (name, value.to_bits())).collect();
            if !seen.insert((shader, bits)) {
                continue;
            }
            let what = format!("{}.wgsl for {}", shader.name, op.name());
            let Module { module, info } = &MODULES[shader];
            let given: BTreeSet<&str> = constants.iter().map(|c| c.0).collect();
            assert_eq!(given.len(), constants.len(), "{what}: a constant is given twice");
            let overrides = || module.overrides.iter().map(|(_, o)| o);
            let known: BTreeSet<&str> = overrides().filter_map(|o| o.name.as_deref()).collect();
            let needed: BTreeSet<&str> =
                overrides().filter(|o| o.init.is_none()).filter_map(|o| o.name.as_deref()).collect();
            assert!(known.contains("unused"), "{what}: prelude.wgsl is missing");
            assert!(given.is_subset(&known), "{what}: no override {:?}", &given - &known);
            assert!(needed.is_subset(&given), "{what}: no value for {:?}", &needed - &given);
            for &(name, value) in constants {
                let (_, o) = module.overrides.iter().find(|(_, o)| o.name.as_deref() == Some(name)).unwrap();
                if module.types[o.ty].inner == naga::TypeInner::Scalar(naga::Scalar::U32) {
                    // A fraction would be cut off without a word.
                    assert_eq!(value, f64::from(value as u32), "{what}: {name}");
                }
            }
            let values = constants.iter().map(|&(name, value)| (name.to_string(), value)).collect();
            let entry = Some((naga::ShaderStage::Compute, "main"));
            let (module, info) =
                naga::back::pipeline_constants::process_overrides(module, info, entry, &values)
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
            if is_cooperative(shader) {
                spirv::translates(&what, &module, &info);
            }
        }
    }
}

#[test]
fn shaders_of_one_label_have_the_same_text_and_labels_have_the_stem_and_the_variant() {
    let kernels = ALL.iter().flat_map(|(_, _, k)| &k.dispatches).map(|dispatch| dispatch.shader);
    let (mut sources, mut labels) = (BTreeMap::new(), BTreeMap::new());
    for shader in kernels.chain(PROBES).chain(together()) {
        let source = shader.source();
        assert_eq!(
            *sources.entry(shader.label()).or_insert_with(|| source.clone()),
            source,
            "{}",
            shader.label()
        );
        let label = labels.entry(source).or_insert_with(|| shader.label());
        assert_eq!(*label, shader.label(), "two labels of one text");
    }
    for label in
        ["conv2d_forward/64x128x16/vec4", "conv2d_forward/subgroup/8x64", "sgd/momentum/record/table"]
    {
        assert!(sources.contains_key(label), "no {label} in {:?}", sources.keys());
    }
}

/// Measure the device itself and belong to no operator.
const PROBES: [Shader; 3] = [NOOP, PEAK_FMA, PEAK_COPY];

#[test]
fn every_file_in_shaders_is_part_of_a_kernel_and_kernels_are_named_after_their_operator() {
    let parts = MODULES.keys().flat_map(Shader::parts);
    let used: BTreeSet<String> = parts.map(|part| part.name.into_owned()).collect();
    let mut files = 0;
    let folders = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders")).unwrap();
    for folder in folders.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_str().unwrap();
            assert!(used.contains(name), "{name} is not used");
            files += 1;
        }
    }
    assert!(files > 50, "only {files} files in shaders/");
    for (op, _, kernels) in ALL.iter() {
        let stem = |d: &Dispatch| d.shader.name.starts_with(op.name());
        assert!(kernels.dispatches.iter().any(stem), "no dispatch of {} is called so", op.name());
    }
}

#[test]
fn grids_and_bindings_respect_the_limits() {
    let mut cut = BTreeSet::new();
    for (op, limits, kernels) in ALL.iter() {
        let operands = op.operands();
        for dispatch in &kernels.dispatches {
            let what = format!("{}.wgsl for {}", dispatch.shader.name, op.name());
            assert!(dispatch.groups.iter().all(|&n| (1..=limits.groups).contains(&n)), "{what}: grid");
            for Binding { source, range } in &dispatch.bindings {
                let len = match *source {
                    Source::Operand(i) => operands[i].shape.len(),
                    Source::Scratch(i) => kernels.scratch[i],
                };
                let (offset, count) = range.unwrap_or((0, len));
                assert!(offset + count <= len, "{what}: {offset} + {count} elements of {len}");
                assert_eq!(offset % limits.align, 0, "{what}: offset {offset}");
                // Scratch grows with the number of parts, not with a tensor. What is bound whole has to fit the default
                // limits, which every adapter offers, not the tiny ones that are tried here.
                let scratch = matches!(source, Source::Scratch(_));
                let whole = if may_bind_whole(op) { Limits::default().binding } else { 0 };
                let floor = if scratch { 1 << 20 } else { whole };
                assert!(count <= limits.binding.max(floor), "{what}: {count} elements bound");
                if range.is_some() {
                    cut.insert(op.name());
                }
            }
        }
        written_once(op, kernels);
    }
    assert!(cut.len() > 25, "only {cut:?} were cut into parts");
}

/// Products cut their weights and outputs only, sums for each channel bind short tensors whole, metrics has one number for each row of a batch, and clipping one for each
/// parameter: the executor refuses their other operands if they are too large.
fn may_bind_whole(op: &Op) -> bool {
    let product = op.name().starts_with("conv2d_") || op.name().starts_with("linear_");
    let summed = matches!(
        op,
        Op::BiasGrad(_) | Op::PreluGradWeight(_) | Op::ScaleGradWeight(_) | Op::LayerNormGradWeight(_)
    );
    product || summed || matches!(op, Op::Metrics(_) | Op::GradClip(_) | Op::GradUnscale(_))
}

/// Where an operand is bound in parts, the parts of its writers cover it without gap or overlap.
fn written_once(op: &Op, kernels: &Kernels) {
    for (i, operand) in op.operands().iter().enumerate() {
        if operand.access == Access::Read {
            continue;
        }
        let bound =
            |d: &Dispatch| d.bindings.iter().find(|b| b.source == Source::Operand(i)).map(|b| b.range);
        let mut parts: Vec<(usize, usize)> = kernels.dispatches.iter().filter_map(bound).flatten().collect();
        if parts.is_empty() {
            assert!(kernels.dispatches.iter().any(|d| bound(d).is_some()), "{}: {}", op.name(), operand.name);
            continue;
        }
        parts.sort_unstable();
        parts.dedup();
        let mut next = 0;
        for (offset, count) in parts {
            assert_eq!(offset, next, "{}: {}", op.name(), operand.name);
            next += count;
        }
        assert_eq!(next, operand.shape.len(), "{}: {}", op.name(), operand.name);
    }
}

#[test]
fn a_tensor_that_cannot_be_cut_is_an_error_that_names_operator_size_and_limit() {
    let limits = Limits { binding: 1000, ..Limits::default() };
    let softmax = Op::SoftmaxForward(Softmax { batch: 1, channels: 1001, inner: 1 });
    let error = kernels(&softmax, &limits).unwrap_err();
    let message = error.to_string();
    assert_eq!(error.exit_code(), 3);
    for part in ["softmax_forward", "4004", "4000", "smaller batch"] {
        assert!(message.contains(part), "{message}");
    }
}
