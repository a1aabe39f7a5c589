"""What `train`, `resume` and `work` do where `--on` names a cluster."""

from __future__ import annotations

import sys

from vae_core.cli.options import print_progress
from vae_core.errors import UserError
from vae_core.progress import Progress, no_progress
from vae_core.runs import Run, Status
from vae_core.training.control import control_size, send


def require_one_process(on: str | None, several: bool) -> None:
    """A run on a cluster is trained by one process there. A UserError where several were asked
    for."""
    if on is not None and several:
        raise UserError(
            "On a cluster a run is trained in one process.",
            shell="Leave out --processes, or --on; torchrun trains in several of several machines",
        )


def train_there(
    run: Run,
    address: str,
    store: str | None,
    accept_changed_data: bool = False,
    epochs: str | None = None,
    beta: float | None = None,
) -> None:
    """Have a run trained on a cluster while this command waits, and say what becomes of it.

    Raises:
        UserError: when it fails there, or no cluster answers.
    """
    print(f"Run {run.id} in {run.path}, trained on a cluster ({address})", file=sys.stderr)
    offset = control_size(run)
    if beta is not None:
        send(run, {"command": "set", "name": "beta", "value": beta})
    status = _follow(run, address, offset, print_progress(), accept_changed_data, epochs)
    if status.state == "failed":
        raise UserError(status.message or f"{run.title} has failed there; its log says why.")
    if status.state != "finished":
        option = f" --store {store}" if store else ""
        said = status.message or f"Stopped at step {status.step} and saved."
        again = f"python -m vae_core resume {run.id} --on {address}{option}"
        print(f"{said} Go on with: {again}", file=sys.stderr)


def work_there(
    run: Run, address: str, offset: int, accept_changed_data: bool, epochs: str | None
) -> None:
    """As the app starts it: what becomes of the run, its folder says alone."""
    _follow(run, address, offset, no_progress, accept_changed_data, epochs)


def _follow(
    run: Run,
    address: str,
    offset: int,
    progress: Progress,
    accept_changed_data: bool,
    epochs: str | None,
) -> Status:
    from vae_core.cli.train import listening
    from vae_core.training.cluster.placed import train_on_cluster

    with run.lock(), listening(run, offset) as control:
        if epochs is not None:  # once, however often it begins there
            from vae_core.runs.layout import CONFIG
            from vae_core.runs.migrations import to_store
            from vae_core.training.continuation import continued

            run.write_json(CONFIG, to_store(continued(run, epochs)))
        options = ["--accept-changed-data"] if accept_changed_data else []
        return train_on_cluster(run, address, control, progress, options)
