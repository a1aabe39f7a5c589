"""What was fitted to the encodings of a run, kept there beside them."""

from __future__ import annotations

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vae_core.latent import derived
from vae_core.latent.encodings import FILE as ENCODINGS
from vae_core.latent.encodings import encoded_step, load_encodings
from vae_core.models import LatentModel
from vae_core.models.quantised import QuantisedModel
from vae_core.runs import Run


def keep(run: Run, name: str, tensors: dict[str, Tensor], step: int, version: int = 1) -> None:
    """Keep the prior called `name`, fitted to the encodings that the run has of `step`, where it
    can be kept.

    Args:
        version: of the way in which it is fitted.
    """
    contiguous = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    derived.keep(run, _file(name), save(contiguous, _stamp(run, str(step), version)))


def kept(run: Run, name: str, version: int = 1) -> dict[str, Tensor] | None:
    """What `keep` wrote for the encodings that the run has now, fitted in the way of `version`;
    None where there is nothing."""
    step = encoded_step(run)
    if step is None:
        return None
    wanted = _stamp(run, str(step), version)
    for path in derived.derived_files(run, _file(name)):
        try:
            with safe_open(path, "pt") as file:
                # Earlier versions kept neither the version nor which encodings it was fitted to.
                if wanted != {"version": "1", "of": wanted["of"]} | (file.metadata() or {}):
                    continue
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError):
            continue  # a cache: whoever asks fits it again or says that it is missing
    return None


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


def _stamp(run: Run, step: str, version: int) -> dict[str, str]:
    of = derived.fingerprint(run.file(ENCODINGS))
    return {"step": step, "version": str(version), "of": of}


def _file(name: str) -> str:
    return f"prior-{name}.safetensors"
