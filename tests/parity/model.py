"""A network of ours in PyTorch: reads a model file and runs it with torch.nn.functional, in float64.

The model file is the only thing shared with the engine. Parameters are named as the engine names them
(`<layer>.weight`, `<layer>.bias`, `<layer>.running_mean`, `<layer>.running_var`). Dropout is the identity: the
engine's masks are its own, so comparisons run with dropout off.
"""

import math
import tomllib
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F

from blocks import expand

BUILTIN = Path(__file__).resolve().parents[2] / "models"

RECIPES = {  # defaults: lr, momentum (beta1), beta2 (alpha), weight decay; PyTorch's own
    "sgd": (0.01, 0.9, 0.999, 0.0),
    "adam": (0.001, 0.9, 0.999, 0.0),
    "adamw": (0.001, 0.9, 0.999, 0.01),
    "rmsprop": (0.01, 0.0, 0.99, 0.0),
}


def single(value):
    """The number that the engine sees: a model file's numbers are stored as f32."""
    return float(numpy.float32(value))


def pair(value):
    """A number or [h, w]."""
    return (value, value) if isinstance(value, int) else tuple(value)


def sides(value):
    """A number, [h, w] or [top, left, bottom, right], as (top, left, bottom, right)."""
    if isinstance(value, int):
        return (value,) * 4
    return tuple(value) * 2 if len(value) == 2 else tuple(value)


def is_symmetric(padding):
    top, left, bottom, right = padding
    return top == bottom and left == right


def pad(x, padding, value=0.0):
    top, left, bottom, right = padding
    return F.pad(x, (left, right, top, bottom), value=value)


def window_extent(length, kernel, stride, before, after, ceil):
    """Outputs of a pool along one axis: torch.nn.MaxPool2d's rule, extended to unequal padding."""
    room = length + before + after - kernel
    if not ceil:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= length + before else count


def fill_windows(x, layer, value):
    """x with padding written out (as `value`) and cut or extended to whole windows, for unequal padding."""
    kernel, stride = pair(layer["kernel"]), pair(layer.get("stride", layer["kernel"]))
    top, left, bottom, right = sides(layer.get("padding", 0))
    ceil = layer.get("ceil", False)
    rows = window_extent(x.shape[2], kernel[0], stride[0], top, bottom, ceil)
    columns = window_extent(x.shape[3], kernel[1], stride[1], left, right, ceil)
    height, width = (rows - 1) * stride[0] + kernel[0], (columns - 1) * stride[1] + kernel[1]
    padded = pad(x, (top, left, bottom, right), value)
    # A negative amount cuts, as F.pad defines it.
    return pad(padded, (0, 0, height - padded.shape[2], width - padded.shape[3]), value), kernel, stride


def max_pool(x, layer):
    """The maxima, and where they lie in x (flat index into its last two dimensions)."""
    padding = sides(layer.get("padding", 0))
    if is_symmetric(padding):
        return F.max_pool2d(
            x,
            pair(layer["kernel"]),
            pair(layer.get("stride", layer["kernel"])),
            padding[:2],
            ceil_mode=layer.get("ceil", False),
            return_indices=True,
        )
    whole, kernel, stride = fill_windows(x, layer, -math.inf)
    y, index = F.max_pool2d(whole, kernel, stride, return_indices=True)
    row, column = index // whole.shape[3] - padding[0], index % whole.shape[3] - padding[1]
    return y, row * x.shape[3] + column


def avg_pool(x, layer):
    padding = sides(layer.get("padding", 0))
    kernel, stride = pair(layer["kernel"]), pair(layer.get("stride", layer["kernel"]))
    counts = layer.get("count_include_pad", True)
    if is_symmetric(padding):
        return F.avg_pool2d(x, kernel, stride, padding[:2], ceil_mode=layer.get("ceil", False), count_include_pad=counts)
    # Padded zeros count in the mean, if asked for; what lies beyond them does not.
    total, kernel, stride = fill_windows(x, layer, 0.0)
    counted = pad(torch.ones_like(x[:1, :1]), padding, float(counts))
    short = total.shape[2] - counted.shape[2], total.shape[3] - counted.shape[3]
    share = F.avg_pool2d(pad(counted, (0, 0, *short)), kernel, stride)
    return F.avg_pool2d(total, kernel, stride) / share


def constant(value):
    return lambda x: torch.full_like(x, value)


def of_clip(layer, weight):
    low, high = single(layer.get("min", -math.inf)), single(layer.get("max", math.inf))
    points = [point for point in (low, high) if abs(point) < math.inf]
    pieces = [constant(low)] * (low > -math.inf) + [lambda x: x] + [constant(high)] * (high < math.inf)
    return points, lambda x: x.clamp(low, high), pieces


def of_hard_swish(layer, weight):
    return (-3.0, 3.0), F.hardswish, (constant(0.0), lambda x: x * (x + 3) / 6, lambda x: x)


def of_hard_sigmoid(layer, weight):
    alpha, beta = single(layer.get("alpha", 1 / 6)), single(layer.get("beta", 0.5))

    def line(x):
        return alpha * x + beta

    whole = F.hardsigmoid if "alpha" not in layer and "beta" not in layer else lambda x: line(x).clamp(0, 1)
    pieces = [constant(0.0), line, constant(1.0)]
    return sorted([-beta / alpha, (1 - beta) / alpha]), whole, pieces if alpha > 0 else pieces[::-1]


def of_elu(layer, weight):
    alpha = single(layer.get("alpha", 1.0))
    # Bounded, since the gradient of an infinite value that is not chosen would be NaN.
    return (0.0,), lambda x: F.elu(x, alpha), (lambda x: alpha * torch.expm1(x.clamp(max=1.0)), lambda x: x)


def of_prelu(layer, weight):
    def sloped(x):
        return x * weight.reshape(-1, *(1,) * (x.dim() - 2))

    return (0.0,), lambda x: F.prelu(x, weight), (sloped, lambda x: x)


# Activations of pieces: the points between these, PyTorch's function, and the pieces from left to right.
PIECES = {
    "clip": of_clip,
    "relu6": lambda layer, weight: of_clip({"min": 0.0, "max": 6.0}, weight),
    "hard_swish": of_hard_swish,
    "hard_sigmoid": of_hard_sigmoid,
    "elu": of_elu,
    "prelu": of_prelu,
}


def multiply(a, b):
    """The product of two maps, or of a map and one factor for each channel."""
    rank = max(a.dim(), b.dim())
    a, b = (x.reshape(*x.shape, *(1,) * (rank - x.dim())) for x in (a, b))
    return a * b


class Network:
    """A model file's network, loss and optimiser. `parameters` and `state` map names to float64 tensors."""

    def __init__(self, path):
        path = BUILTIN / f"{path}.toml" if (BUILTIN / f"{path}.toml").exists() else Path(path)
        with open(path, "rb") as file:
            self.spec = tomllib.load(file)
        self.name = self.spec["name"]
        self.input_shape = self.spec["input"]
        self.layers = [(layer["name"], layer, layer["inputs"]) for layer in expand(self.spec)]
        self.parameters, self.state = {}, {}

    # Parameters

    def initialise(self, seed):
        """Draws parameters and running statistics that exercise everything (no zero biases, no unit weights),
        rounded to f32."""
        generator = torch.Generator().manual_seed(seed)

        def normal(shape, std, mean=0.0):
            values = torch.randn(shape, generator=generator, dtype=torch.float64) * std + mean
            return values.to(torch.float32).to(torch.float64)

        def create(name, layer, x):
            channels = x.shape[1]
            if layer["op"] == "conv2d":
                shape = (layer["out_channels"], channels // layer.get("groups", 1), *pair(layer["kernel"]))
            elif layer["op"] == "linear":
                shape = (layer["out_features"], channels)
            elif layer["op"] == "scale":
                shape = [channels, 1, 1] if layer.get("spatial", False) else [channels]
                self.parameters[f"{name}.{layer.get('parameter', 'weight')}"] = normal(shape, 0.3, 0.5)
                return
            elif layer["op"] == "layer_norm":
                self.parameters[f"{name}.weight"] = normal([channels], 0.2, 1.0)
                self.parameters[f"{name}.bias"] = normal([channels], 0.2)
                return
            elif layer["op"] == "prelu":
                self.parameters[f"{name}.weight"] = normal([layer.get("num_parameters", 1)], 0.1, 0.3)
                return
            elif layer["op"] == "batch_norm2d":
                self.parameters[f"{name}.weight"] = normal([channels], 0.2, 1.0)
                self.parameters[f"{name}.bias"] = normal([channels], 0.2)
                self.state[f"{name}.running_mean"] = normal([channels], 0.3)
                self.state[f"{name}.running_var"] = normal([channels], 0.2, 1.0).abs() + 0.1
                return
            else:
                return
            self.parameters[f"{name}.weight"] = normal(shape, math.sqrt(2 / math.prod(shape[1:])))
            if layer.get("bias", True):
                self.parameters[f"{name}.bias"] = normal(shape[:1], 0.1)

        with torch.no_grad():
            x = torch.zeros(1, *self.input_shape, dtype=torch.float64)
            self.forward(x, training=False, before=create)
        self.state = {name: value.to(torch.float32).to(torch.float64) for name, value in self.state.items()}
        return self

    def load(self, tensors):
        """Takes parameters and state by name; anything missing or of another shape is an error."""
        if not self.parameters:
            self.initialise(0)
        for table in (self.parameters, self.state):
            for name, value in table.items():
                if name not in tensors:
                    raise KeyError(f"no tensor {name}")
                if tensors[name].shape != value.shape:
                    raise ValueError(f"{name}: expected shape {value.shape}, found {tensors[name].shape}")
                table[name] = tensors[name].to(torch.float64).clone()
        for value in self.parameters.values():
            value.requires_grad_(True)
        return self

    # Forward

    def forward(self, x, training, before=None, kinks=None):
        """Every layer's output by name. `training` selects batch statistics and updates the running ones.

        `before(name, layer, x)` is called before each layer; `kinks` may decide on which side of a kink
        (ReLU at zero, equal maxima) a value lies, see compare.py.
        """
        values = {"input": x}
        for name, layer, inputs in self.layers:
            xs = [values[i] for i in inputs]
            if before:
                before(name, layer, xs[0])
            values[name] = self.apply(name, layer, inputs, xs, training, kinks)
        return values

    def apply(self, name, layer, inputs, xs, training, kinks):
        x, op, get = xs[0], layer["op"], layer.get
        weight = self.parameters.get(f"{name}.{get('parameter', 'weight')}")
        bias = self.parameters.get(f"{name}.bias")
        if op == "conv2d":
            padded = pad(x, sides(get("padding", 0)))
            dilation = pair(get("dilation", 1))
            return F.conv2d(padded, weight, bias, pair(get("stride", 1)), 0, dilation, get("groups", 1))
        if op == "linear":
            return F.linear(x.movedim(1, -1), weight, bias).movedim(-1, 1)
        if op == "relu":
            return kinks.relu(name, x) if kinks else F.relu(x)
        if op == "leaky_relu":
            slope = single(get("negative_slope", 0.01))
            return kinks.leaky_relu(name, x, slope) if kinks else F.leaky_relu(x, slope)
        if op in PIECES:
            points, whole, pieces = PIECES[op](layer, weight)
            # For each point where the derivative jumps: where x is above it. None: as PyTorch decides.
            above = kinks.near(inputs[0], x, points) if kinks else None
            if above is None:
                return whole(x)
            y = pieces[0](x)
            for mask, piece in zip(above, pieces[1:]):
                y = torch.where(mask, piece(x), y)
            return y
        if op == "silu":
            return F.silu(x)
        if op == "gelu":
            return F.gelu(x, approximate=get("approximate", "none"))
        if op == "mul":
            return multiply(*xs)
        if op == "sigmoid":
            return torch.sigmoid(x)
        if op == "tanh":
            return torch.tanh(x)
        if op == "softmax":
            return torch.softmax(x, dim=1)
        if op == "flatten":
            return x.flatten(1)
        if op == "dropout":
            return x
        if op == "max_pool2d":
            y, index = max_pool(x, layer)
            return kinks.max_pool(inputs[0], layer, x, y, index) if kinks else y
        if op == "avg_pool2d":
            return avg_pool(x, layer)
        if op == "adaptive_avg_pool2d":
            return F.adaptive_avg_pool2d(x, pair(layer["output"]))
        if op == "local_response_norm":
            alpha, beta, k = single(get("alpha", 1e-4)), single(get("beta", 0.75)), single(get("k", 1.0))
            if get("region", "across") == "within":
                size = layer["size"]
                before, after = size // 2, (size - 1) // 2
                squares = F.pad(x * x, (before, after, before, after))
                return x / (k + alpha * F.avg_pool2d(squares, size, stride=1)) ** beta
            return F.local_response_norm(x, layer["size"], alpha, beta, k)
        if op == "batch_norm2d":
            mean, var = self.state[f"{name}.running_mean"], self.state[f"{name}.running_var"]
            momentum, eps = single(get("momentum", 0.1)), single(get("eps", 1e-5))
            return F.batch_norm(x, mean, var, weight, bias, training, momentum, eps)
        if op == "add":
            return sum(xs[1:], xs[0])
        if op == "concat":
            return torch.cat(xs, dim=1)
        if op in ("dropout2d", "stochastic_depth"):
            return x
        if op == "scale":
            return x * weight.reshape(-1, *[1] * (x.dim() - 2))
        if op == "layer_norm":
            last = x.movedim(1, -1)
            return F.layer_norm(last, x.shape[1:2], weight, bias, single(get("eps", 1e-5))).movedim(-1, 1)
        if op == "pad":
            return pad(x, sides(layer["padding"]))
        if op == "upsample":
            return F.interpolate(x, scale_factor=pair(layer["scale_factor"]), mode="nearest")
        if op == "global_avg_pool2d":
            return x.mean((2, 3), keepdim=True)
        if op == "global_max_pool2d":
            return x.amax((2, 3), keepdim=True)
        if op == "slice":
            return x[:, get("start", 0) : layer["end"]]
        if op == "channel_shuffle":
            rows = x.unflatten(1, (layer["groups"], -1))
            return rows.transpose(1, 2).flatten(1, 2)
        raise ValueError(f"{name}: unknown operator {op}")

    def logits(self, values):
        return values[self.layers[-1][0]]

    # Loss and update

    def loss(self, logits, labels):
        """The recipe's loss, mean over the batch. Labels are class numbers `[n]` or values `[n, outputs]`."""
        recipe = self.spec.get("recipe", {})
        if recipe.get("loss", "cross-entropy") == "cross-entropy":
            smoothing = single(recipe.get("label_smoothing", 0.0))
            weights = recipe.get("class_weights", "none")
            if weights == "balanced":
                raise ValueError("class_weights: balanced weights depend on the data set")
            weight = None
            if weights != "none":
                weight = [single(weights[str(label)]) for label in range(logits.shape[1])]
                weight = torch.tensor(weight, dtype=logits.dtype)
            return F.cross_entropy(logits, labels.long(), weight, label_smoothing=smoothing)
        if labels.dim() == 1:
            labels = F.one_hot(labels.long(), logits.shape[1])
        return 0.5 * ((labels.to(logits.dtype) - logits) ** 2).sum(dim=1).mean()

    def optimizer(self):
        """torch.optim's optimiser with one group per parameter, for the multipliers."""
        recipe = self.spec.get("recipe", {})
        kind = recipe.get("optimizer", "sgd")
        lr, momentum, beta2, decay = (
            single(recipe.get(key, default))
            for key, default in zip(("lr", "momentum", "beta2", "weight_decay"), RECIPES[kind])
        )
        eps = single(recipe.get("eps", 1e-8))
        layers = {name: layer for name, layer, _ in self.layers}
        groups = []
        for name, value in self.parameters.items():
            layer, side = name.rsplit(".", 1)

            def factor(key):
                both = layers[layer].get(key, 1.0)
                kind = "weight" if side == layers[layer].get("parameter") else side
                return single(both.get(kind, 1.0) if isinstance(both, dict) else both)

            group = {"lr": lr * factor("lr_mult"), "weight_decay": decay * factor("decay_mult")}
            groups.append({"params": [value], **group})
        if kind == "sgd":
            return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=recipe.get("nesterov", False))
        if kind == "adam":
            return torch.optim.Adam(groups, lr=lr, betas=(momentum, beta2), eps=eps)
        if kind == "adamw":
            return torch.optim.AdamW(groups, lr=lr, betas=(momentum, beta2), eps=eps)
        return torch.optim.RMSprop(groups, lr=lr, alpha=beta2, eps=eps, momentum=momentum)

    def clip(self):
        """Clips the gradients if the recipe says so."""
        largest = self.spec.get("recipe", {}).get("clip_grad_norm")
        if largest is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters.values(), single(largest))
