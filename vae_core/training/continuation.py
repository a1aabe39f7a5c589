"""More epochs for a run: what of its configuration changes, and what goes on as it was.

The weights, the averages of the optimisers, the random numbers and whatever counts steps go on:
warm-ups that are over stay over, cycles of β go on turning, and an exponential decay goes on
falling. Where the run had come to its end, a cosine has come to nothing: it begins anew at the full
learning rate and falls over the epochs that are added, a warm restart (Loshchilov and Hutter, SGDR,
2017); so does the patience for a better validation. Where it had not, both are what they would be
had so many epochs been planned.
"""

from __future__ import annotations

import math
import re

from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.runs import Run
from vae_core.settings import is_open

_WISH = re.compile(r"(\+?)([0-9]{1,6})")


def continued(run: Run, epochs: str) -> RunConfig:
    """The configuration of a run that is to go on for more epochs.

    Args:
        epochs: "+50" for so many more, of a run that has ended counted from there; "80" for so
            many in all.

    Raises:
        UserError: when it is no such number, the run has no more to do then, or nothing to go on
            from.
    """
    config, said = run.config_to_train(), _WISH.fullmatch(epochs.strip())
    if said is None:
        raise UserError(
            f"{epochs!r} is no number of epochs; write +50, or 80 in all.", shell="--epochs"
        )
    if not run.has_state() or is_open(config.train.epochs):
        raise UserError(
            f"Run {run.id!r} has no training state to go on from; a new run can start from its "
            "weights.",
            shell=f"train --from {run.id}",
        )
    step, status = run.weights_step() or 0, run.status()
    ended = 0 < status.total_steps <= status.step  # whoever starts a worker says so before it looks
    done = math.ceil(step / config.train.steps_per_epoch(run.data_card().n_train))
    planned = done if ended else config.train.epochs
    wished = int(said[2]) + (planned if said[1] else 0)
    if wished <= done:
        raise UserError(
            f"Run {run.id!r} has had {done} epoch{'s' * (done != 1)}; give it more than that, such "
            "as +10."
        )
    changes = {"epochs": wished} | ({"continued_at": step} if ended else {})
    return config.updated({"train": changes})
