"""Our side of the training benchmark: the worker, as `train` and the app run it.

Everything a run records is on: history, status, previews, validation, saves, encodings, summary.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.workloads import config_of
from vae_core import process

if TYPE_CHECKING:
    from vae_core.training.events import Event
    from vae_core.training.recorders import Recorder

SHARE_OF = {"Validated": "validation", "Previewed": "previews", "Checkpoint": "saves"}
"""What the time before an event went to, where that were no steps."""
ENCODINGS, AFTER, REST, STEPS = "encodings", "after_training", "rest", "steps"


class Stopwatch:
    """Listens to the loop, after whoever writes the run, and sorts the time between two events.

    An event knows how long the steps before it took. What else went by since the event before is
    the making and recording of this one; after the end of an epoch was saved, it is encodings.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(
            (STEPS, *SHARE_OF.values(), ENCODINGS, REST, AFTER), 0.0
        )
        self._last: float | None = None
        self._stepped, self._saved_epoch, self._ended = 0.0, False, False

    def __call__(self, event: Event) -> None:
        now, name = time.perf_counter(), type(event).__name__
        if self._last is None:  # the first event is a preview, taken before the first step
            self._last, self._stepped = now, event.seconds
            return
        steps = event.seconds - self._stepped
        place = ENCODINGS if self._saved_epoch else SHARE_OF.get(name, REST)
        self.seconds[STEPS] += steps
        self.seconds[place] += now - self._last - steps
        self._last, self._stepped, self._saved_epoch = now, event.seconds, name == "EpochSaved"
        self._ended = name == "Ended"

    def listeners(self, total_steps: int, first_step: int) -> Iterable[Recorder]:
        """What the worker asks for: one listener, itself."""
        return (self,)

    def progress(self, message: str, share: float | None) -> None:
        """What the worker says of its work: the first word after the last event comes when all is
        recorded, which a thread of its own does."""
        if self._ended and self._last is not None:
            now, self._ended = time.perf_counter(), False
            self.seconds["saves"] += now - self._last
            self._last = now

    def end(self) -> None:
        """The worker is done: encodings, summary and directions are written."""
        assert self._last is not None, "training has ended"
        self.seconds[AFTER] = time.perf_counter() - self._last


def train(folder: Path, place: Path, changes: dict[str, Any]) -> dict[str, Any]:
    """Train in a store at `place`, with changes of `train`: seconds from before the first step to
    the last record of training, where they went, and what follows training."""
    from vae_core.runs import Store
    from vae_core.training.worker import work

    run = Store(place).create("bench", config_of(folder, **changes))
    watch = Stopwatch()
    work(run, watch.listeners, watch.progress)
    watch.end()
    whole = sum(watch.seconds.values())
    return {
        "seconds": whole - watch.seconds[AFTER],
        "whole_seconds": whole,
        "shares": {name: seconds / whole for name, seconds in watch.seconds.items()},
        "images": run.data_card().n_train * run.config().train.epochs,
        "precision": run.config().train.precision,
    }


if __name__ == "__main__":
    process.prepare()
    print(json.dumps(train(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))))
