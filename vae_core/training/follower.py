"""A rank beside the first: it computes its share of every step, and keeps nothing.

Whatever it has to know of the run the first one sends it, so that the folder of the run lies on one
machine alone; the images have to be on each, under the same name.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vae_core.errors import UserError
from vae_core.families import complete
from vae_core.families.footprint import require_memory_to_train
from vae_core.progress import Progress
from vae_core.run_data import dataset_of
from vae_core.runs import BEST, PARTS, STATE, Run, layout
from vae_core.training.building import built, prepared_device
from vae_core.training.checkpoint import load_best, load_state
from vae_core.training.distributed import ALONE, Dismissed, Distributed
from vae_core.training.loop import Loop
from vae_core.training.pulse import Pulse
from vae_core.training.rank import SILENT
from vae_core.training.watchdog import exit_now

SENT = (
    layout.CONFIG,
    layout.DATA_CARD,
    PARTS,
    layout.SELECTION,
    layout.INITIAL,
    layout.INITIAL_CARD,
    BEST,
    STATE,
)
"""What a run is gone on with, and no more."""

WAIT, GO = "wait", "go"
WORD_EVERY_S = 60.0


class Hold:
    """Keeps the others waiting while the first rank prepares what it then shares: a word now and
    then, as no network waits for ever."""

    def __init__(self, group: Distributed) -> None:
        self._group, self._told_at = group, time.monotonic()

    def while_preparing(self, progress: Progress) -> Progress:
        """The same progress, which has them wait on."""

        def report(message: str, share: float | None) -> None:
            progress(message, share)
            if self._group is not ALONE and time.monotonic() - self._told_at > WORD_EVERY_S:
                self._told_at = time.monotonic()
                self._group.broadcast(WAIT)

        return report

    def end(self) -> None:
        """Go on together."""
        self._group.broadcast(GO)
        self._group = ALONE


def share(run: Run, group: Distributed, names: tuple[str, ...] = SENT) -> None:
    """Give every rank these files of the first one's run, as far as it has them."""
    if group.world == 1:
        return
    for name in names:
        sent = group.broadcast_bytes(_content(run, name) if group.is_main else b"")
        if not group.is_main:
            run.write_bytes(name, sent) if sent else run.file(name).unlink(missing_ok=True)


def _content(run: Run, name: str) -> bytes:
    """What is in a file of the run, b"" where there is none."""
    try:
        with run.opened(name) as file:
            return file.read(run.size(name))  # a bound of its kind would be taken from memory first
    except FileNotFoundError:
        return b""


def agree(group: Distributed, problem: str = "") -> None:
    """Go on once every rank is ready to. A UserError with what the first of those says that is
    not."""
    for rank, (host, said) in enumerate(group.gather((socket.gethostname(), problem))):
        if said:
            raise UserError(f"Rank {rank} of {group.world}, on {host}: {said}")


def follow(group: Distributed) -> None:
    """Take every step that the first rank takes, until it has taken its last.

    Raises:
        Lost: when another rank is gone.
        UserError: when this one, or another, cannot take part; the first one has said so.
    """
    with TemporaryDirectory(prefix="rank-") as folder, suppress(Dismissed):
        run = Run(Path(folder) / group.broadcast())
        run.path.mkdir()
        with Pulse(group, _lost):
            while group.broadcast() != GO:
                pass
            share(run, group)
            try:
                loop = _loop(run, group)
            except UserError as error:
                agree(group, str(error))
                raise
            agree(group)
            for _ in loop.run():
                pass


def _lost(sentence: str) -> None:
    """From a thread, while the main one waits in vain."""
    print(sentence, file=sys.stderr, flush=True)
    exit_now(SILENT)


def _loop(run: Run, group: Distributed) -> Loop:
    config, card = complete(run.config_to_train()), run.data_card()
    device = prepared_device(config, group)
    dataset = dataset_of(run)
    if dataset.difference is not None:
        raise UserError(f"The images here are not those of the first rank. {dataset.difference}")
    require_memory_to_train(config, card, group.local_world, group.world)
    model, objective = built(run, config, card, device)

    def last_save() -> Mapping[str, Any]:
        share(run, group, (STATE,))
        state = load_state(run)
        if state is None:
            fresh = Loop(config, dataset, *built(run, config, card, device))
            state = fresh.checkpoint().state
        return state

    def best() -> None:
        share(run, group, (BEST,))
        load_best(run, model, objective)

    return Loop(config, dataset, model, objective, load_state(run), last_save, best, group=group)
