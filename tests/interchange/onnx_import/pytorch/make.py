"""Makes the files beside it for tests/interchange/onnx_import/pytorch.rs: small networks as both of PyTorch's exporters write them, and what onnxruntime answers.

    python3 tests/interchange/onnx_import/pytorch/make.py        (torch, onnx, onnxscript, onnxruntime, safetensors)

NAME-FORM.onnx for each network and form; NAME.safetensors has `x`, two rows, and `y`.
"""

import logging
import pathlib
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.numpy import save_file
from torch import nn

HERE = pathlib.Path(__file__).parent


class Residual(nn.Module):
    """Convolutions without biases, batch norms, a shortcut, a mean over places, and a reshape by a computed size."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(4)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(4, 5)
        for norm in (self.norm1, self.norm2):
            nn.init.normal_(norm.running_mean, 0, 0.1)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.1)

    def forward(self, x):
        x = torch.relu(self.norm1(self.conv1(x)))
        x = torch.relu(x + self.norm2(self.conv2(x)))
        return self.head(torch.flatten(self.mean(self.pool(x)), 1))


def response(size):
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.LocalResponseNorm(size, alpha=0.5, beta=0.6, k=1.5), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Dropout(), nn.Linear(24, 5))


def squeeze():
    """A convolution as the last layer, and a mean over places."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 1), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten())


def flat():
    """A batch norm over features."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(147, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 5))
    nn.init.normal_(network[2].running_mean, 0, 0.1)
    nn.init.uniform_(network[2].running_var, 0.5, 1.5)
    nn.init.uniform_(network[2].weight, 0.5, 1.5)
    return network


NETWORKS = {"flat": flat, "residual": Residual, "response4": lambda: response(4), "response5": lambda: response(5), "squeeze": squeeze}
PRESERVE = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
NEW, OLD = {"dynamo": True, "external_data": False, "verbose": False}, {"dynamo": False}
FORMS = {
    "dynamo": NEW | {"dynamic_shapes": ({0: torch.export.Dim("batch")},)},
    "dynamo-fixed": NEW,
    "dynamo-raw": NEW | {"dynamic_shapes": ({0: torch.export.Dim("batch")},), "optimize": False},
    "script": OLD | {"dynamic_axes": {"input": {0: "batch"}, "logits": {0: "batch"}}},
    "script-fixed": OLD,
    "script-raw": OLD | PRESERVE | {"dynamic_axes": {"input": {0: "batch"}, "logits": {0: "batch"}}},
}


def without_traces(path):
    """Leaves out where in PyTorch's source a node comes from: most of the file, and a path of this machine."""
    model = onnx.load(path)
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer, *model.graph.value_info, model.graph):
        del part.metadata_props[:]
        part.doc_string = ""
    del model.graph.value_info[:]
    del model.metadata_props[:]
    path.write_bytes(model.SerializeToString(deterministic=True))


def main():
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    for name, make in NETWORKS.items():
        for form, options in FORMS.items():
            torch.manual_seed(1)
            network, x = make().eval(), torch.randn(2, 3, 7, 7)
            path = HERE / f"{name}-{form}.onnx"
            torch.onnx.export(network, (x,), path, input_names=["input"], output_names=["logits"], **options)
            without_traces(path)
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            y = session.run(None, {"input": x.numpy()})[0]
            assert np.abs(y - network(x).detach().numpy()).max() < 1e-5, path
        save_file({"x": x.numpy(), "y": y}, HERE / f"{name}.safetensors")


if __name__ == "__main__":
    main()
