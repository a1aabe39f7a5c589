"""What was fitted to the encodings of a run, kept there beside them."""

from __future__ import annotations

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vae_core.latent.encodings import load_encodings
from vae_core.models import LatentModel
from vae_core.models.quantised import QuantisedModel
from vae_core.runs import Run

ENCODINGS = "encodings.safetensors"


def keep(run: Run, name: str, tensors: dict[str, Tensor], step: int, version: int = 1) -> None:
    """Write the prior called `name`, fitted to the encodings of the checkpoint of `step`.

    Args:
        version: of the way in which it is fitted.
    """
    contiguous = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    run.write_bytes(_file(name), save(contiguous, _stamp(str(step), version)))


def kept(run: Run, name: str, version: int = 1) -> dict[str, Tensor] | None:
    """What `keep` wrote for the encodings that the run has now, fitted in the way of `version`;
    None where there is nothing."""
    path = run.file(_file(name))
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            found, step = file.metadata() or {}, _step(run)
            if step is None or {"version": "1"} | found != _stamp(step, version):
                return None
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError):
        return None  # a cache: whoever asks fits it again or says that it is missing


def encoded_codes(run: Run, model: LatentModel) -> tuple[Tensor, int]:
    """The codes of the run's encodings, int64 [N, h, w], and the step that encoded them.

    Raises:
        UserError: when the run has no encodings or they are damaged.
    """
    assert isinstance(model, QuantisedModel), "this model has no codes"
    encodings = load_encodings(run)
    with torch.inference_mode():
        parts = torch.from_numpy(encodings.mu).split(512)
        codes = [model.indices(model.unflatten(part.to(model.device))).cpu() for part in parts]
    return torch.cat(codes), encodings.step


def _step(run: Run) -> str | None:
    path = run.file(ENCODINGS)
    if not path.exists():
        return None
    with safe_open(path, "pt") as file:
        step: str | None = (file.metadata() or {}).get("step")
        return step


def _stamp(step: str, version: int) -> dict[str, str]:
    return {"step": step, "version": str(version)}


def _file(name: str) -> str:
    return f"prior-{name}.safetensors"
