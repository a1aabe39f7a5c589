"""One run in several processes of this machine: torch's elastic agent starts them, tells each its
rank, and ends the others where one is lost; then all begin anew from the last save.

The agent is this process. It holds the lease of the run from first to last, so that nobody takes
the run meanwhile; rank 0 writes under it. Several machines are torchrun's work: each has an agent
there, and rank 0 holds the lease.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from tempfile import TemporaryDirectory

from vae_core.errors import Stopped
from vae_core.locations import STORE_VARIABLE, module_command, module_environment
from vae_core.runs import ACTIVE, Run, State, Status, layout
from vae_core.runs.lease import SHARED_VARIABLE
from vae_core.runs.migrations import to_store
from vae_core.training.continuation import continued
from vae_core.training.control import ControlFile, control_size
from vae_core.training.rank import LOST, SILENT
from vae_core.training.watchdog import SAVE_S, record_stop, watch

BAD_INPUT = 2
"""The exit status of a command for what a person has to mend: beginning anew would not help."""

MOST_TRIES = 3
"""Without a new save: who is lost at the same place each time will be lost there again."""

LAST_WORDS_S = 3.0
"""From a stop on, once rank 0 has said that the run is over: what the others may take to end."""

ENDED_WELL = 0

LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
"""On one machine nobody else needs to reach the processes."""


def train_in_processes(
    run: Run, processes: int, command: Sequence[str], offset: int, epochs: str | None = None
) -> Status:
    """Train a run in so many processes until it is over, or one of them was lost too often.

    For the main thread of a process of its own.

    Args:
        command: of `python -m vae_core`, what each process does.
        offset, epochs: see `worker.work`.

    Returns:
        The last status, which is on the disk as well.

    Raises:
        UserError: when another process trains the run, or it cannot be written.
    """
    with run.lock() as lease:
        if epochs is not None:
            run.write_json(layout.CONFIG, to_store(continued(run, epochs)))
        os.environ.update(
            module_environment(**{STORE_VARIABLE: str(run.path.parent)}),
            **{SHARED_VARIABLE: lease.job.token},
        )
        os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
        stop = _Stop(run, offset)
        watch(stop.asked, stop.exit_status)
        run.set_status(Status(state="starting", message=f"Starting {processes} processes"))
        tries, step = 0, run.weights_step()
        while True:
            ended = _start(processes, [*command, "--heard", str(offset)], stop)
            status, saved = run.last_status(), run.weights_step()
            if status.state in ("finished", "failed") or BAD_INPUT in ended.values():
                return status
            if stop.asked() or stop.wished or not ended:
                if status.state in ACTIVE:
                    record_stop(run, status.message or "Training")
                return run.last_status()
            tries, step = tries + 1 if saved == step else 1, saved
            lost = what_ended(ended, processes, status)
            if tries > MOST_TRIES:
                return _say(run, "interrupted", f"{lost} {_often(tries)}")
            offset = control_size(run)
            sentence = f"{lost} All begin anew, {_where(step)}"
            run.append(layout.HISTORY, {"kind": "note", "step": step or 0, "message": sentence})
            print(sentence, file=sys.stderr, flush=True)
            _say(run, "starting", sentence)


def what_ended(ended: Mapping[int, int], processes: int, status: Status) -> str:
    """Who was lost and how, as a sentence; `ended` has the exit status of each that failed,
    negative for a signal. Those that ended for want of another one are not to blame."""
    if ended.get(0) == SILENT:
        return status.message
    if SILENT in ended.values():
        return f"Rank 0 of {processes} gave no sign of life."
    for rank, code in sorted(ended.items()):
        who = f"Rank {rank} of {processes}"
        if code == -signal.SIGKILL:
            return f"{who} was killed, as systems do where memory is short."
        if code < 0:
            return f"{who} was ended by {signal.Signals(-code).name}."
        if code not in (ENDED_WELL, LOST):
            return f"{who} failed; the log says why."
    return status.message or "A rank was lost."


def _start(processes: int, command: Sequence[str], stop: _Stop) -> dict[int, int]:
    """Run a command in so many processes; the exit status of each that failed, by its rank."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # we say it ourselves
    with TemporaryDirectory(prefix="ranks-") as logs:
        others = dict.fromkeys(range(1, processes), Std.ALL)
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id="one-machine",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,  # whether to begin anew depends on the run
            logs_specs=DefaultLogsSpecs(log_dir=logs, tee=others),
            log_line_prefix_template="[rank ${rank}] ",
        )
        python, *arguments = module_command("vae_core", *command)
        try:
            stop.started = True
            elastic_launch(config, python)(*arguments)
        except ChildFailedError as error:
            return {rank: failure.exitcode for rank, failure in error.failures.items()}
        except (SignalException, KeyboardInterrupt, Stopped):
            stop.wished = True
    return {}


class _Stop:
    """Whether somebody wants the run to stop, and what becomes of the agent then: it ends with its
    processes, and ends them where rank 0, which obeys by itself, has left the others behind."""

    def __init__(self, run: Run, offset: int) -> None:
        self.wished = self.started = False
        self._run, self._messages = run, ControlFile(run, offset)

    def asked(self) -> bool:
        """Whether there is a new message that asks for it."""
        asks = any(message.command == "stop" for message in self._messages())
        self.wished = self.wished or asks
        return asks

    def exit_status(self, seconds: float, number: int | None) -> int | None:
        """As `watchdog.watch` asks for it."""
        self.wished = True
        status = self._run.last_status()
        over = status.state not in ACTIVE
        if self.started and seconds < LAST_WORDS_S + (0 if over else SAVE_S):
            return None
        if not over:
            record_stop(self._run, status.message)
        return ENDED_WELL


def _say(run: Run, state: State, sentence: str) -> Status:
    status = run.last_status().model_copy(update={"state": state, "message": sentence})
    run.set_status(status)
    return status


def _often(tries: int) -> str:
    return f"That was {tries} times without a new save; what the last one holds is kept."


def _where(step: int | None) -> str:
    return "from the beginning." if step is None else f"from the save of step {step}."
