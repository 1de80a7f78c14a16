"""Recomputes a trace (`striate trace`) with PyTorch in float64 and prints the relative error of every tensor.

usage: compare.py MODEL TRACE [--tolerance 2e-5] [--own] [--quiet]

The error of a tensor is norm(found - expected) / norm(expected). Exit code 1 if any is above the tolerance, or if a
tensor is missing or unknown. Where the expected tensor is zero (a bias in front of a batch norm has no gradient),
the found one must be below the tolerance times the size of its siblings.

With --own, the tolerance is twice the largest error of PyTorch's own step in float32 where that is more, for outputs and for gradients:
batch norms over few values, in a network of many layers, magnify rounding. Both errors are printed.

Kinks: where a float64 value lies within rounding of a kink (ReLU at zero, two maxima of a window), f32 may stand on
the other side, and its gradient is then rightly another one. Such places take the side that the trace shows, but
only if the float64 value really is that close (`KINK`); a wrong mask or a wrong maximum does not pass. Their number
is printed.

Updates are recomputed from the trace's own gradients (those are compared by themselves): Adam's first step is close
to the sign of the gradient, which would turn rounding of a tiny gradient into a full step. Beside the parameter
after the update, the step itself is compared (`step.<parameter>`), as a wrong step can hide behind a large weight.
"""

import argparse
import sys

import torch
from safetensors.torch import load_file

from model import Network, max_pool

KINK = 1e-4  # how near a kink counts as "within rounding", relative to the root mean square of the tensor
HALF_ULP = 2.0**-24  # relative rounding of a stored f32

# Layers that hand their input on, with dropout off.
PASSED_ON = ("flatten", "dropout", "dropout2d", "stochastic_depth")


class Kinks:
    """Decides ReLUs and maxima that are too close to call as the trace did."""

    def __init__(self, trace, aliases):
        self.trace, self.aliases = trace, aliases
        self.followed, self.places = 0, 0

    def value(self, layer):
        while layer in self.aliases and f"{layer}.y" not in self.trace:
            layer = self.aliases[layer]
        return self.trace["input"] if layer == "input" else self.trace.get(f"{layer}.y")

    def close(self, distance, x, differ):
        """Which of the differing places are close enough to a kink to follow the trace."""
        close = differ & (distance <= KINK * x.detach().square().mean().sqrt())
        self.followed += int(close.sum())
        self.places += close.numel()
        return close

    def relu(self, name, x):
        y = self.value(name)
        mask = x > 0
        if y is not None:
            seen = y.reshape(x.shape) > 0
            mask = torch.where(self.close(x.detach().abs(), x, mask != seen), seen, mask)
        return torch.where(mask, x, torch.zeros_like(x))

    def leaky_relu(self, name, x, slope):
        # The sign of the output tells the side of the kink only if the slope is positive.
        y = self.value(name)
        mask = x > 0
        if y is not None and slope > 0:
            seen = y.reshape(x.shape) > 0
            mask = torch.where(self.close(x.detach().abs(), x, mask != seen), seen, mask)
        return torch.where(mask, x, x * slope)

    def near(self, source, x, points):
        """For each point: where x is above it."""
        masks = [x > point for point in points]
        seen = self.value(source)
        if seen is not None:
            for i, (point, mask) in enumerate(zip(points, masks)):
                above = seen.reshape(x.shape) > point
                masks[i] = torch.where(self.close((x.detach() - point).abs(), x, mask != above), above, mask)
        return masks

    def max_pool(self, source, layer, x, y, index):
        seen = self.value(source)
        if seen is None:
            return y
        _, seen_index = max_pool(seen.reshape(x.shape), layer)
        rows = x.flatten(2)
        found = rows.detach().gather(2, seen_index.flatten(2)).reshape(y.shape)
        close = self.close((y.detach() - found).abs(), x, index != seen_index)
        chosen = torch.where(close, seen_index, index)
        return rows.gather(2, chosen.flatten(2)).reshape(y.shape)


class Report:
    """Collects errors; a line each. `own`: larger tolerances by kind of tensor."""

    def __init__(self, tolerance, quiet, own=None):
        self.tolerance, self.quiet, self.own = tolerance, quiet, own or {}
        self.worst, self.failed, self.seen = {}, [], set()

    def fail(self, text):
        self.failed.append(text)
        print(f"FAIL  {text}")

    def compare(self, name, found, expected, allowed=0.0, scale=0.0):
        """`allowed`: a norm that the difference may have anyway; `scale`: stands in for a norm of zero."""
        self.seen.add(name)
        found, expected = found.to(torch.float64), expected.detach().to(torch.float64)
        if found.numel() != expected.numel():
            return self.fail(f"{name}: {tuple(found.shape)} values, expected {tuple(expected.shape)}")
        difference = max(0.0, float((found.reshape(expected.shape) - expected).norm()) - allowed)
        norm = float(expected.detach().norm())
        is_zero = norm <= 1e-12 * scale
        error = difference / scale if is_zero and scale else difference / norm if norm else difference
        kind = name.split(".")[0] if name.startswith(("grad.", "updated.", "step.")) else "forward"
        self.worst[kind] = max(self.worst.get(kind, 0.0), error)
        # Written so that a NaN fails.
        if not error <= max(self.tolerance, 2 * self.own.get(kind, 0.0)):
            return self.fail(f"{name}: error {error:.2e} (norm {norm:.3e})")
        if not self.quiet:
            print(f"ok    {name}: error {error:.2e} (norm {norm:.3e})")


def missing_layers(network, trace):
    """Layers without an output in the trace, other than those that exist only inside a fused ReLU."""
    readers = {}
    for name, layer, inputs in network.layers:
        for source in inputs:
            readers.setdefault(source, []).append(layer["op"])
    for name, layer, _ in network.layers:
        fused = layer["op"] in ("conv2d", "linear", "batch_norm2d") and readers.get(name) == ["relu"]
        if f"{name}.y" not in trace and not fused and layer["op"] not in PASSED_ON:
            yield name


def own_errors(path, trace):
    """The largest errors of PyTorch's step in float32, of outputs and of gradients."""
    named = {k.removeprefix("parameter."): v for k, v in trace.items() if k.startswith("parameter.")}
    single = Network(path).load(named)
    single.parameters = {k: v.detach().float().requires_grad_(True) for k, v in single.parameters.items()}
    single.state = {k: v.float() for k, v in single.state.items()}
    x = trace["input"].float().clone().requires_grad_(True)
    values = single.forward(x, training=True)
    loss = single.loss(single.logits(values), trace["labels"])
    loss.backward()
    found = {f"{name}.y": value.detach() for name, value in values.items() if name != "input"}
    found |= {f"parameter.{name}": value for name, value in named.items()}
    found |= {f"grad.{name}": value.grad for name, value in {**single.parameters, "input": x}.items()}
    found |= {"input": trace["input"], "labels": trace["labels"], "logits": single.logits(values).detach(), "loss": loss.detach()}
    report = Report(float("inf"), True)
    compare_step(Network(path).load(named), found, report)
    # Running statistics are as exact as the outputs that they are of.
    return {"step": report.worst["forward"], **report.worst}


def compare_step(network, trace, report):
    """Outputs and gradients of a loaded network. Returns its gradients and what was decided about kinks."""
    aliases = {n: i[0] for n, layer, i in network.layers if layer["op"] in PASSED_ON}
    kinks = Kinks(trace, aliases)
    x = trace["input"].to(torch.float64).requires_grad_(True)
    values = network.forward(x, training=True, kinks=kinks)
    logits = network.logits(values)
    loss = network.loss(logits, trace["labels"])
    loss.backward()

    for name in missing_layers(network, trace):
        report.fail(f"{name}.y: not in the trace")
    for name, _, _ in network.layers:
        if f"{name}.y" in trace:
            report.compare(f"{name}.y", trace[f"{name}.y"], values[name])
    report.compare("logits", trace["logits"], logits)
    report.compare("loss", trace["loss"], loss)
    if "losses" in trace:
        rows = [network.loss(logits[i : i + 1], trace["labels"][i : i + 1]) for i in range(len(logits))]
        report.compare("losses", trace["losses"], torch.stack(rows))
    gradients = {name: value.grad for name, value in network.parameters.items()}
    size = max(float(g.norm()) for g in gradients.values())
    for name, expected in {**gradients, "input": x.grad}.items():
        found = trace.get(f"grad.{name}")
        if found is None:
            report.fail(f"grad.{name}: not in the trace")
        else:
            report.compare(f"grad.{name}", found, expected, scale=size)
    return gradients, kinks


def compare(network, trace, report):
    named = {k.removeprefix("parameter."): v for k, v in trace.items() if k.startswith("parameter.")}
    network.load(named)
    before = {k: v.detach().clone() for k, v in {**network.parameters, **network.state}.items()}
    gradients, kinks = compare_step(network, trace, report)
    if "losses" not in trace:
        report.fail("losses: not in the trace")

    optimizer = network.optimizer()
    for name, value in network.parameters.items():
        value.grad = trace.get(f"grad.{name}", gradients[name]).to(torch.float64).reshape(value.shape).clone()
    network.clip()
    optimizer.step()
    for name, expected in {**network.parameters, **network.state}.items():
        found = trace.get(f"updated.{name}")
        if found is None:
            report.fail(f"updated.{name}: not in the trace")
            continue
        report.compare(f"updated.{name}", found, expected)
        # The new value is rounded to f32 once, and so are the few products behind it.
        rounding = 2 * HALF_ULP * float(expected.detach().norm())
        step = found.to(torch.float64).reshape(expected.shape) - before[name]
        report.compare(f"step.{name}", step, expected.detach() - before[name], allowed=rounding, scale=1.0)

    known = report.seen | {"input", "labels"} | {f"parameter.{name}" for name in before}
    for name in trace.keys() - known:
        report.fail(f"{name}: not a tensor of this network")
    return kinks


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="a model file, or the name of a built-in network")
    parser.add_argument("trace", help="the safetensors file that `striate trace` wrote")
    parser.add_argument("--tolerance", type=float, default=2e-5)
    parser.add_argument("--own", action="store_true", help="at least the error of PyTorch's own step in float32")
    parser.add_argument("--quiet", action="store_true", help="failures and the summary only")
    arguments = parser.parse_args()
    trace = load_file(arguments.trace)
    own = own_errors(arguments.model, trace) if arguments.own else {}
    network, report = Network(arguments.model), Report(arguments.tolerance, arguments.quiet, own)
    kinks = compare(network, trace, report)
    worst = ", ".join(f"{kind} {error:.1e}" for kind, error in report.worst.items())
    theirs = f" (PyTorch's own in float32: forward {own['forward']:.1e}, grad {own['grad']:.1e})" if own else ""
    print(f"{network.name}: {len(report.seen)} tensors, largest error: {worst}{theirs};"
          f" {kinks.followed} of {kinks.places} kinks too close to call; {len(report.failed)} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
