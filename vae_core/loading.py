"""From a run folder back to a model."""

from __future__ import annotations

from dataclasses import dataclass

from safetensors import SafetensorError, safe_open

from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.families import build
from vae_core.models import LatentModel
from vae_core.objectives import Objective
from vae_core.runs import WEIGHTS, DataCard, Run


@dataclass(frozen=True)
class LoadedRun:
    """A trained model in evaluation mode and what it was made from; `step` made its weights."""

    run: Run
    config: RunConfig
    card: DataCard
    model: LatentModel
    objective: Objective
    step: int


def load_run(run: Run, device: str = "cpu") -> LoadedRun:
    """Rebuild a run's model from its folder alone.

    Raises:
        UserError: when the run has no weights yet, or a file of it is missing or damaged.
    """
    config, card = run.config(), run.data_card()
    path = run.file(WEIGHTS)
    if not path.exists():
        raise UserError(f"Run {run.id!r} has no weights yet; they come with its first save.")
    model, objective = build(config, card)
    try:
        with safe_open(path, "pt", device=device) as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            step = int((file.metadata() or {}).get("step", 0))
        model.load_state_dict(weights)
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"The weights of run {run.id!r} are damaged: {reason}.") from None
    return LoadedRun(run, config, card, model.to(device).eval(), objective.to(device), step)
