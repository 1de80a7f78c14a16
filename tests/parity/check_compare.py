"""The test of the test: compare.py must find every tensor of a good trace that is altered a little, missing or new.

usage: check_compare.py MODEL TRACE
"""

import contextlib
import io
import sys

from safetensors.torch import load_file

from compare import Report, compare
from model import Network


def faults(model, trace):
    report = Report(tolerance=2e-5, quiet=True)
    with contextlib.redirect_stdout(io.StringIO()):
        compare(Network(model), trace, report)
    return report.failed


def altered(trace, name):
    """The trace with one element of a tensor off by 3e-4 of its norm (a gradient that is zero: of the largest)."""
    tensor = trace[name].clone()
    size = float(tensor.norm())
    if size < 1e-4:
        size = max(float(t.norm()) for n, t in trace.items() if n.startswith("grad."))
    tensor.flatten()[tensor.numel() // 2] += 3e-4 * size
    return {**trace, name: tensor}


def main():
    model, trace = sys.argv[1], load_file(sys.argv[2])
    unnoticed = []
    if faults(model, trace):
        raise SystemExit("expected a trace without faults")
    for name in trace.keys() - {"labels"}:
        found = faults(model, altered(trace, name))
        # An altered input or parameter makes everything after it wrong; anything else is named itself.
        is_given = name == "input" or name.startswith("parameter.")
        if not (found if is_given else any(line.startswith(f"{name}:") for line in found)):
            unnoticed.append(name)
    for start, end in (("grad.", ""), ("updated.", ".weight"), ("", ".y")):
        name = next(n for n in trace if n.startswith(start) and n.endswith(end))
        without = {n: t for n, t in trace.items() if n != name}
        if f"{name}: not in the trace" not in faults(model, without):
            unnoticed.append(f"{name} (left out)")
    if "grad.nothing: not a tensor of this network" not in faults(model, {**trace, "grad.nothing": trace["loss"]}):
        unnoticed.append("grad.nothing (new)")
    print(f"compare.py: {len(trace)} tensors of {model} altered one at a time, {len(unnoticed)} not noticed")
    for name in unnoticed:
        print(f"FAIL  {name}")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
