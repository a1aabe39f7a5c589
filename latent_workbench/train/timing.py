"""How long a training will take, from real steps of that very configuration.

The steps are run in a process of their own (`python -m latent_workbench.train.timing`, the
configuration on its standard input), set up like the worker that would do the training; in several
that meet as those of a training do, where several are to train it.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from vae_core.config import RunConfig, parse_config
from vae_core.errors import UserError
from vae_core.locations import module_command, module_environment
from vae_core.process import prepare

if TYPE_CHECKING:
    from vae_core.training.distributed import Distributed

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
        self._processes: list[subprocess.Popen[str]] = []

    def time(self, config: RunConfig, processes: int = 1) -> Timing | None:
        """Time `config`, trained by so many processes; None when something newer is wished for
        meanwhile.

        Raises:
            UserError: when the steps cannot be run; the sentence is the engine's.
        """
        self.cancel()
        request = self._request
        time.sleep(SETTLE_S)
        with _TURN:
            return self._measure(config, processes, request) if request == self._request else None

    def cancel(self) -> None:
        """Stop what is running; the cores are needed."""
        self._request += 1
        for process in self._processes:
            if process.poll() is None:
                process.kill()

    def _measure(self, config: RunConfig, count: int, request: int) -> Timing | None:
        command = module_command("latent_workbench.train.timing")
        with ExitStack() as stack:
            started = [
                stack.enter_context(_begun(command, rank, each))
                for rank, each in enumerate(_ranks(count))
            ]
            self._processes = started
            first, *others = started
            try:
                for other in others:
                    assert other.stdin is not None
                    other.stdin.write(config.to_json())
                    other.stdin.close()
                answer, errors = first.communicate(config.to_json(), timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired:
                raise UserError(f"A few steps took longer than {TIMEOUT_S} s.") from None
            except BrokenPipeError:  # one has ended already; the first says why
                answer, errors = first.communicate(timeout=TIMEOUT_S)
            finally:
                for process in started:  # who is left waits for the first
                    process.kill()
        if request != self._request:
            return None
        if first.returncode:
            raise UserError((errors.strip().splitlines() or ["The steps could not be timed."])[-1])
        return Timing(**json.loads(answer))


def _begun(command: list[str], rank: int, variables: dict[str, str]) -> subprocess.Popen[str]:
    """One of the processes; what the first one says counts."""
    said = subprocess.DEVNULL if rank else subprocess.PIPE
    return subprocess.Popen(
        command,
        env=module_environment(**variables),
        stdin=subprocess.PIPE,
        stdout=said,
        stderr=said,
        text=True,
    )


def _ranks(count: int) -> list[dict[str, str]]:
    """What the environment of each of several processes says, as torchrun says it; of one,
    nothing."""
    if count == 1:
        return [{}]
    from vae_core.training.launch import LOOPBACK

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    common |= {"LOCAL_WORLD_SIZE": str(count), "GLOO_SOCKET_IFNAME": LOOPBACK}
    return [common | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def measure_timing(config: RunConfig, group: Distributed | None = None) -> Timing:
    """Run some steps of `config` and one pass over a batch without learning. Of a group, all call
    this, and what the first one finds is what counts.

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
    from vae_core.training.control import Message
    from vae_core.training.device import choose_device, choose_threads
    from vae_core.training.distributed import ALONE, share_of
    from vae_core.training.events import Stepped
    from vae_core.training.loop import Loop
    from vae_core.training.precision_trial import choose_precision

    group = group or ALONE
    quiet = {"log_every": 1, "preview_every": 10**9, "checkpoint_every": 10**9}
    config = config.updated({"train": quiet})
    device = choose_device(config.train.device, group)
    torch.set_num_threads(choose_threads(config.train.threads, group))
    dataset = selected_dataset(config.data, Store())
    config, _ = resolve(config, dataset)
    model, objective = build(config, data_card(dataset))
    model.to(device).to(memory_format=torch.channels_last)
    objective.to(device)
    if is_open(config.train.precision):
        value = ""
        if group.is_main:
            value = choose_precision(share_of(config, group), dataset, model, objective).value
        config = config.updated({"train": {"precision": group.broadcast(value)}})
    loop = Loop(config, dataset, model, objective, group=group)
    steps, began, spent = 0, 0.0, 0.0

    def enough() -> list[Message]:
        is_enough = steps > WARM_UP_STEPS and spent > MEASURE_S
        return [Message("stop")] if is_enough else []

    for event in loop.run(enough):
        if not isinstance(event, Stepped):
            continue
        steps += 1
        if steps == WARM_UP_STEPS:
            began = event.seconds
        spent = event.seconds - began
    counted = max(1, steps - WARM_UP_STEPS)
    step_s = spent / counted if steps > WARM_UP_STEPS else loop.seconds / max(1, steps)

    batch = dataset.train.images.gather(np.arange(config.train.batch_size))
    model.eval()
    start = time.perf_counter()
    with torch.inference_mode():
        model.decode(model.encode(as_floats(batch, device)).mode())
    image_s = (time.perf_counter() - start) / len(batch) / group.world
    # Between two epochs the worker validates; what else it does there takes 1 % of the time.
    return Timing(step_s, loop.total_steps, image_s * len(dataset.validation), config.train.epochs)


def main() -> int:
    """Time the configuration on standard input; one JSON object on standard output."""
    prepare()
    config = parse_config(sys.stdin.read())
    try:
        from vae_core.training.device import choose_device
        from vae_core.training.distributed import join

        group = join(choose_device(config.train.device).type == "cuda")
        timing = measure_timing(config, group)
        if group.is_main:
            print(json.dumps(asdict(timing)))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
