"""Seconds of a training step in JAX, as JSON; for compare.py.

usage: python3 benches/peers/jax.py MODEL BATCH THREADS STEPS
Needs jax. MODEL: alexnet (torchvision's). NHWC, one jitted function, SGD with momentum 0.9, dropout as in the others.
"""

import os
import sys

sys.path.pop(0)  # this file has the name of the package
name, (batch, threads, steps) = sys.argv[1], map(int, sys.argv[2:5])
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["NPROC"] = str(threads)  # what the size of XLA's pool of threads follows
os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))

import json
import statistics
import time

import jax
import jax.numpy as jnp

CONVOLUTIONS = [(64, 11, 4, 2, True), (192, 5, 1, 2, True), (384, 3, 1, 1, False), (256, 3, 1, 1, False), (256, 3, 1, 1, True)]
WIDTHS = [9216, 4096, 4096, 1000]


def initial(key):
    parameters, channels = [], 3
    for filters, kernel, *_ in CONVOLUTIONS:
        key, here = jax.random.split(key)
        size = (kernel, kernel, channels, filters)
        parameters.append((jax.random.normal(here, size) * (2 / (kernel**2 * channels)) ** 0.5, jnp.zeros(filters)))
        channels = filters
    for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
        key, here = jax.random.split(key)
        parameters.append((jax.random.normal(here, (inputs, outputs)) * (2 / inputs) ** 0.5, jnp.zeros(outputs)))
    return parameters


def logits_of(parameters, x, key):
    for (w, b), (_, _, step, pad, pooled) in zip(parameters, CONVOLUTIONS):
        layout = ("NHWC", "HWIO", "NHWC")
        x = jax.nn.relu(jax.lax.conv_general_dilated(x, w, (step, step), [(pad, pad)] * 2, dimension_numbers=layout) + b)
        if pooled:
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "VALID")
    x = x.reshape(len(x), -1)
    for i, (w, b) in enumerate(parameters[len(CONVOLUTIONS):]):
        if i < 2:
            key, here = jax.random.split(key)
            x = jnp.where(jax.random.bernoulli(here, 0.5, x.shape), 2 * x, 0)
        x = x @ w + b
        x = jax.nn.relu(x) if i < 2 else x
    return x


def loss_of(parameters, x, labels, key):
    scores = jax.nn.log_softmax(logits_of(parameters, x, key))
    return -jnp.take_along_axis(scores, labels[:, None], 1).mean()


@jax.jit
def train(parameters, momenta, x, labels, key):
    loss, gradients = jax.value_and_grad(loss_of)(parameters, x, labels, key)
    momenta = jax.tree.map(lambda m, g, p: 0.9 * m + g + 1e-4 * p, momenta, gradients, parameters)
    return jax.tree.map(lambda p, m: p - 0.01 * m, parameters, momenta), momenta, loss


def main():
    if name != "alexnet":
        sys.exit(f"written for alexnet only, not {name}")
    key = jax.random.key(0)
    parameters = initial(key)
    momenta = jax.tree.map(jnp.zeros_like, parameters)
    x = jax.random.normal(key, (batch, 224, 224, 3))
    labels = jax.random.randint(key, (batch,), 0, 1000)
    times = []
    for step in range(2 + steps):
        start = time.perf_counter()
        parameters, momenta, loss = train(parameters, momenta, x, labels, jax.random.fold_in(key, step))
        jax.block_until_ready((parameters, loss))
        if step >= 2:
            times.append(time.perf_counter() - start)
    print(json.dumps({"seconds": statistics.median(times), "version": f"jax {jax.__version__}"}))


if __name__ == "__main__":
    main()
