"""Seconds of a training step in TensorFlow, as JSON; for compare.py.

usage: python3 benches/peers/tensorflow.py MODEL BATCH THREADS STEPS
Needs tensorflow-cpu. MODEL: alexnet (torchvision's), alexnet-2012 or alexnet-mini. NHWC, tf.function, SGD with momentum 0.9.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.pop(0)  # this file has the name of the package

import json
import statistics
import time

import tensorflow as tf

layers = tf.keras.layers


def padded(x, pad):
    return layers.ZeroPadding2D(pad)(x) if pad else x


def alexnet():
    inputs = x = layers.Input((224, 224, 3))
    convolutions = [(64, 11, 4, 2, True), (192, 5, 1, 2, True), (384, 3, 1, 1, False), (256, 3, 1, 1, False), (256, 3, 1, 1, True)]
    for filters, kernel, step, pad, pooled in convolutions:
        # Padding of its own is fused into the convolution where it is what "same" means.
        if step == 1:
            x = layers.Conv2D(filters, kernel, padding="same", activation="relu")(x)
        else:
            x = layers.Conv2D(filters, kernel, step, activation="relu")(padded(x, pad))
        x = layers.MaxPool2D(3, 2)(x) if pooled else x
    return tf.keras.Model(inputs, head(x)), (224, 224, 3), 1000


def alexnet_2012():
    inputs = x = layers.Input((227, 227, 3))
    convolutions = [(96, 11, 4, 1, True), (256, 5, 1, 2, True), (384, 3, 1, 1, False), (384, 3, 1, 2, False), (256, 3, 1, 2, False)]
    for filters, kernel, step, groups, norm in convolutions:
        padding = "same" if step == 1 else "valid"
        x = layers.Conv2D(filters, kernel, step, padding=padding, groups=groups, activation="relu")(x)
        if norm:
            x = layers.Lambda(lambda x: tf.nn.local_response_normalization(x, 2, 2.0, 2e-5, 0.75))(x)
            x = layers.MaxPool2D(3, 2)(x)
    return tf.keras.Model(inputs, head(layers.MaxPool2D(3, 2)(x))), (227, 227, 3), 1000


def alexnet_mini():
    inputs = x = layers.Input((28, 28, 1))
    x = layers.MaxPool2D(3, 2)(layers.Conv2D(16, 5, padding="same", activation="relu")(x))
    for filters, pooled in [(48, True), (64, False), (64, False), (64, True)]:
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x))
        x = layers.MaxPool2D(3, 2)(x) if pooled else x
    x = layers.Dense(256, activation="relu")(layers.Dropout(0.2)(layers.Flatten()(x)))
    x = layers.Dense(128, activation="relu")(layers.Dropout(0.2)(x))
    return tf.keras.Model(inputs, layers.Dense(10)(x)), (28, 28, 1), 10


def head(x):
    x = layers.Flatten()(x)
    for width in (4096, 4096):
        x = layers.Dense(width, activation="relu")(layers.Dropout(0.5)(x))
    return layers.Dense(1000)(x)


def main():
    name, batch, threads, steps = sys.argv[1], *map(int, sys.argv[2:5])
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)  # else gradients run side by side even with one thread
    model, shape, classes = {"alexnet": alexnet, "alexnet-2012": alexnet_2012, "alexnet-mini": alexnet_mini}[name]()
    optimizer = tf.keras.optimizers.SGD(0.01, momentum=0.9)
    loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(x, labels):
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(x, training=True))
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
        return loss

    x, labels = tf.random.normal((batch, *shape)), tf.random.uniform((batch,), 0, classes, tf.int64)
    times = []
    for number in range(2 + steps):
        start = time.perf_counter()
        step(x, labels).numpy()
        if number >= 2:
            times.append(time.perf_counter() - start)
    print(json.dumps({"seconds": statistics.median(times), "version": f"tensorflow {tf.__version__}"}))


if __name__ == "__main__":
    main()
