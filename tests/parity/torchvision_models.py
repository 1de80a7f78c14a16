"""Our model files against torchvision's own networks: the same parameter names and shapes, and the same logits.

usage: torchvision_models.py        (needs torchvision)
"""

import sys
from collections import OrderedDict

import torch
import torchvision

from model import Network

NAMES = ("alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "mnasnet1_0", "mobilenet_v2",
         "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "resnet34", "resnet50", "resnext50_32x4d",
         "shufflenet_v2_x1_0", "squeezenet1_1", "vgg11", "vgg16", "vgg16_bn")


def main():
    failed = 0
    for name in NAMES:
        network = Network(name).initialise(1)
        options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
        theirs = getattr(torchvision.models, name)(**options).double().eval()
        # MNASNet refuses tensors without the version of their names, which only the state_dict of a module has.
        state = OrderedDict({**network.parameters, **network.state})
        state._metadata = theirs.state_dict()._metadata
        # Strict except for a counter of batch norm that is not read here.
        loaded = theirs.load_state_dict(state, strict=False)
        strange = [n for n in loaded.missing_keys if not n.endswith("num_batches_tracked")]
        strange += loaded.unexpected_keys
        x = torch.randn(2, *network.input_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            expected, found = theirs(x), network.logits(network.forward(x, training=False))
        error = float((found - expected).norm() / expected.norm())
        # Not zero: a model file's eps is an f32.
        is_good = not strange and error <= 1e-7
        failed += not is_good
        print(f"{'ok   ' if is_good else 'FAIL '} torchvision {name}: {len(network.parameters)} parameters,"
              f" logits differ by {error:.1e}, names that do not fit: {strange or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
