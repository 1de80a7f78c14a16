//! Stored images as network input: views drawn over all they can say, on the CPU path and on this machine's adapter,
//! against the f64 reference; and programs that begin with images.

use crate::gpu_device;
use std::sync::Arc;
use striate::cpu;
use striate::gpu::{self, LimitOverrides};
use striate::model::{BuildOptions, Model, Spec};
use striate::ops::{Augment, Hyper, Op, OperandKind};
use striate::program::{BufferId, Executor, Program, ProgramBuilder, Role, Span, Step};
use striate::random::{Purpose, Stream};
use striate::verify::oracle;
use striate::view::{View, Window};

const ROWS: usize = 100;

/// Stored images and inputs: all channels, odd widths, single pixels, larger and smaller.
const GEOMETRIES: [([usize; 3], [usize; 3]); 10] = [
    ([3, 33, 41], [3, 29, 31]),
    ([3, 17, 13], [3, 32, 32]),
    ([1, 28, 28], [1, 28, 28]),
    ([1, 19, 23], [3, 24, 15]),
    ([3, 31, 27], [1, 20, 21]),
    ([3, 1, 1], [3, 7, 5]),
    ([3, 64, 9], [3, 1, 1]),
    ([1, 5, 130], [1, 7, 67]),
    ([3, 8, 5], [3, 11, 3]),
    ([3, 47, 47], [3, 40, 40]),
];

fn between(stream: &mut Stream, low: f64, high: f64) -> f64 {
    low + (high - low) * f64::from(stream.uniform())
}

/// Any turn, any zoom from a quarter to four, mirrored or not, anywhere on the image or beside it, any colour, any
/// part cut out; some on whole pixels, some only padding.
fn view(d: &Augment, stream: &mut Stream) -> View {
    if stream.below(20) == 0 {
        return View::blank();
    }
    let (height, width) = (d.h_in as f64, d.w_in as f64);
    let mut zoom = || 4f64.powf(between(stream, -1.0, 1.0));
    let (zoom_y, zoom_x) = (zoom(), zoom());
    let mut window = Window {
        top: between(stream, -0.5, 1.0) * height,
        left: between(stream, -0.5, 1.0) * width,
        height: height / zoom_y,
        width: width / zoom_x,
        angle: between(stream, -180.0, 180.0),
        mirror: stream.below(2) == 1,
    };
    match stream.below(4) {
        0 => window.angle = 0.0,
        1 => {
            window = Window {
                top: window.top.round(),
                left: window.left.round(),
                height: d.h_out as f64,
                width: d.w_out as f64,
                angle: 0.0,
                ..window
            }
        }
        _ => {}
    }
    let mean = [0, 1, 2].map(|_| stream.uniform());
    let std = [0, 1, 2].map(|_| 0.1 + stream.uniform());
    let mut view = View::new(&window, [d.h_out, d.w_out]).normalised(1.0 / 255.0, &mean, &std);
    view.colour =
        [0, 1, 2].map(|_| [1.5, 1.5, 1.5, 90.0].map(|most| between(stream, -0.7 * most, most) as f32));
    view.recolour = stream.below(2);
    if stream.below(3) == 0 {
        let (top, left) = (stream.below(d.h_out as u32), stream.below(d.w_out as u32));
        view.cut = [top, left, top + stream.below(30), left + stream.below(30)];
    }
    view
}

fn program(d: &Augment) -> Arc<Program> {
    let op = Op::Augment(*d);
    let mut builder = ProgramBuilder::default();
    let buffers: Vec<BufferId> = (op.operands().into_iter())
        .map(|operand| builder.buffer(operand.name, operand.shape, Role::Output).expect("a unique name"))
        .collect();
    builder.forward.push(Step { op, buffers, label: "input".into() });
    Arc::new(builder.finish(true).expect("a right program"))
}

fn run(executor: &mut dyn Executor, operands: &[Vec<f32>]) -> Vec<f32> {
    executor.write(BufferId(0), &operands[0]).expect("a write");
    executor.write(BufferId(1), &operands[1]).expect("a write");
    executor.run(Span::Forward).expect("a run");
    executor.read(BufferId(2)).expect("a read")
}

/// 1,000 views: each element within 1e-5 of the range of its channel's values, which is `gain` times 0 to 255.
#[test]
fn a_thousand_views_agree_with_the_reference() {
    let gpu = gpu_device::open(&LimitOverrides::default());
    for (number, ([c_in, h_in, w_in], [c_out, h_out, w_out])) in GEOMETRIES.into_iter().enumerate() {
        let d = Augment { batch: ROWS, c_in, h_in, w_in, c_out, h_out, w_out };
        let mut stream = Stream::new(11, Purpose::Test, number as u32);
        let pixels: Vec<f32> = (0..ROWS * d.words()).map(|_| f32::from_bits(stream.next_u32())).collect();
        let views: Vec<View> = (0..ROWS).map(|_| view(&d, &mut stream)).collect();
        let operands = [pixels, View::as_words(&views).to_vec()];
        let len = ROWS * c_out * h_out * w_out;
        let mut reference = vec![
            oracle::operand(OperandKind::Bytes, &operands[0]),
            oracle::operand(OperandKind::Views, &operands[1]),
            vec![0.0; len],
        ];
        oracle::run(&Op::Augment(d), &Hyper::default(), &mut reference);
        let program = program(&d);
        let mut found =
            vec![("cpu", run(&mut cpu::Executor::new(program.clone()).expect("memory"), &operands))];
        if let Some(gpu) = &gpu {
            let mut executor = gpu::Executor::new(gpu, program).expect("a kernel");
            found.push(("gpu", run(&mut executor, &operands)));
        }
        for (device, x) in found {
            let mut worst = 0.0f64;
            for (i, (x, expected)) in x.iter().zip(&reference[2]).enumerate() {
                let plane = i / (h_out * w_out);
                let (view, c) = (&views[plane / c_out], plane % c_out);
                let off = (f64::from(*x) - expected).abs();
                let relative = if off == 0.0 { 0.0 } else { off / (255.0 * f64::from(view.gain[c])) };
                assert!(relative <= 1e-5, "{device} {d:?} at {i}: expected {expected}, found {x}, {view:?}");
                worst = worst.max(relative);
            }
            println!("{device} {d:?}: worst {worst:.1e} of the range");
        }
    }
}

/// What the program writes is the first step of both passes; the host writes bytes; the input shares its memory.
#[test]
fn a_program_that_begins_with_pictures_gives_what_the_same_inputs_give() {
    let spec = Spec::load("lenet5").expect("a built-in model");
    let [c, h, w] = spec.input;
    let stored = [3, h + 5, w + 3];
    let options = BuildOptions { keep: true, input_gradient: true, dropout: false, ..BuildOptions::new(5) };
    let plain = Model::build(&spec, &options).expect("a model");
    let model =
        Model::build(&spec, &BuildOptions { pixels: Some(stored), ..options.clone() }).expect("a model");
    let (pixels, views) = (model.pixels.expect("pixels"), model.views.expect("views"));
    for span in [Span::Forward, Span::Gradients] {
        assert_eq!(model.program.steps(span).next().expect("a step").op.name(), "augment");
        assert_eq!(model.program.steps(span).count(), plain.program.steps(span).count() + 1);
    }
    let mut stream = Stream::new(2, Purpose::Test, 0);
    let len = model.program.buffer(pixels).shape.len();
    assert_eq!(len, 5 * (3 * (h + 5) * (w + 3)).div_ceil(4));
    let bytes: Vec<f32> = (0..len).map(|_| f32::from_bits(stream.next_u32())).collect();
    let d = Augment { batch: 5, c_in: 3, h_in: h + 5, w_in: w + 3, c_out: c, h_out: h, w_out: w };
    let table: Vec<View> = (0..5).map(|_| view(&d, &mut stream)).collect();
    let hyper = Hyper { rows: 5, loss_scale: 0.2, ..Hyper::default() };
    let run = |model: &Model, input: Option<&[f32]>| {
        let mut executor = cpu::Executor::new(model.program.clone()).expect("memory");
        for (buffer, values) in model.initial(1).expect("values") {
            executor.write(buffer, &values).expect("a write");
        }
        executor.write(model.labels, &[0.0, 1.0, 2.0, 3.0, 4.0]).expect("a write");
        executor.write(model.hyper, hyper.as_words()).expect("a write");
        match input {
            Some(input) => executor.write(model.input, input).expect("a write"),
            None => {
                executor.write(pixels, &bytes).expect("a write");
                executor.write(views, View::as_words(&table)).expect("a write");
            }
        }
        executor.run(Span::Gradients).expect("a run");
        let input = executor.read(model.input).expect("a read");
        let gradient = executor.read(model.input_gradient.expect("asked for")).expect("a read");
        let losses = executor.read(model.losses).expect("a read");
        executor.run(Span::Forward).expect("a run");
        (input, gradient, losses, executor.read(model.logits).expect("a read"))
    };
    let found = run(&model, None);
    assert!(found.0.iter().any(|&v| v != 0.0) && found.1.iter().any(|&v| v != 0.0));
    assert_eq!(run(&plain, Some(&found.0)), found);

    let lean =
        Model::build(&spec, &BuildOptions { keep: false, pixels: Some(stored), ..options }).expect("a model");
    assert_eq!(lean.program.buffer(lean.input).role, Role::Transient);
    let mut executor = cpu::Executor::new(lean.program.clone()).expect("memory");
    let refused = executor.read(lean.input).expect_err("the input shares its memory");
    assert!(refused.to_string().contains("build the program with `keep`"), "{refused}");
}

#[test]
fn pictures_that_no_view_can_show_are_refused() {
    let spec = Spec::load("lenet5").expect("a built-in model");
    for (stored, expected) in [
        ([4, 32, 32], "images must have 1 or 3 channels, found 4"),
        ([3, 0, 32], "the height of the images must be 1 to 4096, found 0"),
        ([3, 32, 5000], "the width of the images must be 1 to 4096, found 5000"),
        ([usize::MAX, usize::MAX, usize::MAX], "found 18446744073709551615"),
    ] {
        let options = BuildOptions { pixels: Some(stored), ..BuildOptions::new(2) };
        let error = Model::build(&spec, &options).expect_err("no such images").to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
}
