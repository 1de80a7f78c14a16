//! Networks that go out and in again are the same network, to the bit.

use super::*;
use striate::interchange::onnx::{Export, encode};
use striate::model::Spec;
use striate::tensor::Tensor;

/// Exports layers over an input `[6, 11, 9]` with drawn weights, and imports them again from the graph alone: same layers, names, tensors and answers.
fn assert_comes_back(layers: &str) {
    assert_whole_comes_back(&format!("{layers}\n[[layer]]\nname = \"out\"\nop = \"flatten\""));
}

/// The same for layers that end in a vector.
fn assert_whole_comes_back(layers: &str) {
    let text = format!("name = \"t\"\ninput = [6, 11, 9]\n{layers}");
    let spec = Spec::parse(&text, "t.toml").unwrap();
    let options = BuildOptions { training: false, ..BuildOptions::new(1) };
    let built = model::Model::build(&spec, &options).unwrap();
    let drawn = |(i, p): (usize, &model::Parameter)| {
        let values = numbers(p.shape.len(), i as u64 + 1);
        // Variances are positive.
        let values = values.iter().map(|v| if p.name.ends_with("running_var") { v.abs() + 0.5 } else { *v });
        (p.name.clone(), Tensor::new(p.shape.clone(), values.collect()).unwrap())
    };
    let mut tensors: Vec<_> = built.parameters.iter().chain(&built.state).enumerate().map(drawn).collect();
    // As the program exports, with the model file.
    let metadata = BTreeMap::from([("model".to_string(), String::new())]);
    let export = Export { spec: &spec, tensors: &tensors, metadata: &metadata, with_preprocess: false };
    let mut again = decode(encode(&export).unwrap(), Path::new("t.onnx"), &ImportOptions::default()).unwrap();
    let x = numbers(2 * 6 * 11 * 9, 99);
    let original = Imported { spec: spec.clone(), tensors: tensors.clone(), ..again.clone() };
    assert_eq!(answer(again.clone(), &x), answer(original, &x), "{layers}");
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    again.tensors.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(again.tensors, tensors, "{layers}");
    let described = |spec: &Spec| -> Vec<_> {
        spec.layers.iter().map(|layer| (layer.name.clone(), layer.op.clone(), layer.inputs.clone())).collect()
    };
    assert_eq!(described(&again.spec), described(&spec));
}

#[test]
fn normalisation_of_every_kind() {
    for size in [1, 2, 3, 4, 5, 9] {
        for region in ["across", "within"] {
            assert_comes_back(&format!(
                "[[layer]]\nname = \"n\"\nop = \"local_response_norm\"\nregion = \"{region}\"\nsize = {size}\nalpha = 0.3\nbeta = 0.7\nk = 1.1"
            ));
        }
    }
    assert_comes_back("[[layer]]\nname = \"n\"\nop = \"batch_norm2d\"\neps = 0.001\nmomentum = 0.3");
}

/// Where windows of one size do, an adaptive pool is an ordinary one to ONNX; here rows or columns need several.
#[test]
fn adaptive_pools_with_windows_of_several_sizes() {
    for [rows, columns] in [[3, 1], [4, 2], [6, 3], [7, 4], [8, 9], [9, 5], [2, 5], [10, 6], [11, 7], [1, 7]]
    {
        assert_comes_back(&format!(
            "[[layer]]\nname = \"p\"\nop = \"adaptive_avg_pool2d\"\noutput = [{rows}, {columns}]"
        ));
    }
}

#[test]
fn two_towers_that_meet() {
    assert_comes_back(
        "[[layer]]\nname = \"a\"\nop = \"conv2d\"\ninput = \"input\"\nout_channels = 4\nkernel = 3\nstride = 2\npadding = [0, 0, 1, 1]
        [[layer]]\nname = \"an\"\nop = \"local_response_norm\"\nregion = \"within\"\nsize = 3\nalpha = 0.5
        [[layer]]\nname = \"b\"\nop = \"conv2d\"\ninput = \"input\"\nout_channels = 4\nkernel = 3\nstride = 2\npadding = [0, 0, 1, 1]
        [[layer]]\nname = \"bn\"\nop = \"local_response_norm\"\nregion = \"within\"\nsize = 3\nalpha = 0.5
        [[layer]]\nname = \"sum\"\nop = \"add\"\ninputs = [\"b\", \"bn\"]
        [[layer]]\nname = \"both\"\nop = \"concat\"\ninputs = [\"an\", \"sum\"]
        [[layer]]\nname = \"relu\"\nop = \"relu\"
        [[layer]]\nname = \"pool\"\nop = \"max_pool2d\"\nkernel = 3\nstride = 2",
    );
}

#[test]
fn leaky_rectifiers_of_every_slope() {
    assert_comes_back("[[layer]]\nname = \"r\"\nop = \"leaky_relu\"");
    for slope in ["0.0", "0.2", "1.5", "-0.5"] {
        assert_comes_back(&format!("[[layer]]\nname = \"r\"\nop = \"leaky_relu\"\nnegative_slope = {slope}"));
    }
}

#[test]
fn channels_that_are_sliced_and_shuffled() {
    assert_comes_back("[[layer]]\nname = \"s\"\nop = \"slice\"\nstart = 2\nend = 5");
    for groups in [2, 3, 6] {
        assert_comes_back(&format!("[[layer]]\nname = \"s\"\nop = \"channel_shuffle\"\ngroups = {groups}"));
    }
    assert_whole_comes_back(
        "[[layer]]\nname = \"a\"\nop = \"slice\"\nend = 3
        [[layer]]\nname = \"b\"\nop = \"slice\"\ninput = \"input\"\nstart = 3\nend = 6
        [[layer]]\nname = \"c\"\nop = \"conv2d\"\nout_channels = 3\nkernel = 3\npadding = 1\ngroups = 3
        [[layer]]\nname = \"both\"\nop = \"concat\"\ninputs = [\"a\", \"c\"]
        [[layer]]\nname = \"s\"\nop = \"channel_shuffle\"\ngroups = 2
        [[layer]]\nname = \"flat\"\nop = \"flatten\"
        [[layer]]\nname = \"some\"\nop = \"slice\"\nstart = 7\nend = 100
        [[layer]]\nname = \"order\"\nop = \"channel_shuffle\"\ngroups = 31",
    );
}

#[test]
fn factors_and_norms_of_channels() {
    for attributes in ["", "\nparameter = \"gamma\"", "\nspatial = true\nparameter = \"layer_scale\""] {
        assert_comes_back(&format!(
            "[[layer]]\nname = \"r\"\nop = \"relu\"\n[[layer]]\nname = \"s.0\"\nop = \"scale\"{attributes}"
        ));
    }
    assert_comes_back("[[layer]]\nname = \"n\"\nop = \"layer_norm\"\neps = 1e-6");
    for bias in ["", "\nbias = false"] {
        assert_comes_back(&format!(
            "[[layer]]\nname = \"l\"\nop = \"linear\"\nout_features = 5\nper_position = true{bias}"
        ));
    }
    // Of features; and two norms in a row.
    assert_whole_comes_back(
        "[[layer]]\nname = \"n\"\nop = \"layer_norm\"\n[[layer]]\nname = \"m\"\nop = \"layer_norm\"
        [[layer]]\nname = \"flat\"\nop = \"flatten\"\n[[layer]]\nname = \"f\"\nop = \"layer_norm\"
        [[layer]]\nname = \"s\"\nop = \"scale\"\nparameter = \"g\"",
    );
}

#[test]
fn other_heights_and_widths() {
    for padding in ["1", "[0, 2, 3, 1]"] {
        for reader in ["conv2d\"\nout_channels = 2\nkernel = 3", "max_pool2d\"\nkernel = 3", "relu\""] {
            assert_comes_back(&format!(
                "[[layer]]\nname = \"p\"\nop = \"pad\"\npadding = {padding}\n[[layer]]\nname = \"r\"\nop = \"{reader}"
            ));
        }
    }
    for scale in ["2", "[1, 3]"] {
        assert_comes_back(&format!("[[layer]]\nname = \"u\"\nop = \"upsample\"\nscale_factor = {scale}"));
    }
    assert_comes_back("[[layer]]\nname = \"g\"\nop = \"global_max_pool2d\"");
    assert_comes_back("[[layer]]\nname = \"g\"\nop = \"global_avg_pool2d\"");
}

/// Those that ONNX writes as one node, or as a product that is read as one layer.
#[test]
fn activations_and_products() {
    let ops = [
        ("silu", ""),
        ("hard_swish", ""),
        ("hard_sigmoid", ""),
        ("hard_sigmoid", "alpha = 0.2\nbeta = 0.4"),
        ("relu6", ""),
        ("clip", "min = -0.25\nmax = 0.5"),
        ("clip", "min = 0.1"),
        ("clip", "max = 0.1"),
        ("elu", ""),
        ("elu", "alpha = -0.5"),
        ("prelu", ""),
        ("prelu", "num_parameters = 6"),
    ];
    for (op, attributes) in ops {
        assert_comes_back(&format!("[[layer]]\nname = \"a\"\nop = \"{op}\"\n{attributes}"));
    }
    assert_comes_back(
        "[[layer]]\nname = \"t\"\nop = \"tanh\"\n[[layer]]\nname = \"m\"\nop = \"mul\"\ninputs = [\"input\", \"t\"]",
    );
    let pool = "[[layer]]\nname = \"p\"\nop = \"adaptive_avg_pool2d\"\noutput = 1";
    for inputs in ["\"p\", \"input\"", "\"input\", \"p\""] {
        assert_comes_back(&format!("{pool}\n[[layer]]\nname = \"m\"\nop = \"mul\"\ninputs = [{inputs}]"));
    }
}
