#!/usr/bin/env bash
# timm's moving average of weights forgets the initial weights at its first update if it is given the step.
#
# One would guess: `ema.update(model, step)` and `ema.update(model)` with one decay compute the same average,
#   ema = decay * ema + (1 - decay) * weights, from the initial weights on (no warm-up is asked for).
# What happens: with timm 1.0.31 the decay is 0 for step <= update_after_step + 1, so update(model, step=1) copies the weights:
#   with decay 0.9 and weights 0, then 1, 2, 3, the average is 1.0, 1.1, 1.29 with the step, and 0.1, 0.29, 0.561 without it.
#   timm's train.py gives the step, counted from 1.
# Who meets it: whoever compares an average of weights with timm's, or continues one there. Striate's --ema is the average of the
#   formula from the initial weights on, as timm computes it without the step.
#
# usage: findings/timm_ema_first_update.sh        (python3 with venv; network; the packages are large)
# Exit status: 0 as described, 1 otherwise, 2 something needed is missing.
set -euo pipefail

TIMM=1.0.31
TORCH=2.15.0

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv" 2>/dev/null || { echo "python3 has no venv here" >&2; exit 2; }
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "timm==$TIMM" "torch==$TORCH" >/dev/null 2>&1 ||
    { echo "timm $TIMM and torch $TORCH could not be installed" >&2; exit 2; }
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import timm
import torch
from timm.utils import ModelEmaV3


def averages(with_step):
    """The average after weights of 1, 2 and 3, beginning from 0."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    ema = ModelEmaV3(model, decay=0.9)
    values = []
    for step in [1, 2, 3]:
        torch.nn.init.constant_(model.weight, step)
        ema.update(model, step=step) if with_step else ema.update(model)
        values.append(round(ema.module.weight.item(), 4))
    return values


with_step, without = averages(True), averages(False)
print(f"timm {timm.__version__}, decay 0.9: with the step {with_step}, without {without}")
sys.exit(0 if with_step == [1.0, 1.1, 1.29] and without == [0.1, 0.29, 0.561] else 1)
PYTHON
