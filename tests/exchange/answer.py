"""Answers of one onnxruntime to exported files, for a version that is not that of the checks.

usage: answer.py FILE.onnx INPUT.npy OUTPUT.npy ...        (the newest of common.Runtimes starts it with the Python of the oldest)
"""

import sys

import numpy as np
import onnxruntime

onnxruntime.set_default_logger_severity(4)
for model, given, made in zip(*(iter(sys.argv[1:]),) * 3, strict=True):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    np.save(made, session.run(None, {session.get_inputs()[0].name: np.load(given)})[0])
