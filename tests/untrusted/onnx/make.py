"""Makes the sound files that tests/untrusted/onnx/mod.rs damages. Needs the packages onnx (1.23.2) and onnxruntime.

* small.onnx: every kind of message and every place for values
* operators.onnx: gates, activations, slices, a channel shuffle and computed constants, as networks of 2017 to 2022 have them
* last.onnx: channels last, pixels that are normalised in the graph, and the operators of ConvNeXt
"""

import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(1)


def floats(name, *shape, raw=True, kind=TensorProto.FLOAT, scale=0.3):
    values = (random.standard_normal(shape) * scale).astype(np.float32)
    if raw:
        return numpy_helper.from_array(values.astype(helper.tensor_dtype_to_np_dtype(kind)), name)
    return helper.make_tensor(name, kind, shape, values.flatten())


ones = numpy_helper.from_array(np.ones(2, np.float32), "bn.running_var")
nodes = [
    helper.make_node("Conv", ["input", "conv.weight", "conv.bias"], ["conv"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    helper.make_node("BatchNormalization", ["conv", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"], ["bn"], "bn", epsilon=1e-3),
    helper.make_node("Relu", ["bn"], ["relu"], "relu"),
    helper.make_node("MaxPool", ["relu"], ["pool"], "pool", kernel_shape=[2, 2], strides=[2, 2], auto_pad="NOTSET"),
    helper.make_node("Constant", [], ["shape"], "shape", value=helper.make_tensor("", TensorProto.INT64, [2], [0, -1])),
    helper.make_node("Reshape", ["pool", "shape"], ["flat"], "flat"),
    helper.make_node("Gemm", ["flat", "fc.weight", "fc.bias"], ["logits"], "fc", transB=1, alpha=1.0),
]
graph = helper.make_graph(
    nodes,
    "small",
    [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 1, 4, 4])],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
    [
        floats("conv.weight", 2, 1, 3, 3),
        floats("conv.bias", 2, raw=False),
        floats("bn.weight", 2, raw=False, kind=TensorProto.FLOAT16),
        floats("bn.bias", 2, kind=TensorProto.FLOAT16),
        floats("bn.running_mean", 2, raw=False, kind=TensorProto.DOUBLE),
        ones,
        floats("fc.weight", 3, 8),
        floats("fc.bias", 3),
    ],
)
model = helper.make_model(graph, producer_name="make.py", opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
helper.set_model_props(model, {"classes": "a,b,c"})
# Not in full: halves and doubles among floats are there to be read, not to be run.
onnx.checker.check_model(model)
pathlib.Path(__file__).with_name("small.onnx").write_bytes(model.SerializeToString(deterministic=True))


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def numbers(name, values):
    return numpy_helper.from_array(np.array(values, np.float32), name)


def write(name, nodes, shape, initializers, opset):
    """The file `name` with an input of this shape and logits of 3 classes, once onnxruntime has run it."""
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        initializers,
    )
    model = helper.make_model(graph, producer_name="make.py", opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString(deterministic=True)
    found = onnxruntime.InferenceSession(content).run(None, {"input": np.ones((2, *shape), np.float32)})
    assert found[0].shape == (2, 3) and np.isfinite(found[0]).all()
    pathlib.Path(__file__).with_name(f"{name}.onnx").write_bytes(content)


node = helper.make_node
write(
    "operators",
    [
        node("Conv", ["input", "stem.weight"], ["stem"], "stem", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        # A squeeze-and-excitation block.
        node("ReduceMean", ["stem"], ["mean"], "mean", axes=[2, 3], keepdims=1),
        node("Conv", ["mean", "gate.weight", "gate.bias"], ["squeezed"], "gate", kernel_shape=[1, 1]),
        node("HardSigmoid", ["squeezed"], ["gated"], "hard", alpha=0.2, beta=0.5),
        node("Mul", ["stem", "gated"], ["product"], "product"),
        # hard_swish by its formula.
        node("Add", ["product", "three"], ["plus"], "plus"),
        node("Clip", ["plus", "zero", "six"], ["clipped"], "clipped"),
        node("Mul", ["product", "clipped"], ["times"], "times"),
        node("Div", ["times", "six"], ["swish"], "swish"),
        # Half of the channels each, and a channel shuffle.
        node("Slice", ["swish", "starts", "ends", "axes"], ["left"], "left"),
        node("Split", ["swish", "split"], ["first", "right"], "split", axis=1),
        node("PRelu", ["right", "slope"], ["sloped"], "slope"),
        node("Concat", ["left", "sloped"], ["both"], "both", axis=1),
        node("Reshape", ["both", "groups"], ["grouped"], "group"),
        node("Transpose", ["grouped"], ["turned"], "turn", perm=[0, 2, 1, 3, 4]),
        node("Reshape", ["turned", "whole"], ["shuffled"], "ungroup"),
        # A scale and a shift that are computed, as Caffe2 writes a batch norm.
        node("Unsqueeze", ["scale", "behind"], ["scale4"], "scale4"),
        node("Mul", ["shuffled", "scale4"], ["scaled"], "scaled"),
        node("ConstantOfShape", ["four"], ["filled"], "filled", value=helper.make_tensor("", TensorProto.FLOAT, [1], [0.25])),
        node("Add", ["filled", "scale"], ["sum"], "sum"),
        node("Cast", ["sum"], ["cast"], "cast", to=TensorProto.FLOAT),
        node("Reshape", ["cast", "column"], ["shift"], "shift"),
        node("Add", ["scaled", "shift"], ["shifted"], "shifted"),
        node("AveragePool", ["shifted"], ["averaged"], "average", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=0),
        node("Resize", ["averaged", "", "scales"], ["larger"], "larger", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        node("Pad", ["larger", "pads"], ["padded"], "padded"),
        node("Elu", ["padded"], ["elu"], "elu", alpha=0.5),
        node("LeakyRelu", ["elu"], ["leaky"], "leaky", alpha=0.1),
        node("Sigmoid", ["leaky"], ["sigmoid"], "sigmoid"),
        node("Mul", ["leaky", "sigmoid"], ["silu"], "silu"),
        node("GlobalMaxPool", ["silu"], ["top"], "top"),
        node("Shape", ["top"], ["shape"], "shape"),
        node("Gather", ["shape", "index"], ["rows"], "rows", axis=0),
        node("Unsqueeze", ["rows", "front"], ["rows1"], "rows1"),
        node("Concat", ["rows1", "rest"], ["flat shape"], "flat shape", axis=0),
        node("Reshape", ["top", "flat shape"], ["flat"], "flat"),
        node("Gemm", ["flat", "fc.weight", "fc.bias"], ["logits"], "fc", transB=1),
    ],
    [2, 6, 6],
    [
        floats("stem.weight", 4, 2, 3, 3), floats("gate.weight", 4, 4, 1, 1), floats("gate.bias", 4), floats("slope", 2, 1, 1),
        floats("scale", 4), floats("fc.weight", 3, 4), floats("fc.bias", 3),
        numbers("zero", 0), numbers("three", 3), numbers("six", 6), numbers("scales", [1, 1, 2, 2]),
        ints("starts", 0), ints("ends", 2), ints("axes", 1), ints("split", 2, 2), ints("groups", 0, 2, 2, 6, 6), ints("whole", 0, -1, 6, 6),
        ints("behind", 1, 2), ints("four", 4), ints("column", 4, 1, 1), ints("pads", 0, 0, 1, 1, 0, 0, 0, 0),
        numpy_helper.from_array(np.array(0, np.int64), "index"), ints("front", 0), ints("rest", -1),
    ],
    17,
)
write(
    "last",
    [
        node("Div", ["input", "255"], ["unit"], "unit"),
        node("Sub", ["unit", "mean"], ["centred"], "centred"),
        node("Div", ["centred", "std"], ["pixels"], "pixels"),
        node("Transpose", ["pixels"], ["first"], "first", perm=[0, 3, 1, 2]),
        node("Conv", ["first", "stem.weight", "stem.bias"], ["stem"], "stem", kernel_shape=[2, 2], strides=[2, 2]),
        node("Transpose", ["stem"], ["last"], "last", perm=[0, 2, 3, 1]),
        node("LayerNormalization", ["last", "norm.weight", "norm.bias"], ["norm"], "norm", axis=-1, epsilon=1e-6),
        node("MatMul", ["norm", "wide.weight"], ["wide0"], "wide"),
        node("Add", ["wide0", "wide.bias"], ["wide1"], "wide.add"),
        node("Gelu", ["wide1"], ["gelu"], "gelu", approximate="none"),
        node("MatMul", ["gelu", "narrow.weight"], ["narrow0"], "narrow"),
        node("Mul", ["narrow0", "layer_scale"], ["scaled"], "scaled"),
        node("Transpose", ["scaled"], ["branch"], "branch", perm=[0, 3, 1, 2]),
        node("Add", ["branch", "stem"], ["sum"], "sum"),
        node("Identity", ["sum"], ["same"], "same"),
        node("Div", ["same", "root"], ["halved"], "halved"),
        node("Erf", ["halved"], ["erf1"], "erf1"),
        node("Add", ["erf1", "one"], ["plus"], "plus"),
        node("Mul", ["same", "plus"], ["times"], "times"),
        node("Mul", ["times", "half"], ["exact"], "exact"),
        node("HardSwish", ["exact"], ["swish"], "swish"),
        node("Transpose", ["swish"], ["back"], "back", perm=[0, 2, 3, 1]),
        node("Reshape", ["back", "rows"], ["flat"], "flat"),
        node("MatMul", ["flat", "fc.weight"], ["fc"], "fc"),
        node("Add", ["fc", "fc.bias"], ["logits"], "fc.add"),
    ],
    [4, 4, 3],
    [
        numbers("255", 255), numbers("mean", [0.5, 0.4, 0.3]), numbers("std", [0.2, 0.3, 0.25]),
        floats("stem.weight", 2, 3, 2, 2), floats("stem.bias", 2), floats("norm.weight", 2), floats("norm.bias", 2),
        floats("wide.weight", 2, 4), floats("wide.bias", 4), floats("narrow.weight", 4, 2), floats("layer_scale", 2),
        numbers("root", 2**0.5), numbers("one", 1), numbers("half", 0.5), ints("rows", 0, -1), floats("fc.weight", 8, 3), floats("fc.bias", 3),
    ],
    20,
)
