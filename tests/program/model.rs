//! Model files: parameter counts of the built-in networks, the graph, and the messages about mistakes.

use striate::model::{BuildOptions, Model, Spec};
use striate::ops::Target;
use striate::program::Span;

fn build(name: &str, batch: usize) -> Model {
    let spec = Spec::load(name).unwrap();
    let mut options = BuildOptions::new(batch);
    if name == "neuron" {
        options.target = Target::Values;
    }
    Model::build(&spec, &options).unwrap()
}

#[test]
fn built_in_networks_have_the_published_number_of_parameters() {
    for (name, count) in [
        ("alexnet", 61_100_840),
        ("alexnet-2012", 60_965_224),
        ("alexnet-2012-asrun", 60_965_224),
        ("alexnet-64", 1_662_209),
        ("bvlc-alexnet", 60_965_224),
        ("caffenet", 60_965_224),
        ("lenet5", 61_706),
        ("mlp-784-15-10", 11_935),
        ("neuron", 4),
        // torchvision 0.29: `num_params` in the metadata of its weights.
        ("convnext_tiny", 28_589_128),
        ("densenet121", 7_978_856),
        ("efficientnet_b0", 5_288_548),
        ("googlenet", 6_624_904),
        ("mnasnet1_0", 4_383_312),
        ("mobilenet_v2", 3_504_872),
        ("mobilenet_v3_small", 2_542_856),
        ("regnet_y_400mf", 4_344_144),
        ("shufflenet_v2_x1_0", 2_278_604),
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnext50_32x4d", 25_028_904),
        ("vgg11", 132_863_336),
        ("vgg16", 138_357_544),
        ("vgg16_bn", 138_365_992),
        ("squeezenet1_1", 1_235_496),
    ] {
        assert_eq!(build(name, 2).parameter_count(), count, "{name}");
    }
    assert_eq!(Spec::builtin_names().len(), 27);
}

#[test]
fn alexnet_has_the_published_work_and_shapes() {
    let model = build("alexnet", 128);
    let macs: u64 = model.layers.iter().map(|l| l.macs).sum();
    assert_eq!(macs, 714_188_480);
    // 530.5 GFLOP a step: performance.md's arithmetic counts products only.
    let flops = model.program.flops(Span::Gradients) as f64;
    assert!((flops / 530.5e9 - 1.0).abs() < 0.01, "{flops}");
    let output = |name: &str| model.layers.iter().find(|l| l.name == name).unwrap().output.to_string();
    assert_eq!(output("features.0"), "[128, 64, 55, 55]");
    assert_eq!(output("avgpool"), "[128, 256, 6, 6]");
    assert_eq!(output("classifier.6"), "[128, 1000]");
    for name in ["alexnet-2012", "bvlc-alexnet", "caffenet"] {
        let model = build(name, 1);
        let conv1 = model.layers.iter().find(|l| l.name == "conv1").unwrap();
        assert_eq!(conv1.output.to_string(), "[1, 96, 55, 55]", "{name}");
    }
}

/// A little network with one layer line under test.
fn with_layer(line: &str) -> String {
    format!(
        "name = \"t\"\ninput = [2, 8, 8]\n\n[[layer]]\nname = \"a\"\n{line}\n\n[[layer]]\nop = \"flatten\"\n"
    )
}

fn message(text: &str) -> String {
    let result = Spec::parse(text, "t.toml").and_then(|s| Model::build(&s, &BuildOptions::new(2)));
    let error = result.expect_err("must be refused");
    assert_eq!(error.exit_code(), 4, "{error}");
    let message = error.to_string();
    assert!(!message.contains('\n'), "one line: {message}");
    message
}

#[test]
fn mistakes_name_the_line_and_the_nearest_word() {
    for (text, expected) in [
        (
            with_layer("op = \"conv2b\""),
            "t.toml:6: layer a: op: unknown operator \"conv2b\"; did you mean `conv2d`?",
        ),
        (
            with_layer("op = \"conv2d\"\nkernel = 3\nout_channels = 4\nstrid = 2"),
            "t.toml:9: layer a: unknown key `strid`; did you mean `stride`?",
        ),
        (
            with_layer("op = \"conv2d\"\nkernel = 9\nout_channels = 4"),
            "t.toml:4: layer a: kernel 9x9 is larger than its input 8x8; expected a smaller kernel, or more padding",
        ),
        (with_layer("op = \"conv2d\"\nkernel = 3"), "t.toml:4: layer a: out_channels is missing"),
        (
            with_layer("op = \"conv2d\"\nkernel = \"big\"\nout_channels = 4"),
            "expected a whole number or [h, w], found \"big\"",
        ),
        (
            with_layer("op = \"conv2d\"\nkernel = 3\nout_channels = 3\ngroups = 2"),
            "groups must divide 2 input and 3 output channels, found 2",
        ),
        (
            with_layer("op = \"conv2d\"\nkernel = 3\nout_channels = 4\nstride = 4294967295"),
            "stride, padding and dilation must be at most 1024",
        ),
        (with_layer("op = \"relu\"\ninput = \"inptu\""), "no layer `inptu` above it; did you mean `input`?"),
        (with_layer("op = \"linear\"\nout_features = 3"), "add a flatten layer"),
        (
            with_layer("op = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 3\nper_position = true"),
            "expected an input [channels, height, width], found [128]",
        ),
        (
            with_layer("op = \"linear\"\nout_features = 0\nper_position = true"),
            "out_features: expected at least 1, found 0",
        ),
        (with_layer("op = \"dropout\"\np = 1.0"), "p must be at least 0 and less than 1, found 1"),
        (with_layer("op = \"dropout2d\"\np = -0.5"), "p must be at least 0 and less than 1, found -0.5"),
        (with_layer("op = \"stochastic_depth\"\np = 1.0"), "p must be at least 0 and less than 1, found 1"),
        (with_layer("op = \"stochastic_depth\""), "p is missing"),
        (with_layer("op = \"stochastic_depth\"\np = 0.1\nmode = \"rows\""), "did you mean `row`?"),
        (
            with_layer("op = \"slice\"\nstart = 1\nend = 3"),
            "expected start < end <= 2 channels, found 1 and 3",
        ),
        (
            with_layer("op = \"slice\"\nstart = 1\nend = 1"),
            "expected start < end <= 2 channels, found 1 and 1",
        ),
        (with_layer("op = \"channel_shuffle\"\ngroups = 3"), "groups must divide the 2 channels, found 3"),
        (with_layer("op = \"channel_shuffle\"\ngroups = 0"), "groups must divide the 2 channels, found 0"),
        (with_layer("op = \"layer_norm\"\neps = 0"), "eps: expected more than 0, found 0"),
        (
            with_layer("op = \"scale\"\nparameter = \"a.b\""),
            "parameter: expected 1 to 60 letters, digits and `_`",
        ),
        (with_layer("op = \"scale\"\ninit = { weight = 1 }"), "init: expected `init_value`"),
        (
            with_layer("op = \"batch_norm2d\"\ninit = { weight = 0 }"),
            "t.toml:7: layer a: init: expected none: the initial values of batch_norm2d are fixed",
        ),
        (with_layer("op = \"layer_norm\"\ninit = { weight = 0 }"), "layer a: init: expected none"),
        (with_layer("op = \"pad\"\npadding = 100000"), "padding must be at most 65536"),
        (
            with_layer("op = \"upsample\"\nscale_factor = [2, 0]"),
            "scale_factor must be 1 to 64, found [2, 0]",
        ),
        (with_layer("op = \"upsample\"\nscale_factor = 65"), "scale_factor must be 1 to 64, found [65, 65]"),
        (with_layer("op = \"global_avg_pool2d\"\noutput = 1"), "unknown key `output`"),
        (with_layer("op = \"global_avg_pool\""), "did you mean `global_avg_pool2d`?"),
        (
            with_layer("op = \"max_pool2d\"\nkernel = 2\npadding = 2"),
            "padding must be at most half the kernel",
        ),
        (
            "name = \"t\"\ninput = [1, 2]\n".to_string(),
            "t.toml:2: model file: input: expected [channels, height, width]",
        ),
        (
            "name = \"t\"\ninput = [1, 2, 2]\n[recipe]\nlr_schedular = \"step\"\n".to_string(),
            "t.toml:4: [recipe]: unknown key `lr_schedular`; did you mean `lr_scheduler`?",
        ),
        (
            "name = \"t\"\ninput = [1, 2, 2]\n[recipe]\noptimizer = \"sdg\"\n".to_string(),
            "found \"sdg\"; did you mean `sgd`?",
        ),
        (
            "name = \"t\"\ninput = [1, 2, 2]\n[recipe]\nlr = -1\n".to_string(),
            "t.toml:4: [recipe]: lr: expected 0 or more, found -1",
        ),
        ("name = \"t\ninput = 1".to_string(), "t.toml:1: "),
        ("name = \"t\"\ninput = [1, 2, 2]\n".to_string(), "expected at least one [[layer]]"),
    ] {
        let found = message(&text);
        assert!(found.contains(expected), "expected: {expected}\nfound:    {found}");
    }
}

#[test]
fn unknown_built_in_names_are_a_usage_error_with_the_nearest_name() {
    let error = Spec::load("alexnet-mni").unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("did you mean `alexnet-mini`?"), "{error}");
    assert_eq!(Spec::load("missing/model.toml").unwrap_err().exit_code(), 4);
}

#[test]
fn initial_values_follow_the_seed_and_the_model_file() {
    let model = build("alexnet-2012", 1);
    let values = |seed| model.initial(seed).unwrap();
    let find = |values: &[(striate::program::BufferId, Vec<f32>)], name: &str| {
        let p = model.parameters.iter().find(|p| p.name == name).unwrap();
        values.iter().find(|(id, _)| *id == p.buffer).unwrap().1.clone()
    };
    let (a, b) = (values(1), values(2));
    assert_eq!(find(&a, "conv1.weight"), find(&values(1), "conv1.weight"));
    assert_ne!(find(&a, "conv1.weight"), find(&b, "conv1.weight"));
    assert!(find(&a, "conv2.bias").iter().all(|v| *v == 1.0));
    assert!(find(&a, "conv3.bias").iter().all(|v| *v == 0.0));
    let w = find(&a, "conv2.weight");
    let std = (w.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / w.len() as f64).sqrt();
    assert!((std - 0.01).abs() < 1e-4, "{std}");
    let bias = model.parameters.iter().find(|p| p.name == "conv2.bias").unwrap();
    assert_eq!((bias.lr_mult, bias.decay_mult), (2.0, 0.0));
}

#[test]
fn the_answer_of_a_network_that_computes_nothing_can_be_read() {
    for layers in ["op = \"flatten\"", "op = \"dropout\"\n\n[[layer]]\nop = \"flatten\""] {
        let text = format!("name = \"t\"\ninput = [1, 8, 8]\n\n[[layer]]\n{layers}\n");
        let spec = Spec::parse(&text, "t.toml").unwrap();
        for pixels in [None, Some([1, 8, 8])] {
            let options = BuildOptions { training: false, pixels, ..BuildOptions::new(2) };
            let model = Model::build(&spec, &options).unwrap();
            model.program.check_access(model.logits, None).unwrap();
        }
    }
}

#[test]
fn a_few_bytes_do_not_ask_for_any_number_of_outputs() {
    let network = |outputs: usize| {
        format!(
            "name = \"t\"\ninput = [1, 1, 1]\n\n[[layer]]\nop = \"flatten\"\n\n[[layer]]\nop = \"linear\"\nout_features = {outputs}\n"
        )
    };
    let most = Spec::parse(&network(Model::MOST_OUTPUTS), "t.toml").unwrap();
    assert_eq!(Model::build(&most, &BuildOptions::new(1)).unwrap().classes, 1 << 20);
    let refused = message(&network(Model::MOST_OUTPUTS + 1));
    assert!(refused.contains("expected at most 1048576 outputs, found 1048577"), "{refused}");
}

#[test]
fn frozen_parameters_get_no_gradient_and_no_update() {
    let spec = Spec::load("alexnet-mini").unwrap();
    let options = BuildOptions { freeze: Some("features".into()), ..BuildOptions::new(4) };
    let model = Model::build(&spec, &options).unwrap();
    for p in &model.parameters {
        assert_eq!(p.gradient.is_none(), p.name.starts_with("features"), "{}", p.name);
    }
    assert!(model.program.steps(Span::Gradients).all(|s| s.op.name() != "conv2d_grad_weight"));
    assert_eq!(model.program.steps(Span::Update).count(), 6);
    let typo = BuildOptions { freeze: Some("faetures".into()), ..BuildOptions::new(4) };
    let error = Model::build(&spec, &typo).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("faetures"), "{error}");
}
