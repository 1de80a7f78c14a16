//! Blocks of model files: what they expand to, and the messages about mistakes in them.

use striate::Spec;

fn message(text: &str) -> String {
    let error = Spec::parse(text, "t.toml").expect_err(&format!("accepted:\n{text}"));
    assert_eq!(error.exit_code(), 4, "{error}");
    let message = error.to_string();
    assert!(!message.contains('\n'), "one line: {message}");
    message
}

/// A network of one block `pair`, whose layers are `block`, and the layers `layers`.
fn network(block: &str, layers: &str) -> String {
    format!(
        "name = \"t\"\ninput = [2, 8, 8]\n\n[[block]]\nname = \"pair\"\n{block}\n\n{layers}\n\n\
         [[layer]]\nname = \"flat\"\nop = \"flatten\"\n"
    )
}

const PAIR: &str = r#"parameters = ["width"]
defaults = { stride = 1, act = "relu", around = false }
layer = [
    { name = "conv", op = "conv2d", out_channels = "{width}", kernel = 3, stride = "{stride}", padding = 1, init = { weight = "normal", std = 0.5 } },
    { name = "act", op = "{act}" },
    { if = "{around}", name = "wide", op = "conv2d", out_channels = "{width}", kernel = 1, input = "input" },
    { name = "add", op = "add", inputs = ["act", "wide"] },
]"#;

/// Names and inputs of the layers.
fn layers(text: &str) -> Vec<String> {
    let spec = Spec::parse(text, "t.toml").unwrap();
    spec.layers.iter().map(|l| format!("{} {} {}", l.op.name(), l.name, l.inputs.join(" "))).collect()
}

#[test]
fn a_built_in_network_of_blocks_is_the_one_that_was_written_out() {
    let written_out = include_str!("../fixtures/blocks/resnet18.toml");
    let before = Spec::parse(written_out, "before").unwrap();
    let now = Spec::load("resnet18").unwrap();
    assert!(now.source.len() < before.source.len() / 2, "{}", now.source.len());
    assert_eq!(now.to_toml(), before.to_toml());
}

#[test]
fn uses_are_numbered_and_layers_that_are_left_out_pass_on_their_input() {
    let text = network(
        PAIR,
        r#"[[layer]]
name = "stage"
block = "pair"
repeat = 2
width = 4
first = { around = true, stride = 1, act = "tanh" }

[[layer]]
name = "more.{i}"
block = "pair"
repeat = 2
count_from = 5
input = "stage.0"
each = { width = [4, 4], stride = [1, 1] }

[[layer]]
name = "both"
op = "add"
inputs = ["stage", "more.6"]

[[layer]]
block = "pair"
width = 4"#,
    );
    assert_eq!(
        layers(&text),
        [
            "conv2d stage.0.conv input",
            "tanh stage.0.act stage.0.conv",
            "conv2d stage.0.wide input",
            "add stage.0.add stage.0.act stage.0.wide",
            "conv2d stage.1.conv stage.0.add",
            "relu stage.1.act stage.1.conv",
            "add stage.1.add stage.1.act stage.0.add",
            "conv2d more.5.conv stage.0.add",
            "relu more.5.act more.5.conv",
            "add more.5.add more.5.act stage.0.add",
            "conv2d more.6.conv more.5.add",
            "relu more.6.act more.6.conv",
            "add more.6.add more.6.act more.5.add",
            "add both stage.1.add more.6.add",
            "conv2d pair.3.conv both",
            "relu pair.3.act pair.3.conv",
            "add pair.3.add pair.3.act both",
            "flatten flat pair.3.add",
        ]
    );
}

#[test]
fn blocks_use_blocks_above_them_and_names_take_parameters() {
    let text = r#"
name = "t"
input = [2, 8, 8]
layer = [
    { name = "a", block = "outer", width = 3, at = 7 },
    { name = "flat", op = "flatten" },
]

[[block]]
name = "inner"
parameters = ["out", "scale"]
layer = [{ name = "0", op = "conv2d", out_channels = "{out}", kernel = 1, init = { weight = "normal", std = "{scale}" } }]

[[block]]
name = "outer"
parameters = ["width", "at"]
defaults = { more = false }
layer = [
    { name = "x.{at}.{i}", block = "inner", out = "{width}", repeat = 2, count_from = 1, scale = 0.25 },
    { if = "{more}", name = "y", block = "inner", out = 9, scale = 1.0 },
    { op = "add", inputs = ["x.{at}.1", "y"] },
]
"#;
    let expected = [
        "conv2d a.x.7.1.0 input",
        "conv2d a.x.7.2.0 a.x.7.1.0",
        "add a.add.2 a.x.7.1.0 a.x.7.2.0",
        "flatten flat a.add.2",
    ];
    assert_eq!(layers(text), expected);
    let more =
        text.replace("at = 7", "at = 7, more = true").replace("[\"x.{at}.1\", \"y\"]", "[\"y\", \"y\"]");
    assert_eq!(layers(&more)[2..4], ["conv2d a.y.0 a.x.7.2.0", "add a.add.2 a.y.0 a.y.0"]);
    // Initial values of blocks are those of the parameters.
    let written = Spec::parse(text, "t.toml").unwrap().to_toml();
    assert!(written.contains("std = 0.25"), "{written}");
}

/// So that a parameter can be the block's own, as ConvNeXt's layer scale is.
#[test]
fn a_layer_without_a_name_is_called_as_the_use() {
    let text = r#"
name = "t"
input = [2, 8, 8]
layer = [
    { name = "a", block = "scaled", repeat = 2 },
    { name = "b", block = "scaled" },
    { name = "sum", op = "add", inputs = ["a.0", "b"] },
    { name = "flat", op = "flatten" },
]

[[block]]
name = "scaled"
layer = [
    { name = "", op = "scale", parameter = "gamma" },
    { name = "tanh", op = "tanh" },
    { name = "add", op = "add", inputs = ["tanh", "input"] },
]
"#;
    let expected = [
        "scale a.0 input",
        "tanh a.0.tanh a.0",
        "add a.0.add a.0.tanh input",
        "scale a.1 a.0.add",
        "tanh a.1.tanh a.1",
        "add a.1.add a.1.tanh a.0.add",
        "scale b a.1.add",
        "tanh b.tanh b",
        "add b.add b.tanh a.1.add",
        "add sum a.0.add b.add",
        "flatten flat sum",
    ];
    assert_eq!(layers(text), expected);
    assert_eq!(layers(&Spec::parse(text, "t.toml").unwrap().to_toml()), expected);
    let twice = text.replace("\"tanh\", op", "\"\", op").replace("[\"tanh\", ", "[\"\", ");
    assert!(message(&twice).contains("two layers are called a.0"), "{}", message(&twice));
    assert!(message(&text.replace("\"flat\"", "\"\"")).contains("expected a printable name"));
}

#[test]
fn mistakes_name_the_line_and_the_place() {
    let layer = "[[layer]]\nname = \"a\"\nblock = \"pair\"\nwidth = 4";
    let with = |more: &str| network(PAIR, &format!("{layer}\n{more}"));
    let without = |from: &str, to: &str| network(&PAIR.replace(from, to), layer);
    for (text, expected) in [
        (with("widht = 2"), "t.toml:19: layer a: block pair has no parameter `widht`; did you mean `width`?"),
        (
            with("repeat = 2\nfirst = { strid = 2 }"),
            "t.toml:20: layer a: block pair has no parameter `strid`; did you mean `stride`?",
        ),
        (
            with("repaet = 2"),
            "t.toml:19: layer a: block pair has no parameter `repaet`; did you mean `repeat`?",
        ),
        (with("repeat = 0"), "t.toml:19: layer a: repeat: expected 1 to 1000, found 0"),
        (with("repeat = 1001"), "repeat: expected 1 to 1000, found 1001"),
        (with("first = { stride = 2 }"), "t.toml:19: layer a: first: expected `repeat` beside it"),
        (
            with("repeat = 3\neach = { stride = [1, 2] }"),
            "t.toml:20: layer a: each: stride: expected a list of 3 values",
        ),
        (
            with("repeat = 1\neach = { stride = [1] }\nfirst = { stride = 1 }"),
            "stride: expected it in `first` or in `each`, found both",
        ),
        (with("op = \"relu\""), "t.toml:19: layer a: op: expected either `op` or `block`, found both"),
        (with("if = false"), "t.toml:19: layer a: if: expected it in a block"),
        (
            with("stride = \"two\""),
            "t.toml:19: layer a.conv (block pair, line 15): stride: expected a whole number or [h, w], found \"two\"",
        ),
        (
            with("around = 1"),
            "t.toml:19: layer a.wide (block pair, line 15): if: expected true or false, found 1",
        ),
        (
            with("act = \"rleu\""),
            "t.toml:19: layer a.act (block pair, line 15): op: unknown operator \"rleu\"; did you mean `relu`?",
        ),
        (
            network(PAIR, "[[layer]]\nname = \"a\"\nblock = \"pair\""),
            "t.toml:15: layer a: width is missing (a parameter of block pair)",
        ),
        (
            network(PAIR, "[[layer]]\nname = \"a\"\nblock = \"piar\""),
            "t.toml:17: layer a: block: no block `piar` above it; did you mean `pair`?",
        ),
        (network(PAIR, "[[layer]]\nop = \"relu\""), "no layer uses block pair"),
        (
            without("\"{width}\"", "\"{wdth}\""),
            "t.toml:9: block pair: layer 1: unknown parameter `wdth`; did you mean `width`?",
        ),
        (without("[\"width\"]", "[\"width\", \"depth\"]"), "t.toml:4: block pair: no layer uses `depth`"),
        (without("[\"width\"]", "[\"width\", \"stride\"]"), "two parameters are called `stride`"),
        (without("[\"width\"]", "[\"width\", \"repeat\"]"), "a parameter cannot be called `repeat`"),
        (
            without("kernel = 3", "kernel = [\"{stride}\", 3]"),
            "block pair: layer 1: expected a parameter as a whole value, found \"{stride}\"",
        ),
        (
            without("kernel = 3", "kernal = 3"),
            "t.toml:9: layer a.conv (block pair, line 15): unknown key `kernal`; did you mean `kernel`?",
        ),
        (
            without("padding = 1", "paddign = 1"),
            "t.toml:9: layer a.conv (block pair, line 15): unknown key `paddign`; did you mean `padding`?",
        ),
        (
            without("[\"act\", \"wide\"]", "[\"act\", \"wied\"]"),
            "t.toml:12: layer a.add (block pair, line 15): no layer `wied` above it; did you mean `wide`?",
        ),
        (without("\"act\", op", "\"conv\", op"), "two layers are called a.conv"),
        (network("layer = []", layer), "t.toml:4: block pair: expected at least one layer"),
        (
            format!("{}\n[[block]]\nname = \"pair\"\nlayer = [{{ op = \"relu\" }}]\n", with("")),
            "two blocks are called pair",
        ),
        // A block sees only the blocks above it, so none contains itself.
        (
            network("layer = [{ block = \"pair\" }]", "[[layer]]\nname = \"a\"\nblock = \"pair\""),
            "block: no block `pair` above it",
        ),
        (with("\n[[layer]]\nop = \"relu\"\ninput = \"a.conv\""), "no layer `a.conv` above it"),
    ] {
        let found = message(&text);
        assert!(found.contains(expected), "expected: {expected}\nfound:    {found}\n{text}");
    }
}

/// A few hundred bytes that ask for more layers than any network has, and a long list that every layer repeats.
#[test]
fn what_blocks_expand_to_is_bounded() {
    let mut text =
        "name = \"t\"\ninput = [1, 1, 1]\nlayer = [{ name = \"a\", block = \"b7\", repeat = 1000 }]\n"
            .to_string();
    let block = |name: usize, layer: &str| format!("[[block]]\nname = \"b{name}\"\nlayer = [{layer}]\n");
    text += &block(0, "{ name = \"r\", op = \"relu\" }");
    for number in 1..8 {
        text += &block(number, &format!("{{ name = \"r\", block = \"b{}\", repeat = 1000 }}", number - 1));
    }
    let found = message(&text);
    assert!(found.contains("expected at most 4194304 bytes of layers from blocks, found more"), "{found}");

    let list = vec!["1"; 100_000].join(", ");
    let text = format!(
        "name = \"t\"\ninput = [1, 1, 1]\nlayer = [{{ name = \"a\", block = \"b\", repeat = 1000, w = [{list}] }}]\n\
         [[block]]\nname = \"b\"\nparameters = [\"w\"]\n\
         layer = [{{ op = \"conv2d\", out_channels = 1, kernel = 1, init = {{ weight = \"{{w}}\" }} }}]\n"
    );
    assert!(message(&text).contains("4194304 bytes"), "the list counts each time");

    let deep: String = (1..12).map(|n| block(n, &format!("{{ block = \"b{}\" }}", n - 1))).collect();
    let text = format!(
        "name = \"t\"\ninput = [1, 1, 1]\nlayer = [{{ block = \"b11\" }}]\n{}{deep}",
        block(0, "{ op = \"relu\" }")
    );
    assert!(message(&text).contains("blocks within blocks at most 8 deep"));

    let long =
        network(PAIR, &format!("[[layer]]\nname = \"{}\"\nblock = \"pair\"\nwidth = 4", "n".repeat(198)));
    assert!(message(&long).contains("expected a name of at most 200 bytes"));
}

/// A text in braces in the value of a parameter is no parameter of the block that it is given to.
#[test]
fn values_of_parameters_are_taken_as_they_are() {
    let text = |init: &str| {
        format!(
            "name = \"t\"\ninput = [1, 1, 1]\nlayer = [{{ name = \"a\", block = \"b\", std = 0.5 }}, {{ op = \"flatten\" }}]\n\
             [[block]]\nname = \"b\"\nparameters = [\"std\"]\ndefaults = {{ start = {init} }}\n\
             layer = [\n{{ name = \"c\", op = \"conv2d\", out_channels = 1, kernel = 1, init = \"{{start}}\" }},\n\
             {{ name = \"d\", op = \"conv2d\", out_channels = 1, kernel = 1, init = {{ weight = \"normal\", std = \"{{std}}\" }} }},\n]\n"
        )
    };
    let written = Spec::parse(&text("{ weight = \"normal\", std = 0.25 }"), "t.toml").unwrap().to_toml();
    assert!(written.contains("std = 0.25") && written.contains("std = 0.5"), "{written}");
    let found = message(&text("{ weight = \"normal\", std = \"{std}\" }"));
    assert!(found.contains("t.toml:7: ") && found.contains("expected a number, found \"{std}\""), "{found}");
    // The value of `start` in itself.
    let found = message(&text("{ weight = \"{start}\" }"));
    assert!(found.contains("found \"{start}\""), "{found}");
}
