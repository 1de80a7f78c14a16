//! What `Program::new` refuses, and that its memory plan never lets two values share memory at one time.

use striate::Error;
use striate::ops::{Access, Linear, Op, Pointwise};
use striate::program::{Buffer, BufferId, Program, ProgramBuilder, Role, Span, Step};
use striate::random::{Purpose, Stream};

fn buffer(name: &str, shape: impl Into<striate::tensor::Shape>, role: Role) -> Buffer {
    Buffer { name: name.into(), shape: shape.into(), role }
}

fn step(op: Op, buffers: &[u32]) -> Step {
    Step { op, buffers: buffers.iter().map(|&i| BufferId(i)).collect(), label: "fc".into() }
}

fn linear() -> Op {
    Op::LinearForward(Linear { batch: 2, inputs: 6, outputs: 3, bias: true, relu: false })
}

fn buffers() -> Vec<Buffer> {
    vec![
        buffer("input", [2, 6, 1, 1], Role::Input),
        buffer("fc.weight", [3, 6], Role::Parameter),
        buffer("fc.bias", [3], Role::Parameter),
        buffer("fc.y", [2, 3], Role::Transient),
    ]
}

/// The message with which a program of one step is refused.
fn refusal(buffers: Vec<Buffer>, step: Step) -> String {
    let in_each_list = [
        Program::new(buffers.clone(), vec![step.clone()], vec![], vec![], false),
        Program::new(buffers.clone(), vec![], vec![step.clone()], vec![], false),
        Program::new(buffers, vec![], vec![], vec![step], false),
    ];
    let mut messages = in_each_list.map(|program| program.expect_err("a wrong program").to_string());
    assert_eq!(messages[0], messages[1]);
    assert_eq!(messages[0], messages[2]);
    std::mem::take(&mut messages[0])
}

#[test]
fn a_right_program_is_accepted() {
    let steps = vec![step(linear(), &[0, 1, 2, 3])];
    let program = Program::new(buffers(), steps, vec![], vec![], false).expect("a right program");
    assert_eq!(program.steps(Span::Forward).count(), 1);
    assert_eq!(program.steps(Span::Train).count(), 0);
    assert_eq!(program.flops(Span::Forward), 2 * 2 * 6 * 3);
    assert_eq!(program.find("fc.bias"), Some(BufferId(2)));
}

#[test]
fn wrong_shapes_are_refused() {
    let mut wrong = buffers();
    wrong[1] = buffer("fc.weight", [3, 5], Role::Parameter);
    let message = refusal(wrong, step(linear(), &[0, 1, 2, 3]));
    assert!(
        message.contains("operand w has shape [3, 6], found buffer fc.weight of shape [3, 5]"),
        "{message}"
    );
    assert!(message.contains("linear_forward of fc"), "{message}");
    // As many elements, but other rows.
    let mut transposed = buffers();
    transposed[1] = buffer("fc.weight", [6, 3], Role::Parameter);
    assert!(refusal(transposed, step(linear(), &[0, 1, 2, 3])).contains("[6, 3]"));
}

#[test]
fn a_wrong_number_of_buffers_is_refused() {
    let message = refusal(buffers(), step(linear(), &[0, 1, 3]));
    assert!(message.contains("expected 4 buffers, found 3"), "{message}");
}

#[test]
fn a_buffer_that_does_not_exist_is_refused() {
    let message = refusal(buffers(), step(linear(), &[0, 1, 2, 9]));
    assert!(message.contains("no buffer number 9"), "{message}");
}

#[test]
fn writing_what_is_used_twice_is_refused() {
    let relu = Op::ReluForward(Pointwise { len: 6 });
    let message = refusal(buffers(), step(relu, &[3, 3]));
    assert!(message.contains("buffer fc.y is written and used twice"), "{message}");
    // Reading a buffer twice is fine: y = a + a.
    let add = step(Op::Add(Pointwise { len: 12 }), &[0, 0, 1]);
    let two = vec![buffer("a", [12], Role::Input), buffer("y", [12], Role::Output)];
    assert!(Program::new(two, vec![add], vec![], vec![], false).is_ok());
}

#[test]
fn an_impossible_geometry_is_refused_with_the_layers_name() {
    let impossible = Op::LinearForward(Linear { batch: 2, inputs: 6, outputs: 0, bias: true, relu: false });
    let steps = vec![step(impossible, &[0, 1, 2, 3])];
    let error = Program::new(buffers(), steps, vec![], vec![], false).expect_err("no outputs");
    assert!(matches!(error, Error::Model(_)));
    assert!(error.to_string().contains("layer fc: linear_forward: out_features"), "{error}");
}

#[test]
fn two_buffers_of_one_name_are_refused() {
    let mut builder = ProgramBuilder::default();
    builder.buffer("x", [3], Role::Input).expect("a new name");
    let error = builder.buffer("x", [4], Role::Output).expect_err("a name that is taken");
    assert!(error.to_string().contains("two buffers are called x"), "{error}");
}

/// Buffers of a few lengths, most of them transient, and steps between random ones of one length.
fn random_program(stream: &mut Stream, keep: bool) -> Program {
    let mut builder = ProgramBuilder::default();
    let lengths = [5usize, 8, 13];
    let mut groups: [Vec<BufferId>; 3] = Default::default();
    for i in 0..6 + stream.below(30) {
        let group = stream.below(3) as usize;
        let role = [Role::Transient, Role::Transient, Role::Transient, Role::Output, Role::Gradient]
            [stream.below(5) as usize];
        let id = builder.buffer(format!("b{i}"), [lengths[group]], role).expect("a new name");
        groups[group].push(id);
    }
    for list in 0..3 {
        for i in 0..stream.below(25) {
            let group = stream.below(3) as usize;
            let members = &groups[group];
            if members.len() < 3 {
                continue;
            }
            let order = stream.permutation(members.len());
            let [a, b, y] = [0, 1, 2].map(|k| members[order[k] as usize]);
            let pointwise = Pointwise { len: lengths[group] };
            let (op, buffers) = match stream.below(3) {
                0 => (Op::Add(pointwise), vec![a, b, y]),
                1 => (Op::ReluForward(pointwise), vec![a, y]),
                _ => (Op::TanhBackward(pointwise), vec![a, b, y]),
            };
            let steps = [&mut builder.forward, &mut builder.gradients, &mut builder.update];
            steps[list].push(Step { op, buffers, label: format!("step{i}") });
        }
    }
    builder.finish(keep).expect("a right program")
}

/// Runs `span` on slots that only remember whose value they hold. What a step reads must still be there, if it was
/// written in this span at all.
fn assert_nothing_is_overwritten(program: &Program, span: Span) {
    let mut holder: Vec<Option<BufferId>> = vec![None; program.plan().slots().len()];
    let mut written = vec![false; program.buffers().len()];
    for (time, step) in program.steps(span).enumerate() {
        for (operand, &id) in step.op.operands().iter().zip(&step.buffers) {
            if operand.access == Access::Read && written[id.index()] {
                let slot = program.plan().slot(id);
                assert_eq!(holder[slot], Some(id), "{span:?} step {time} reads an overwritten buffer");
            }
        }
        for (operand, &id) in step.op.operands().iter().zip(&step.buffers) {
            if operand.access != Access::Read {
                holder[program.plan().slot(id)] = Some(id);
                written[id.index()] = true;
            }
        }
    }
}

/// First and last step of `span` that touches `id`.
fn lifetime(program: &Program, span: Span, id: BufferId) -> Option<(usize, usize)> {
    let touching = || program.steps(span).enumerate().filter(|(_, step)| step.buffers.contains(&id));
    Some((touching().next()?.0, touching().last()?.0))
}

#[test]
fn no_two_values_share_memory_at_one_time() {
    let mut stream = Stream::new(5, Purpose::Test, 0);
    let (mut sharing, mut pairs) = (0, 0);
    for _ in 0..300 {
        let program = random_program(&mut stream, false);
        let plan = program.plan();
        let spans = [Span::Forward, Span::Gradients, Span::Update];
        for span in spans {
            assert_nothing_is_overwritten(&program, span);
        }
        let ids: Vec<BufferId> = (0..program.buffers().len() as u32).map(BufferId).collect();
        for &a in &ids {
            let role = program.buffer(a).role;
            assert!(plan.slots()[plan.slot(a)] >= program.buffer(a).shape.len(), "a slot is too small");
            assert_eq!(plan.is_kept(a), role != Role::Transient);
            for &b in ids.iter().filter(|&&b| b > a && plan.slot(a) == plan.slot(b)) {
                sharing += 1;
                assert!(role == Role::Transient && program.buffer(b).role == Role::Transient);
                for span in spans {
                    if let (Some(x), Some(y)) = (lifetime(&program, span, a), lifetime(&program, span, b)) {
                        pairs += 1;
                        assert!(x.1 < y.0 || y.1 < x.0, "{span:?}: {a:?} {x:?} and {b:?} {y:?} meet");
                    }
                }
            }
        }
    }
    assert!(sharing > 100 && pairs > 100, "the random programs share too little: {sharing}, {pairs}");
}

#[test]
fn keep_gives_every_buffer_memory_of_its_own() {
    let mut stream = Stream::new(6, Purpose::Test, 0);
    let program = random_program(&mut stream, true);
    let plan = program.plan();
    let mut slots: Vec<usize> = (0..program.buffers().len() as u32).map(|i| plan.slot(BufferId(i))).collect();
    slots.sort_unstable();
    assert!(slots.into_iter().eq(0..program.buffers().len()));
    assert!((0..program.buffers().len() as u32).all(|i| plan.is_kept(BufferId(i))));
    let bytes: u64 = program.buffers().iter().map(|b| b.shape.bytes()).sum();
    assert_eq!(plan.bytes(), bytes);
}

/// x -> t0 -> t1 -> ... -> y.
fn chain(length: usize) -> Program {
    let mut builder = ProgramBuilder::default();
    let op = Op::ReluForward(Pointwise { len: 100 });
    let mut last = builder.buffer("x", [4, 25], Role::Input).expect("a new name");
    for i in 0..length {
        let role = if i + 1 == length { Role::Output } else { Role::Transient };
        let next = builder.buffer(format!("relu{i}.y"), [4, 25], role).expect("a new name");
        builder.forward.push(Step { op: op.clone(), buffers: vec![last, next], label: format!("relu{i}") });
        last = next;
    }
    builder.finish(false).expect("a right program")
}

#[test]
fn a_chain_needs_two_slots_for_what_is_between() {
    let plan = chain(12);
    let plan = plan.plan();
    assert_eq!(plan.slots().len(), 4, "input, output, and two that take turns");
    assert_eq!(plan.bytes(), 4 * 400);
    assert_eq!(plan.bytes_of(Role::Transient), 2 * 400);
    assert_eq!(plan.bytes_of(Role::Input), 400);
    assert_eq!(plan.bytes_of(Role::Parameter), 0);
}

#[test]
fn only_kept_buffers_are_accessible_and_only_with_their_length() {
    let program = chain(4);
    let id = |name| program.find(name).expect("a buffer");
    assert!(program.check_access(id("x"), Some(100)).is_ok());
    assert!(program.check_access(id("relu3.y"), None).is_ok());
    let error = program.check_access(id("x"), Some(99)).expect_err("one is missing").to_string();
    assert!(error.contains("buffer x has 100 values, found 99"), "{error}");
    let error = program.check_access(id("relu1.y"), None).expect_err("its memory is shared").to_string();
    assert!(error.contains("relu1.y shares its memory"), "{error}");
    assert!(program.check_access(BufferId(77), None).is_err());
}

#[test]
fn display_prints_steps_and_memory() {
    let text = chain(3).to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("forward: 3 steps"), "{text}");
    assert!(lines[1].contains("relu_forward") && lines[1].contains("relu0"), "{text}");
    assert!(lines[1].contains("x=x[4, 25] ->y=relu0.y[4, 25]"), "{text}");
    assert!(text.contains("gradients: 0 steps") && text.contains("update: 0 steps"), "{text}");
    let memory = lines.iter().find(|line| line.starts_with("memory: ")).expect("a line on memory");
    assert!(memory.ends_with("in 4 slots"), "{text}");
    for role in ["input", "output", "transient"] {
        assert!(lines.iter().any(|line| line.trim().starts_with(role)), "{role} is missing in {text}");
    }
}
