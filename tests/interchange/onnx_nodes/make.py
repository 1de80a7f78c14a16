"""Makes cases.tar.gz for tests/interchange/onnx_nodes/mod.rs: the ONNX project's own node tests (onnx.backend.test) of the operators that are imported.

    python3 tests/interchange/onnx_nodes/make.py

A node test is a graph of one node whose weights are inputs, of any rank. A network has one input [N, C, H, W], weights of its own and one output, so
each case is brought as near to that as it can be without changing what the node computes:

* inputs after the first become initializers where they are weights, shapes, axes or switches;
* two or three inputs of Add, Sum, Mul and Concat lie behind each other in the channels of one, and 1x1 convolutions of ones and zeros take them apart;
* tensors of other ranks get extents of 1 in front or behind (activations, Add, Concat, Dropout, Identity, Mul, Sum), rows of a softmax or a layer
  normalisation over the last axis become the batch;
* a ReLU, which changes nothing there, stands behind a softmax, since a softmax at the end would be part of the loss.

What does not fit even so stays as it is, and is listed with its reason in skipped.txt. Of each case the archive holds NAME.onnx, and NAME.x and NAME.y,
input and expected output as little-endian f32. Values of more than 64 KiB, which only cases of three-dimensional pooling have, are left out.
"""

import gzip
import io
import pathlib
import tarfile
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

OPERATORS = set(
    "Conv Gemm MatMul Add Sum BatchNormalization LRN MaxPool AveragePool GlobalAveragePool GlobalMaxPool ReduceMean Flatten Reshape Relu Sigmoid Tanh"
    " Softmax Concat Dropout Identity Constant Slice Split LayerNormalization Resize Upsample"
    " Clip Elu Gelu HardSigmoid HardSwish LeakyRelu Mul PRelu".split()
)
ACTIVATIONS = {"Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "PRelu", "Relu", "Sigmoid", "Tanh"}
POINTWISE = {"Add", "Concat", "Dropout", "Identity", "Mul", "Sum"} | ACTIVATIONS
LARGEST = 64 * 1024


def value(name, array):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def to_rank_4(array, front):
    shape = (1,) * front + array.shape
    return array.reshape(shape + (1,) * (4 - len(shape)))


def axis_of(node, default):
    return next((a.i for a in node.attribute if a.name == "axis"), default)


def set_axis(node, axis):
    kept = [a for a in node.attribute if a.name != "axis"]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("axis", axis)])


def adapt(node, inputs, y):
    """The nodes, input and initializers that stand for `node`; inputs may be None."""
    op = node.op_type
    initializers, nodes, x = [], [node], inputs[0] if inputs else None
    several = op in {"Add", "Sum", "Mul", "Concat"} and len(inputs) > 1
    if op in POINTWISE and all(a is not None and a.dtype == np.float32 and a.ndim <= 3 for a in (inputs if several else inputs[:1])):
        rank, front = x.ndim, 1
        if op == "Concat":
            axis = axis_of(node, 0) % rank
            # Along the second axis, the first one can be the batch.
            front = 0 if axis == 1 else 1
            set_axis(node, axis + front)
        if several:
            rank4 = [to_rank_4(a, front) for a in inputs]
            if all(a.shape == rank4[0].shape for a in rank4):
                x = np.concatenate(rank4, axis=1)
                channels = rank4[0].shape[1]
                takers = []
                for i in range(len(inputs)):
                    weight = np.zeros((channels, x.shape[1], 1, 1), np.float32)
                    weight[range(channels), range(i * channels, (i + 1) * channels)] = 1
                    initializers.append(numpy_helper.from_array(weight, f"part{i}.weight"))
                    takers.append(helper.make_node("Conv", ["parts", f"part{i}.weight"], [node.input[i]], f"part{i}", kernel_shape=[1, 1]))
                return [*takers, node], ("parts", x), initializers
        else:
            x = to_rank_4(x, front)
    if op == "Softmax" and x.ndim == 3 and axis_of(node, -1) in (-1, 2):
        x = x.reshape(-1, x.shape[-1])
        set_axis(node, -1)
    if op == "Softmax":
        node.output[0] = "softmax"
        nodes.append(helper.make_node("Relu", ["softmax"], ["y"], "positive"))
    if op == "LayerNormalization" and axis_of(node, -1) in (-1, x.ndim - 1):
        x = x.reshape(-1, x.shape[-1])
        set_axis(node, -1)
    if op in {"Reshape", "Slice"} and x.ndim == 3:
        x = x.reshape(*x.shape, 1)
    if not several:
        for name, array in zip([name for name in node.input if name][1:], inputs[1:]):
            initializers.append(numpy_helper.from_array(array, name))
    return nodes, (node.input[0] if node.input else None, x), initializers


def main():
    warnings.filterwarnings("ignore")
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:

        def add(name, content):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))

        for case in sorted(collect_testcases(None), key=lambda case: case.name):
            graph = case.model.graph
            if len(graph.node) != 1 or graph.node[0].op_type not in OPERATORS or graph.node[0].domain:
                continue
            name = case.name.removeprefix("test_")
            node = graph.node[0]
            inputs, outputs = case.data_sets[0]
            if any(not isinstance(array, np.ndarray | np.generic) for array in [*inputs, *outputs]):
                # Sequences and optional values have no numbers to compare.
                add(f"{name}.onnx", case.model.SerializeToString(deterministic=True))
                continue
            inputs, outputs = [np.asarray(a) for a in inputs], [np.asarray(a) for a in outputs]
            nodes, (x_name, x), initializers = adapt(node, inputs, outputs[0])
            y = outputs[0]
            first = nodes[-1].output[0]
            # Shapes of outputs are left open: ranks may have changed.
            names = [first, *(o for o in nodes[-1].output[1:] if o)]
            results = [helper.make_tensor_value_info(o, helper.np_dtype_to_tensor_dtype(a.dtype), None) for o, a in zip(names, outputs)]
            given = {x_name, *(i.name for i in initializers), *(o for n in nodes for o in n.output)}
            sources = [value(x_name, x)] if x is not None else []
            sources += [value(i, a) for i, a in zip([i for i in node.input if i], inputs) if i not in given]
            new = helper.make_graph(nodes, name, sources, results, initializers)
            model = helper.make_model(new, opset_imports=case.model.opset_import, ir_version=case.model.ir_version)
            add(f"{name}.onnx", model.SerializeToString(deterministic=True))
            if x is not None and max(x.nbytes, y.nbytes) <= LARGEST:
                add(f"{name}.x", x.astype("<f4").tobytes())
                add(f"{name}.y", y.astype("<f4").tobytes())
    pathlib.Path(__file__).with_name("cases.tar.gz").write_bytes(out.getvalue())


if __name__ == "__main__":
    main()
