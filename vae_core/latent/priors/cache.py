"""Priors that were fitted to the encodings of a run, cached."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vae_core.latent.encodings import encoded_step, load_encodings
from vae_core.models import QuantisedModel
from vae_core.runs import Run, Tensors, derived, layout


def save_prior(
    run: Run, name: str, tensors: dict[str, Tensor], step: int, version: int = 1
) -> None:
    """Cache the prior called `name`, fitted to the encodings that the run has of `step`, where that
    can be done; `version` is that of the way in which it is fitted."""
    arrays = {key: tensor.detach().cpu().numpy() for key, tensor in tensors.items()}
    derived.keep(run, layout.prior(name), arrays, _made_of(run, step, version))


def load_prior(
    run: Run,
    name: str,
    version: int = 1,
    fits: Callable[[dict[str, Tensor]], bool] = lambda tensors: True,
) -> dict[str, Tensor] | None:
    """What `save_prior` wrote for the encodings that the run has now, of this `version`; None where
    there is nothing, or nothing that `fits` takes for the tensors of such a prior."""
    step = encoded_step(run)
    if step is None:
        return None
    made_of = _made_of(run, step, version)

    def read(file: Tensors) -> dict[str, Tensor] | None:
        # Earlier versions kept neither the version nor which encodings it was fitted to.
        if made_of != {"version": "1", "of": made_of["of"]} | file.metadata:
            return None
        tensors = {
            key: torch.from_numpy(file.array(key, spec.dtype, spec.shape))
            for key, spec in file.specs.items()
        }
        return tensors if fits(tensors) else None

    return derived.find(run, layout.prior(name), read)


def are_codes(vocabulary: Tensor, model: QuantisedModel) -> bool:
    """Whether `vocabulary` [V] holds numbers of the model's codes."""
    within = 0 <= int(vocabulary.min()) <= int(vocabulary.max()) < model.quantiser.codes
    return vocabulary.dtype == torch.int64 and vocabulary.ndim == 1 and within


def encoded_codes(run: Run, model: QuantisedModel) -> tuple[Tensor, int]:
    """The codes of the run's encodings, int64 [N, h, w], and the step that encoded them; raises as
    `load_encodings`."""
    encodings = load_encodings(run)
    with torch.inference_mode():
        parts = model.unflatten(torch.from_numpy(encodings.mu)).split(512)
        codes = [model.quantiser.indices(part.to(model.device)).cpu() for part in parts]
    return torch.cat(codes), encodings.step


def _made_of(run: Run, step: int, version: int) -> dict[str, str]:
    of = derived.fingerprint(run, layout.ENCODINGS)
    return {"step": str(step), "version": str(version), "of": of}
