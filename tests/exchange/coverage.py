"""Every convolutional classifier of torchvision, and timm's of different families: exported by both of PyTorch's exporters, imported,
trained on for a step, exported again.

usage: coverage.py FOLDER [ONLY]        (four networks and onnx's light models, by way of tests/exchange/run)
       coverage.py FOLDER --all [--only NAME,NAME...] [--table FILE] [--again] [--keep]        (hours; STRIATE names the program)
  --only NAME,...   these networks alone
  --table FILE      write the table into this Markdown file, between its lines <!-- coverage --> and <!-- end of coverage -->
  --again           check networks again that have results in FOLDER
  --keep            keep the exported files; without it, only of networks of which something failed

Results are kept in FOLDER, one JSON file for each network, so that a run can be continued. For each network:
  logits of the file that each exporter writes by default, with batch norms folded into convolutions, beside onnxruntime's;
  a training step of the newer exporter's file with batch norms as nodes (the older one's where that does not import): loss and
  gradients beside PyTorch's in float64;
  that network, exported by Striate: logits in onnxruntime beside those before.
Vision transformers are no convolutional networks and are left out, and so is regnet_y_128gf, whose file is larger than the 2 GiB of a
protobuf message.

Weights are drawn so that a training step is well-conditioned (see `drawn`), and dropout and stochastic depth are off. A gradient's error is
the norm of the difference relative to the norm of the tensor, or to a thousandth of that of the largest one where this is more: biases
before batch norms have a gradient of zero.
"""

import argparse
import copy
import json
import logging
import re
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torchvision
from safetensors.numpy import load_file

from common import Checks, Failed, difference, imported, logits, save_samples, striate

TRANSFORMERS = ("maxvit", "swin", "vit_")
TOO_LARGE = ("regnet_y_128gf",)
# A network of each family.
TIMM = ("resnet26d", "seresnext26d_32x4d", "res2net50_26w_4s", "skresnet18", "dpn68", "dla34", "hrnet_w18_small",
        "ese_vovnet19b_dw", "repvgg_a0", "mobilenetv4_conv_small", "tf_efficientnet_lite0", "mixnet_s", "ghostnet_100",
        "rexnet_100", "cspdarknet53", "convnext_atto", "hgnetv2_b0", "xception41", "regnety_002", "starnet_s1")
# Checks of tests/exchange/run.
FAST = ("mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1", "timm/repvgg_a0")
CLASSES, TOLERANCE = 10, 1e-4
# Images of a batch where two are too few: batch norms over one value of each image, in gates, magnify rounding then.
ROWS = {"timm/rexnet_100": 8}
FORMS = ("dynamo", "torchscript", "unfolded")


def names():
    ours = [name for name in torchvision.models.list_models(module=torchvision.models)
            if not name.startswith(TRANSFORMERS) and name not in TOO_LARGE]
    return ours + [f"timm/{name}" for name in TIMM]


def side(name):
    """Height and width of the input: the smallest that exporters can pool adaptively, or that leaves something to pool."""
    if name.startswith(("alexnet", "vgg")):
        return 224
    return 128 if name.startswith(("inception", "googlenet")) else 64


def made(name):
    if name.startswith("timm/"):
        import timm

        return timm.create_model(name.removeprefix("timm/"), pretrained=False, num_classes=CLASSES, exportable=True)
    options = {}
    if name in ("googlenet", "inception_v3"):
        options = {"aux_logits": False, "init_weights": False}
    return getattr(torchvision.models, name)(weights=None, num_classes=CLASSES, **options)


def drawn(network, x):
    """Weights at which a training step is well-conditioned.

    Batch norms put most of their outputs, two and a half standard deviations, on the positive side: of a million activations
    some lie so near to a kink of an activation that f32 and f64 disagree about their side, which changes the gradients of all
    layers below. Running statistics are those of a batch."""
    torch.manual_seed(3)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    for key, value in network.named_parameters():
        if value.ndim > 1 and value.shape[1:].numel() > 1:
            torch.nn.init.normal_(value, 0, (1 / value[0].numel()) ** 0.5)
        elif key.endswith("bias"):
            torch.nn.init.uniform_(value, -0.05, 0.05)
        else:
            torch.nn.init.uniform_(value, 0.5, 1.0)
    for module in norms:
        torch.nn.init.uniform_(module.weight, 0.3, 0.5)
        torch.nn.init.uniform_(module.bias, 0.8, 1.2)
    momenta = [module.momentum for module in norms]
    for module in norms:
        module.momentum = 1.0
    without_chance(network)
    with torch.no_grad():
        network.train()(torch.randn(8, *x.shape[1:]))
    for module, momentum in zip(norms, momenta, strict=True):
        module.momentum = momentum
    return network.eval()


def without_chance(network):
    for module in network.modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.p = 0.0
        elif isinstance(module, torchvision.ops.StochasticDepth):
            module.p = 0.0
        for key in ("drop_prob", "drop_rate"):
            if isinstance(getattr(module, key, None), float):
                setattr(module, key, 0.0)


def export(network, x, folder):
    """The three files; a reason for each that the exporter does not write."""
    wrong, common = {}, {"input_names": ["input"], "output_names": ["logits"]}
    try:
        options = {"dynamo": True, "external_data": False, "optimize": False, "verbose": False, **common}
        try:
            program = torch.onnx.export(network, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},), **options)
        except Exception:  # a network that fixes its batch
            program = torch.onnx.export(network, (x,), **options)
        program.save(folder / "unfolded.onnx")
        program.optimize()
        program.save(folder / "dynamo.onnx")
    except Exception as error:
        wrong["dynamo"] = wrong["unfolded"] = first_line(error)
    try:
        torch.onnx.export(network, (x,), folder / "torchscript.onnx", dynamo=False,
                          dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}}, **common)
    except Exception as error:
        wrong["torchscript"] = first_line(error)
    return wrong


def older_unfolded(network, x, path, wrong):
    """The older exporter's file with batch norms as nodes."""
    try:
        torch.onnx.export(network, (x,), path, dynamo=False, training=torch.onnx.TrainingMode.PRESERVE,
                          do_constant_folding=False, input_names=["input"], output_names=["logits"],
                          dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}})
    except Exception as error:
        wrong["unfolded"] = first_line(error)


def why_not(path, folder):
    """The reason why a file does not import; none if it does."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        try:
            imported(path, Path(place) / "imported")
        except Exception as error:
            return first_line(error)
    return None


def first_line(error):
    """An error as one short line, without the folder of a file."""
    return re.sub(r"[^ :]*/(\w+\.onnx)", r"\1", " ".join(str(error).split()))[:300]


def answers(path, x):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def step(network, x, labels, kind):
    """Loss and gradients by name of a training step."""
    network = copy.deepcopy(network).to(kind).train()
    loss = torch.nn.functional.cross_entropy(network(x.to(kind)), labels)
    loss.backward()
    gradients = {key: value.grad for key, value in network.named_parameters() if value.grad is not None}
    return loss.item(), {key: value.double().numpy() for key, value in gradients.items()}


def distance(found, expected):
    """The largest error of the gradients, and where it is."""
    norms = {key: np.linalg.norm(value) for key, value in expected.items()}
    least = max(norms.values()) / 1000
    errors = {key: np.linalg.norm(found[key].reshape(-1) - value.reshape(-1)) / max(norms[key], least)
              for key, value in expected.items()}
    worst = max(errors, key=errors.get)
    return float(errors[worst]), worst


def named(weights, network):
    """The parameter of PyTorch, and whether it is transposed, for each tensor of a weights file, found by the values."""
    places = {}
    for key, value in network.named_parameters():
        value = value.detach().numpy()
        places[value.tobytes()] = (key, False)
        if value.ndim == 2:
            places.setdefault(np.ascontiguousarray(value.T).tobytes(), (key, True))
    return {name: places[value.tobytes()] for name, value in weights.items() if value.tobytes() in places}


def trained(network, model, weights, x, labels, folder):
    """A training step beside PyTorch's: errors of loss and gradients, and those of PyTorch's own in f32."""
    expected_loss, expected = step(network, x, labels, torch.float64)
    own_loss, own = step(network, x, labels, torch.float32)
    data = save_samples(folder / "step", x.numpy(), labels.numpy())
    output = folder / "step.safetensors"
    striate("trace", "-m", model, "--weights", weights, "--data-path", data, "--dataset", "tensors", "-b", len(x),
            "-o", output)
    trace = load_file(output)
    output.unlink()
    found = {}
    for name, (key, is_transposed) in named(load_file(weights), network).items():
        gradient = trace[f"grad.{name}"].astype(np.float64)
        found[key] = gradient.T if is_transposed else gradient
    missing = expected.keys() - found.keys()
    if missing:
        raise Failed(f"no gradient of {len(missing)} of {len(expected)} parameters: {', '.join(sorted(missing)[:3])}")
    error, worst = distance(found, expected)
    own_error, _ = distance(own, expected)
    loss = abs(float(trace["loss"].reshape(-1)[0]) / expected_loss - 1)
    return {"loss": loss, "gradient": error, "at": worst, "own": max(own_error, abs(own_loss / expected_loss - 1))}


def check_form(form, path, x, folder):
    """A file's import and its logits."""
    result = {}
    try:
        expected = answers(path, x.numpy())
        model, weights = imported(path, folder / form)
        result["imports"] = True
        result["logits"] = difference(logits(model, weights, x.numpy(), folder), expected, "logits", float("inf"))
        return result, (model, weights, expected)
    except Exception as error:
        result.setdefault("imports", False)
        result["error"] = first_line(error)
        return result, None


def check(name, folder, keep):
    """All there is to say about a network."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    x = torch.randn(ROWS.get(name, 2), 3, side(name), side(name), generator=torch.Generator().manual_seed(4))
    labels = torch.randint(CLASSES, (len(x),), generator=torch.Generator().manual_seed(5))
    network = drawn(made(name), x)
    result = {"parameters": sum(value.numel() for value in network.parameters()), "side": side(name)}
    wrong = export(network, x, folder)
    for form in FORMS:
        path = folder / f"{form}.onnx"
        if form == "unfolded" and (reason := wrong.pop(form, None) or why_not(path, folder)):
            # What is not optimised may have sequences of tensors; the older exporter can keep batch norms, too.
            result["unoptimised"] = reason
            older_unfolded(network, x, path, wrong)
        if form in wrong:
            result[form] = {"imports": False, "error": f"the exporter: {wrong[form]}"}
            continue
        result[form], read = check_form(form, path, x, folder)
        if form == "unfolded" and read:
            model, weights, expected = read
            for key, task in (("step", lambda: trained(network, model, weights, x, labels, folder)),
                              ("again", lambda: exported_again(weights, x, expected, folder))):
                try:
                    result[key] = task()
                except Exception as error:
                    result[key] = {"error": first_line(error)}
        for made_here in (folder / form).glob("*.safetensors"):
            made_here.unlink()
        if not keep and "error" not in result[form] and path.exists():
            path.unlink()
    return result


def exported_again(weights, x, expected, folder):
    path = folder / "again.onnx"
    striate("export", "--weights", weights, "-o", path, "-b", len(x))
    found = answers(path, x.numpy())
    path.unlink()
    return {"logits": difference(found, expected, "logits", float("inf"))}


def failures(result):
    """What is not as it should be, a line each."""
    for form in FORMS:
        part = result[form]
        if "error" in part:
            yield f"{form}: {part['error']}"
        elif not part["logits"] <= TOLERANCE:
            yield f"{form}: logits differ by {part['logits']:.1e}"
    for key in ("step", "again"):
        if "error" in result.get(key, {}):
            yield f"{key}: {result[key]['error']}"
    if not is_close(result.get("step")) and "loss" in result.get("step", {}):
        part = result["step"]
        yield (f"step: loss differs by {part['loss']:.1e}, gradients by {part['gradient']:.1e} ({part['at']}), "
               f"PyTorch's own by {part['own']:.1e}")
    if result.get("again", {}).get("logits", 0) > TOLERANCE:
        yield f"again: logits differ by {result['again']['logits']:.1e}"


def is_close(part):
    """Whether a step is within the tolerance, or where PyTorch's own in f32 is not, about as near as that."""
    if not part or "error" in part:
        return False
    return max(part["loss"], part["gradient"]) <= max(TOLERANCE, 2 * part["own"])


def fits(part):
    """Whether logits are within the tolerance."""
    return bool(part) and "error" not in part and part["logits"] <= TOLERANCE


def logits_cell(part):
    if not part or "error" in part:
        return "no" if part else ""
    return f"{part['logits']:.0e}" + ("" if fits(part) else " **no**")


def step_cell(part):
    if not part or "error" in part:
        return "no" if part else ""
    shown = f"{part['loss']:.0e}, {part['gradient']:.0e}"
    if max(part["loss"], part["gradient"]) > TOLERANCE:
        shown += f" (PyTorch's own {part['own']:.0e})" if is_close(part) else " **no**"
    return shown


def table(results):
    """The Markdown, a line each."""
    lines = ["| | networks | import: newer, older exporter | same logits | same training step | exported again |",
             "|---|---|---|---|---|---|"]
    for of in ("torchvision", "timm"):
        part = [result for name, result in results.items() if name.startswith("timm/") == (of == "timm")]
        read = ", ".join(str(sum(result[form]["imports"] for result in part)) for form in FORMS[:2])
        same = ", ".join(str(sum(fits(result[form]) for result in part)) for form in FORMS[:2])
        steps = sum(is_close(result.get("step")) for result in part)
        again = sum(fits(result.get("again")) for result in part)
        lines.append(f"| {of} | {len(part)} | {read} | {same} | {steps} | {again} |")
    lines += ["", "| network | side | newer exporter: logits | older exporter: logits | training step: loss, gradients |"
              " exported again: logits |", "|---|---|---|---|---|---|"]
    for name, result in results.items():
        cells = [f"`{name}`", str(result["side"]), *(logits_cell(result[form]) for form in FORMS[:2]),
                 step_cell(result.get("step")), logits_cell(result.get("again"))]
        lines.append(f"| {' | '.join(cells)} |")
    reasons = [f"* `{name}`: {line}" for name, result in results.items() for line in failures(result)]
    reasons += [f"* `{name}`, newer exporter with `optimize=False`: {result['unoptimised']}"
                for name, result in results.items() if "unoptimised" in result]
    return lines + ([""] + reasons if reasons else [])


def write_table(path, results):
    text = path.read_text()
    before, rest = text.split("<!-- coverage -->\n")
    _, after = rest.split("<!-- end of coverage -->\n")
    inner = "\n".join(table(results))
    path.write_text(f"{before}<!-- coverage -->\n\n{inner}\n\n<!-- end of coverage -->\n{after}")


def stored(folder, name):
    return folder / f"{name.replace('/', '-')}.json"


def as_check(name, folder):
    result = check(name, folder / name.replace("/", "-"), False)
    lines = list(failures(result))
    if lines:
        raise Failed("; ".join(lines))
    return max(result["step"]["gradient"], *(result[form]["logits"] for form in FORMS))


def light():
    """The graphs of 2017 that the onnx package comes with, which import as they are."""
    from onnx.backend.test.data import light as package

    files = sorted(Path(package.__path__[0]).glob("*.onnx"))
    if not files:
        raise Failed("the onnx package has no light models")
    with tempfile.TemporaryDirectory() as folder:
        for number, file in enumerate(files):
            imported(file, Path(folder) / str(number))
    return 0.0


def run_checks(folder, only):
    """What tests/exchange/run checks."""
    checks = Checks(only)
    checks.run("coverage of onnx's light models", light)
    for name in FAST:
        checks.run(f"coverage {name}", as_check, name, folder)
    return checks.finish()


def main():
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    if "--all" not in sys.argv:
        return run_checks(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    wanted = given.only.split(",") if given.only else names()
    given.folder.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        path = stored(given.folder, name)
        if path.exists() and not given.again:
            continue
        start = time.monotonic()
        result = check(name, given.folder / name.replace("/", "-"), given.keep)
        path.write_text(json.dumps(result, indent=1))
        lines = list(failures(result))
        print(f"{'FAILED' if lines else 'ok':<7} {name}  {time.monotonic() - start:.0f} s", flush=True)
        for line in lines:
            print(f"        {line}", flush=True)
    paths = {name: stored(given.folder, name) for name in names()}
    known = {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}
    if given.table:
        write_table(given.table, known)
    return 1 if any(True for result in known.values() for _ in failures(result)) else 0


if __name__ == "__main__":
    sys.exit(main())
