"""The few models that the server keeps loaded, and what it asks of them."""

from __future__ import annotations

import functools
import gc
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from latent_workbench.live.cache import RunCache
from vae_core.runs import WEIGHTS, Run

if TYPE_CHECKING:
    from vae_core.models import LatentModel


@functools.cache
def ready_torch() -> Any:
    """The torch module, told to use one thread.

    Imported on first use, since it takes seconds and the first page does not need it. With two
    threads on a busy two-core machine a decode of 0.4 ms takes 64 ms.
    """
    import torch

    torch.set_num_threads(1)
    return torch


def decode_pixels(model: LatentModel, vectors: np.ndarray) -> np.ndarray:
    """Latent vectors, float32 [n, D], as pictures, uint8 [n, H, W, C]; for a model with a dial each
    vector says behind its latents where that is turned to, [n, D + 1]."""
    ready_torch()
    from vae_core.latent.grids import decode_vectors

    dial = None if model.dial is None else vectors[:, model.latent_size]
    latents = vectors[:, : model.latent_size]
    return decode_vectors(model, latents, dial=dial).transpose(0, 2, 3, 1)


def conditioned(model: LatentModel, label: int) -> LatentModel:
    """A conditional model as it is for images of `label`; −1 is unknown."""
    return model.conditioned(ready_torch().tensor([label], device=model.device))


def encode_pixels(model: LatentModel, pixels: np.ndarray, dial: float | None = None) -> np.ndarray:
    """The posterior means of pictures, uint8 [n, C, H, W], flattened: float32 [n, D]; of a model
    with a dial at this value of it."""
    torch = ready_torch()
    from vae_core.data.batches import as_floats

    with torch.inference_mode():
        posterior = model.dialled(dial).encode(as_floats(np.array(pixels), model.device))
        return model.flatten(posterior.mode()).float().cpu().numpy()


def draw_prior(model: LatentModel, seed: int | None = None, temperature: float = 1.0) -> np.ndarray:
    """One draw z ~ p(z) at `temperature`, flattened: float32 [D]."""
    torch = ready_torch()
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    with torch.inference_mode():
        return model.flatten(model.sample_prior(1, generator, temperature))[0].float().numpy()


def load_model(run: Run) -> LatentModel:
    """The run's model in eval mode, its decoder folded: see `vae_core.models.folded`.

    In channels-last memory oneDNN does not have to rearrange what it computes for each picture.

    Raises:
        UserError: when the run has no weights yet or is damaged, or its training diverged.
    """
    torch = ready_torch()
    from vae_core.loading import load_run
    from vae_core.models.folded import fold

    model = load_run(run).sound().model.to(memory_format=torch.channels_last)
    fold(model)
    return model


def weights_version(run: Run) -> int | None:
    """Changes whenever the run's weights are written; None while there are none."""
    return run.version(WEIGHTS)


class ModelCache(RunCache["LatentModel"]):
    """The models used last, each keyed by its run and the version of its weights."""

    def __init__(self, load: Callable[[Run], LatentModel] = load_model, size: int = 4) -> None:
        super().__init__(load, WEIGHTS, size)


MODELS = ModelCache()
"""Shared by the live decoder and the pages, which run in the same process."""


WARM_UP_AFTER_S = 3.0
"""How long the import of torch leaves Python to the first page, unless a picture waits for it."""

_wanted = threading.Event()


def _import_engine() -> None:
    _wanted.wait(WARM_UP_AFTER_S)
    ready_torch()
    import vae_core.latent.directions
    import vae_core.latent.encodings
    import vae_core.loading  # noqa: F401

    # The half million objects of these libraries stay. Looking through them for garbage held
    # the whole server up for 240 to 290 ms each time; without them it takes 36.
    gc.freeze()


_importing = threading.Thread(target=_import_engine, name="warm-up", daemon=True)


def warm_up() -> None:
    """Import torch in the background, so that the first picture waits for less.

    It begins when the server has started and nobody came at once, or when a page asks for it:
    importing holds Python, and whoever opens the app at its start would wait for his first page.
    """
    if _importing.ident is None:
        _importing.start()


def is_warming_up() -> bool:
    """True from `warm_up` until it is done; what goes wrong in it, the page that needs it will
    tell."""
    return _importing.is_alive()


def wait_until_warm() -> None:
    """Have a warm-up done now that would begin later; returns when it is, or after a minute."""
    _wanted.set()
    _importing.join(60.0)
