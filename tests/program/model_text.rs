//! A network written as a model file reads as the same network.

use striate::model::{BuildOptions, Model, Spec};

/// What does not depend on the text it was read from.
fn bare(mut spec: Spec) -> Spec {
    spec.origin.clear();
    spec.source.clear();
    for layer in &mut spec.layers {
        layer.line = 0;
    }
    spec
}

fn returns(spec: Spec) -> String {
    let text = spec.to_toml();
    let again = Spec::parse(&text, "again").unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(bare(again), bare(spec), "\n{text}");
    text
}

#[test]
fn every_built_in_network_returns_from_its_text() {
    for name in Spec::builtin_names() {
        returns(Spec::load(name).unwrap());
    }
}

#[test]
fn defaults_are_left_out_and_pairs_are_short() {
    let text = returns(Spec::load("alexnet").unwrap());
    let head = "name = \"alexnet\"\ninput = [3, 224, 224]\n\n[preprocess]\nresize = 256\ncrop = 224\n\
                mean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\n\n[augment]\ncrop = \"random-resized\"\nflip = true\n";
    assert!(text.starts_with(head), "{text}");
    let conv = "[[layer]]\nname = \"features.0\"\nop = \"conv2d\"\nout_channels = 64\nkernel = 11\nstride = 4\npadding = 2\n\n";
    assert!(text.contains(conv), "{text}");
    let text = returns(Spec::load("alexnet-2012").unwrap());
    assert!(text.contains("kernel = 11\nstride = 4\npadding = [0, 0, 3, 3]\n"), "{text}");
}

#[test]
fn every_key_returns() {
    let text = r##"
name = "a \"quoted\" name, back\\slash, Ärger, 'single' and\ntwo lines"
input = [3, 20, 24]
[preprocess]
resize = 31
scale = 1.0
mean = [1.5e-7, 123456.78, -0.0]
std = [1e-30, 3e30, 2]
pca_eigenvalues = [1, 2, 3]
pca_eigenvectors = [[1, 0, 0], [0, 1, 0], [0, 0, 0.1]]
[augment]
crop = "random"
scale = [0.1, 0.9]
ratio = [0.5, 2.0]
flip = true
pca = 0.3
brightness = 0.1
contrast = 0.2
saturation = 0.3
rotation = 15
cutout = 4
trivial_augment = true
[recipe]
epochs = 3
batch_size = 7
optimizer = "rmsprop"
lr = 0.123456789
momentum = 0.5
nesterov = true
beta2 = 0.98
eps = 1e-7
weight_decay = 0.25
lr_scheduler = "multistep"
lr_step_size = 4
lr_milestones = [1, 2]
lr_gamma = 0.3
lr_min = 1e-6
lr_power = 2
lr_patience = 6
lr_cuts = 2
lr_warmup_epochs = 0.5
label_smoothing = 0.1
class_weights = { "a \"b\"" = 0.5, c = 2 }
clip_grad_norm = 5
grad_accum_steps = 2
loss = "mse"
patience = 9
data = "C:\\data \"x\""
[init]
weight = "kaiming"
mode = "fan_out"
bias = 0.5
[[layer]]
name = "a = [b]"
op = "conv2d"
out_channels = 6
kernel = [3, 5]
stride = [1, 2]
padding = [1, 2, 3, 4]
dilation = [2, 1]
groups = 3
bias = false
init = { weight = "default" }
lr_mult = { weight = 0.5, bias = 2 }
decay_mult = 0
[[layer]]
name = "'''\"\"\"#"
op = "relu"
[[layer]]
name = "normal"
op = "conv2d"
out_channels = 6
kernel = 1
padding = [1, 2]
input = "a = [b]"
init = { weight = "normal", std = 0.02 }
[[layer]]
op = "conv2d"
out_channels = 6
kernel = 1
padding = [1, 2]
input = "a = [b]"
init = { weight = "default", bias = 2 }
[[layer]]
op = "add"
inputs = ["normal", "conv2d.3"]
[[layer]]
op = "batch_norm2d"
eps = 1e-3
momentum = 0.01
lr_mult = { weight = 0, bias = 1 }
[[layer]]
op = "local_response_norm"
size = 3
alpha = 2e-4
beta = 0.5
k = 2
region = "within"
[[layer]]
op = "max_pool2d"
kernel = 2
stride = 1
padding = 1
ceil = true
[[layer]]
op = "avg_pool2d"
kernel = 2
stride = 2
[[layer]]
op = "adaptive_avg_pool2d"
output = [1, 2]
[[layer]]
op = "concat"
inputs = ["adaptive_avg_pool2d.9", "adaptive_avg_pool2d.9"]
[[layer]]
op = "slice"
start = 1
end = 5
[[layer]]
op = "channel_shuffle"
groups = 2
[[layer]]
op = "scale"
[[layer]]
op = "scale"
init_value = 1e-6
parameter = "layer_scale"
spatial = true
lr_mult = 2
[[layer]]
op = "layer_norm"
eps = 1e-6
[[layer]]
op = "linear"
out_features = 4
per_position = true
[[layer]]
op = "pad"
padding = [1, 0, 2, 3]
[[layer]]
op = "upsample"
scale_factor = [2, 3]
[[layer]]
op = "dropout2d"
p = 0.1
[[layer]]
op = "stochastic_depth"
p = 0.2
[[layer]]
op = "stochastic_depth"
p = 0.2
mode = "batch"
[[layer]]
op = "global_max_pool2d"
[[layer]]
op = "global_avg_pool2d"
[[layer]]
op = "dropout"
p = 0.25
[[layer]]
op = "flatten"
[[layer]]
op = "linear"
out_features = 2
bias = false
init = { weight = "uniform", bound = 0.1 }
[[layer]]
op = "linear"
out_features = 2
init = { weight = [1, 2.5, 3, 4], bias = 1 }
[[layer]]
op = "sigmoid"
[[layer]]
op = "tanh"
[[layer]]
op = "linear"
out_features = 2
init = { weight = "kaiming-uniform" }
[[layer]]
op = "linear"
out_features = 2
init = { weight = "xavier" }
[[layer]]
op = "linear"
out_features = 2
init = { weight = "xavier-normal" }
[[layer]]
op = "softmax"
"##;
    let written = returns(Spec::parse(text, "text").unwrap());
    assert_eq!(returns(Spec::parse(&written, "written").unwrap()), written, "the text is not canonical");
}

#[test]
fn random_erasing_returns_and_takes_the_place_of_cutout() {
    let text = |keys: &str| {
        format!("name = \"x\"\ninput = [3, 8, 8]\n[augment]\n{keys}\n[[layer]]\nop = \"flatten\"\n")
    };
    let written = returns(Spec::parse(&text("random_erasing = 0.1"), "x").unwrap());
    assert!(written.contains("[augment]\nrandom_erasing = 0.1\n"), "{written}");
    for (keys, what) in [
        ("random_erasing = 1.5", "random_erasing: expected 0 to 1, found 1.5"),
        (
            "random_erasing = 0.5\ncutout = 2",
            "random_erasing: expected no cutout beside it, found cutout = 2",
        ),
    ] {
        let message = Spec::parse(&text(keys), "x").unwrap_err().to_string();
        assert!(message.starts_with("x:4: ") && message.contains(what), "{message}");
    }
}

#[test]
fn whether_a_network_takes_pixels_outlives_writing_and_reading() {
    let head = "name = \"n\"\ninput = [1, 2, 2]\n";
    let layers = "[[layer]]\nop = \"flatten\"\n[[layer]]\nop = \"linear\"\nout_features = 2\n";
    // A table that says only what is the default says that there is one.
    for (table, has) in [("", false), ("[preprocess]\n", true), ("[preprocess]\nmean = [0.5]\n", true)] {
        let spec = Spec::parse(&format!("{head}{table}{layers}"), "n").unwrap();
        assert_eq!(spec.has_preprocess(), has, "{table}");
        assert_eq!(Spec::parse(&spec.to_toml(), "again").unwrap().has_preprocess(), has, "{table}");
    }
    for (name, has) in [("neuron", false), ("mlp-784-15-10", true), ("lenet5", true), ("alexnet", true)] {
        assert_eq!(Spec::load(name).unwrap().has_preprocess(), has, "{name}");
    }
    // What it did to images before its file said it.
    let plain = striate::model::Preprocess::plain(1);
    assert_eq!(Spec::load("mlp-784-15-10").unwrap().preprocess, plain);
}

/// Slopes do not start as the weights of the table [init] do, but as an `init` of their own says.
#[test]
fn slopes_have_initial_values_of_their_own() {
    let network = |init: &str| {
        format!(
            "name = \"t\"\ninput = [2, 1, 1]\n[init]\nweight = \"normal\"\nstd = 0.01\n[[layer]]\nop = \"flatten\"\n[[layer]]\nname = \"fc\"\n\
             op = \"linear\"\nout_features = 3\n[[layer]]\nname = \"slope\"\nop = \"prelu\"\nnum_parameters = 3\n{init}"
        )
    };
    for (init, expected) in [
        ("", [0.25; 3]),
        ("init = { weight = 0.5 }", [0.5; 3]),
        ("init = { weight = [1, 2, 3] }", [1.0, 2.0, 3.0]),
    ] {
        let text = returns(Spec::parse(&network(init), "t.toml").unwrap());
        let model = Model::build(&Spec::parse(&text, "again").unwrap(), &BuildOptions::new(1)).unwrap();
        let slope = model.parameters.iter().find(|p| p.name == "slope.weight").unwrap().buffer;
        let initial = model.initial(1).unwrap();
        assert_eq!(initial.iter().find(|(buffer, _)| *buffer == slope).unwrap().1, expected, "{init}");
    }
}

#[test]
fn activations_and_products_return_or_say_what_is_wrong() {
    let network =
        |layers: &str| format!("name = \"t\"\ninput = [4, 5, 5]\n{layers}\n[[layer]]\nop = \"flatten\"\n");
    let layer = |attributes: &str| network(&format!("[[layer]]\nname = \"a\"\n{attributes}"));
    let all = [
        "op = \"silu\"",
        "op = \"hard_swish\"",
        "op = \"hard_sigmoid\"",
        "op = \"hard_sigmoid\"\nalpha = 0.2\nbeta = 0.25",
        "op = \"relu6\"",
        "op = \"clip\"\nmin = -1.5",
        "op = \"clip\"\nmin = 0.0\nmax = 6.0",
        "op = \"gelu\"",
        "op = \"gelu\"\napproximate = \"tanh\"",
        "op = \"elu\"\nalpha = 0.5",
        "op = \"prelu\"",
        "op = \"prelu\"\nnum_parameters = 4",
        "op = \"mul\"\ninputs = [\"input\", \"input\"]",
    ];
    for attributes in all {
        let text = returns(Spec::parse(&layer(attributes), "t.toml").unwrap());
        assert!(text.contains(&format!("name = \"a\"\n{attributes}\n")), "{text}");
        Model::build(&Spec::parse(&text, "again").unwrap(), &BuildOptions::new(2)).unwrap();
    }
    let wrong = [
        (layer("op = \"clip\""), "expected `min`, `max` or both, found neither"),
        (layer("op = \"clip\"\nmin = 2\nmax = 1"), "min must be less than max, found 2 and 1"),
        (layer("op = \"gelu\"\napproximate = \"tan\""), "expected one of none, tanh, found \"tan\""),
        (layer("op = \"prelu\"\nnum_parameters = 3"), "num_parameters: expected 1 or 4 (channels), found 3"),
        (layer("op = \"elu\"\nalpha = inf"), "expected a number, found inf"),
        (layer("op = \"mul\"\ninputs = [\"input\"]"), "expected at least 2 layers, found 1"),
        (layer("op = \"mul\"\ninputs = [\"input\", \"input\", \"input\"]"), "expected 2 inputs, found 3"),
        (
            network(
                "[[layer]]\nname = \"p\"\nop = \"avg_pool2d\"\nkernel = [1, 5]\n[[layer]]\nname = \"m\"\nop = \"mul\"\ninputs = [\"p\", \"input\"]",
            ),
            "found [4, 5, 1] and [4, 5, 5]",
        ),
    ];
    for (text, what) in wrong {
        let built = Spec::parse(&text, "t.toml").and_then(|spec| Model::build(&spec, &BuildOptions::new(2)));
        let message = built.expect_err("an error").to_string();
        assert!(
            message.contains(what) && message.starts_with("t.toml:") && !message.contains('\n'),
            "{message}"
        );
    }
}
