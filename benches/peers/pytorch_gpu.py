"""Training steps in PyTorch on a GPU, one line of JSON for each form; for benches/gpu/run.

usage: python3 benches/peers/pytorch_gpu.py [--model alexnet] [--batch 128] [--forms NAME,...] [--compile] [--device cuda]

A form is a precision class and a layout of the tensors: `strict` (fp32, TF32 off), `default` (as PyTorch comes: TF32 in
convolutions, fp32 in linear layers), `tf32` (both), `fp16` and `bf16` (autocast; fp16 with loss scaling), each
`-contiguous` and `-channels_last`. `--compile` adds torch.compile(mode="reduce-overhead"), which uses CUDA graphs, to
those in channels_last. The images lie on the device, cudnn.benchmark is on, SGD with momentum 0.9 is fused. A sample is
as many steps as take 50 ms, with one synchronisation at its end; the median over the samples counts. `--device cpu` is for
trying this script out where there is no GPU.
"""

import argparse
import json
import statistics
import sys
import time

import torch
from torch import nn

from pytorch import network

# Name: what it is called in tables, TF32 in convolutions, TF32 in products, autocast.
PRECISIONS = {
    "strict": ("strict fp32", False, False, None),
    "default": ("TF32 convolutions, fp32 products", True, False, None),
    "tf32": ("TF32", True, True, None),
    "fp16": ("half: fp16 autocast", True, True, torch.float16),
    "bf16": ("half: bf16 autocast", True, True, torch.bfloat16),
}
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def synchronize(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


class Step:
    """A training step of one form; a call runs it and does not wait."""

    def __init__(self, a, device, precision, layout, compiled):
        _, convolutions, products, self.autocast = PRECISIONS[precision]
        torch.backends.cudnn.allow_tf32 = convolutions
        torch.backends.cuda.matmul.allow_tf32 = products
        self.device = device
        torch.manual_seed(0)
        made, shape, classes = network(a.model)
        form = LAYOUTS[layout]
        made = made.train().to(device).to(memory_format=form)
        self.x = torch.randn(a.batch, *shape, device=device).to(memory_format=form)
        self.labels = torch.randint(0, classes, (a.batch,), device=device)
        fused = {"fused": True} if device.type == "cuda" else {}
        # So small a rate that the weights stay what they are, however long the measurement takes.
        self.optimizer = torch.optim.SGD(made.parameters(), lr=1e-12, momentum=0.9, weight_decay=1e-4, **fused)
        scales = self.autocast == torch.float16 and device.type == "cuda"
        self.scaler = torch.amp.GradScaler(device.type, enabled=scales)
        self.network = torch.compile(made, mode="reduce-overhead") if compiled else made

    def __call__(self):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, self.autocast or torch.bfloat16, enabled=self.autocast is not None):
            loss = nn.functional.cross_entropy(self.network(self.x), self.labels)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()


def measure(step, device, a):
    """Milliseconds of a step, one for each sample."""
    for _ in range(a.warmup):
        step()
    synchronize(device)
    start = time.perf_counter()
    step()
    synchronize(device)
    runs = max(1, min(100, round(0.05 / max(time.perf_counter() - start, 1e-6))))
    samples, began = [], time.perf_counter()
    while len(samples) < a.samples and (len(samples) < 3 or time.perf_counter() - began < a.seconds):
        start = time.perf_counter()
        for _ in range(runs):
            step()
        synchronize(device)
        samples.append((time.perf_counter() - start) / runs * 1e3)
    return sorted(samples)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="alexnet", help="as in pytorch.py")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--forms", default="", help="only these, such as strict-channels_last,fp16-channels_last")
    parser.add_argument("--compile", action="store_true", help="also torch.compile, in channels_last")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--warmup", type=int, default=20)
    parser.add_argument("--samples", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=3.0, help="end a measurement after so many, once there are three")
    a = parser.parse_args()
    device = torch.device(a.device)
    is_cuda = device.type == "cuda"
    if is_cuda and not torch.cuda.is_available():
        sys.exit("pytorch_gpu.py: expected a CUDA device, found none")
    torch.backends.cudnn.benchmark = True
    name = torch.cuda.get_device_name() if is_cuda else f"cpu, {torch.get_num_threads()} threads"
    forms = [(p, layout, False) for p in PRECISIONS for layout in LAYOUTS]
    if a.compile:
        forms += [(p, "channels_last", True) for p in PRECISIONS]
    wanted = [form for form in a.forms.split(",") if form]
    done = 0
    for precision, layout, compiled in forms:
        form = f"{precision}-{layout}" + ("-compile" if compiled else "")
        if wanted and form not in wanted:
            continue
        try:
            if is_cuda:
                torch.cuda.reset_peak_memory_stats()
            samples = measure(Step(a, device, precision, layout, compiled), device, a)
        except Exception as error:  # one form that cannot be is no reason to lose the others
            print(f"{form}: {(str(error).splitlines() or ['no message'])[0]}", file=sys.stderr)
            continue
        done += 1
        median = statistics.median(samples)
        result = {
            "event": "peer",
            "peer": "pytorch",
            "form": form,
            # TF32 is nothing that a CPU has.
            "class": PRECISIONS["strict" if "tf32" in PRECISIONS[precision][0].lower() and not is_cuda else precision][0],
            "model": a.model,
            "batch_size": a.batch,
            "device": name,
            "ms_per_step": median,
            "ms_p10": samples[len(samples) // 10],
            "ms_p90": samples[-1 - len(samples) // 10],
            "samples": len(samples),
            "images_per_second": a.batch / median * 1e3,
            "memory_mib": torch.cuda.max_memory_allocated() / 2**20 if is_cuda else None,
            "version": f"torch {torch.__version__}",
            "cudnn": torch.backends.cudnn.version() if is_cuda else None,
        }
        print(json.dumps(result), flush=True)
        torch._dynamo.reset()
        if is_cuda:
            torch.cuda.empty_cache()
    if done == 0:
        sys.exit("pytorch_gpu.py: no form could be measured")


if __name__ == "__main__":
    main()
