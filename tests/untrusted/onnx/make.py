"""Makes small.onnx, the sound file that tests/untrusted/onnx/mod.rs damages: every kind of message and every place for values. Needs the package onnx."""

import pathlib

import numpy as np
import onnx
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
