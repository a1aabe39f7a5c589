"""What a training begins with, the same in each of its processes: the device, model, objective."""

from __future__ import annotations

import torch

from vae_core.config import RunConfig
from vae_core.families import build
from vae_core.models import LatentModel
from vae_core.objective import Objective
from vae_core.runs import DataCard, Run
from vae_core.training.device import choose_device, make_exact
from vae_core.training.distributed import Distributed
from vae_core.training.initial import load_initial
from vae_core.training.precision import require_precision
from vae_core.training.rank import threads_of


def prepared_device(config: RunConfig, group: Distributed) -> torch.device:
    """The device of this process, set up to be exact; on a CPU it has its part of the cores.

    Raises:
        UserError: when it is not there, has the precision not, or several would have to share it.
    """
    device = choose_device(config.train.device, group.local_rank, group.local_world)
    require_precision(config.train.precision, device)
    make_exact(device)
    torch.set_num_threads(config.train.threads or threads_of(group.local_world))
    return device


def built(
    run: Run, config: RunConfig, card: DataCard, device: torch.device
) -> tuple[LatentModel, Objective]:
    """Model and objective as the run begins with them. Raises as `build` and `load_initial`."""
    torch.manual_seed(config.train.seed)
    model, objective = build(config, card)
    load_initial(run, config, card, model, objective)
    model.to(device).to(memory_format=torch.channels_last)
    return model, objective.to(device)
