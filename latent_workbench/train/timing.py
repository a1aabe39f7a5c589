"""How long a training will take, from real steps of that very configuration.

The steps are run in a process of their own (`python -m latent_workbench.train.timing`, the
configuration on its standard input), set up like the worker that would do the training.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass

from vae_core.config import RunConfig, parse_config
from vae_core.errors import UserError
from vae_core.locations import module_command, module_environment
from vae_core.process import prepare

SETTLE_S = 0.8
"""Time a configuration has to stand before it is measured: people turn several knobs in a row."""

MEASURE_S = 1.5
WARM_UP_STEPS = 3
TIMEOUT_S = 90

_TURN = threading.Lock()  # two measurements at once would measure each other


@dataclass(frozen=True)
class Timing:
    """Measured here and now: a step of training, and what happens between two epochs."""

    step_s: float
    steps: int
    between_s: float
    epochs: int

    @property
    def seconds(self) -> float:
        """The whole training."""
        return self.step_s * self.steps + self.between_s * self.epochs


class Stopwatch:
    """Times configurations for one session: a newer wish replaces the one that waits or runs."""

    def __init__(self) -> None:
        self._request = 0
        self._process: subprocess.Popen[str] | None = None

    def time(self, config: RunConfig) -> Timing | None:
        """Time `config`, or return None when something newer is wished for meanwhile.

        Raises:
            UserError: when the steps cannot be run; the sentence is the engine's.
        """
        self.cancel()
        request = self._request
        time.sleep(SETTLE_S)
        with _TURN:
            return self._measure(config, request) if request == self._request else None

    def cancel(self) -> None:
        """Stop what is running; the cores are needed."""
        self._request += 1
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()

    def _measure(self, config: RunConfig, request: int) -> Timing | None:
        command, environment = module_command("latent_workbench.train.timing"), module_environment()
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        ) as process:
            self._process = process
            try:
                answer, errors = process.communicate(config.to_json(), timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise UserError(f"A few steps took longer than {TIMEOUT_S} s.") from None
        if request != self._request:
            return None
        if process.returncode:
            raise UserError((errors.strip().splitlines() or ["The steps could not be timed."])[-1])
        return Timing(**json.loads(answer))


def measure_timing(config: RunConfig) -> Timing:
    """Run some steps of `config` and one pass over a batch without learning.

    Raises:
        UserError: when the data or the settings do not work.
    """
    import numpy as np
    import torch  # after prepare()

    from vae_core.auto import resolve
    from vae_core.data.batches import as_floats
    from vae_core.families import build
    from vae_core.run_data import data_card
    from vae_core.runs import Store
    from vae_core.selections import selected_dataset
    from vae_core.settings import is_open
    from vae_core.training.device import choose_device
    from vae_core.training.events import Stepped
    from vae_core.training.loop import Loop
    from vae_core.training.precision_trial import choose_precision

    quiet = {"log_every": 1, "preview_every": 10**9, "checkpoint_every": 10**9}
    config = config.updated({"train": quiet})
    if config.train.threads:
        torch.set_num_threads(config.train.threads)
    dataset = selected_dataset(config.data, Store())
    config, _ = resolve(config, dataset)
    device = choose_device(config.train.device)
    model, objective = build(config, data_card(dataset))
    model.to(device).to(memory_format=torch.channels_last)
    objective.to(device)
    if is_open(config.train.precision):
        choice = choose_precision(config, dataset, model, objective)
        config = config.updated({"train": {"precision": choice.value}})
    loop = Loop(config, dataset, model, objective)
    steps, began = 0, 0.0
    for event in loop.run():
        if not isinstance(event, Stepped):
            continue
        steps += 1
        if steps == WARM_UP_STEPS:
            began = event.seconds
        spent = event.seconds - began
        if steps > WARM_UP_STEPS and spent > MEASURE_S:
            break
    counted = max(1, steps - WARM_UP_STEPS)
    step_s = spent / counted if steps > WARM_UP_STEPS else event.seconds / max(1, steps)

    batch = dataset.train.images.gather(np.arange(config.train.batch_size))
    model.eval()
    start = time.perf_counter()
    with torch.inference_mode():
        model.decode(model.encode(as_floats(batch, device)).mode())
    image_s = (time.perf_counter() - start) / len(batch)
    # Between two epochs the worker validates; what else it does there takes 1 % of the time.
    return Timing(step_s, loop.total_steps, image_s * len(dataset.validation), config.train.epochs)


def main() -> int:
    """Time the configuration on standard input; one JSON object on standard output."""
    prepare()
    try:
        print(json.dumps(asdict(measure_timing(parse_config(sys.stdin.read())))))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
