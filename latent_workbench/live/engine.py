"""What the live routes share: loaded models and regions, and threads for what takes long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from latent_workbench.live.cache import RunCache
from latent_workbench.live.micro_batcher import MicroBatcher
from latent_workbench.live.models import (
    MODELS,
    ModelCache,
    conditioned,
    decode_pixels,
    draw_prior,
    encode_pixels,
    ready_torch,
    weights_version,
)
from latent_workbench.live.protocol import Encoding, Location, Random, Request
from vae_core.errors import UserError
from vae_core.runs import Run, Store, layout

if TYPE_CHECKING:
    from vae_core.latent.region import Region
    from vae_core.models import LatentModel
    from vae_core.models.posterior import GaussianMixture

T = TypeVar("T")

ENCODINGS = layout.ENCODINGS

INLINE_S = 0.002
"""Seconds up to which a decode stays on the event loop: then it costs less than handing it to a
thread, which has to wait for the interpreter lock."""

INLINE_NUMBERS = 500_000
"""Numbers among the encodings up to which a vector is located on the event loop (below 1 ms)."""


class Engine:
    """From a run's name and a request to arrays, without ever holding up the event loop."""

    def __init__(self, models: ModelCache = MODELS) -> None:
        self.models = models
        self.regions: RunCache[Region] = RunCache(load_region, ENCODINGS, 4)
        self.images: RunCache[np.ndarray] = RunCache(load_images, ENCODINGS, 4)
        self._decoders = ThreadPoolExecutor(2, "live-decode")
        # What takes seconds has a thread of its own, so that somebody's animation does not stop
        # the picture under somebody's hand.
        self._long = ThreadPoolExecutor(1, "live-long")
        self._batcher = MicroBatcher(self._decode_now)
        self._views: WeakKeyDictionary[LatentModel, dict[int, LatentModel]] = WeakKeyDictionary()
        # Of a learned prior it takes a pass through the encoder.
        self._priors: WeakKeyDictionary[LatentModel, GaussianMixture | None] = WeakKeyDictionary()
        self._seconds: WeakKeyDictionary[LatentModel, dict[int, float]] = WeakKeyDictionary()

    async def model(self, run: Run, label: int | None = None) -> LatentModel:
        """The run's model as it is now, told `label` where it is conditional.

        Raises:
            UserError: when the run has no weights, is damaged, or knows no such label.
        """
        if weights_version(run) is None:
            raise UserError(f"Run {run.id!r} has no weights to decode with.")
        known = self.models.peek(run)
        model = known if known is not None else await self.in_decoder_thread(self.models.get, run)
        if label is None:
            return model
        if not -1 <= label < model.labels:
            raise UserError(f"Run {run.id!r} knows {model.labels} labels; {label} is none of them.")
        # Kept, because `decode` knows models by identity.
        views = self._views.setdefault(model, {})
        if label not in views:
            views[label] = conditioned(model, label)
        return views[label]

    async def decode(self, model: LatentModel, vectors: np.ndarray) -> np.ndarray:
        """The pictures of latent vectors [n, D]: uint8 [n, H, W, C]."""
        if len(vectors) == 1:  # under somebody's hand
            return await self._batcher.decode(model, vectors)
        return await self._decode_now(model, vectors)

    async def _decode_now(self, model: LatentModel, vectors: np.ndarray) -> np.ndarray:
        known = self._seconds.get(model, {}).get(len(vectors))
        if known is not None and known <= INLINE_S:
            return self._decode(model, vectors)
        return await self.in_decoder_thread(self._decode, model, vectors)

    async def locate(self, run: Run, model: LatentModel, request: Request) -> Location | None:
        """Where the first vector lies; None where it was not asked for or nothing is known."""
        if not request.nearest:
            return None
        z = request.vectors[0][: model.latent_size]
        try:
            region = await self.region(run)
        except UserError:  # a picture without its surroundings is better than none
            return None
        if region.mu.shape[1] != len(z):
            return None
        if model not in self._priors:
            self._priors[model] = await self.in_decoder_thread(model.prior)
        density = self._priors[model]
        known = region.mu.size + (0 if density is None else density.mu.numel())
        if known <= INLINE_NUMBERS:
            return locate(region, density, z, request.nearest)
        return await self.in_decoder_thread(locate, region, density, z, request.nearest)

    async def region(self, run: Run) -> Region:
        """The region that the run's encodings fill.

        Raises:
            UserError: when there are none or they are damaged.
        """
        known = self.regions.peek(run)
        return known if known is not None else await self.in_decoder_thread(self.regions.get, run)

    async def vector(self, run: Run, asked: Random | Encoding) -> np.ndarray:
        """The latent vector [D] that a text request asks for.

        Raises:
            UserError: when the run cannot give it.
        """
        if isinstance(asked, Random):
            model = await self.model(run)
            return await self.in_decoder_thread(draw_prior, model, asked.seed, asked.temperature)
        region = await self.region(run)
        if asked.index >= len(region.mu):
            raise UserError(f"Run {run.id!r} has {len(region.mu)} encodings, counted from 0.")
        if asked.dial is None:
            return region.mu[asked.index]
        encode = self._encoded_at
        return await self.in_decoder_thread(encode, run, await self.model(run), asked)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do what may take seconds, after what others asked for."""
        return await asyncio.get_running_loop().run_in_executor(self._long, work)

    async def in_decoder_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do what may take some milliseconds, beside what takes seconds."""
        return await asyncio.get_running_loop().run_in_executor(self._decoders, work, *arguments)

    def _encoded_at(self, run: Run, model: LatentModel, asked: Encoding) -> np.ndarray:
        """The posterior mean [D] of an encoded image with the model's dial turned; as usual where
        the run keeps no image in full."""
        images = self.images.get(run)
        if not len(images) or model.dial is None or asked.dial is None:
            return self.regions.get(run).mu[asked.index]
        model.dial.require(asked.dial)
        return encode_pixels(model, images[asked.index][None], asked.dial)[0]

    def _decode(self, model: LatentModel, vectors: np.ndarray) -> np.ndarray:
        """As `decode`, and remembers the shortest time that it took for so many vectors.

        The shortest, because a busy machine makes anything take longer, and nothing makes it take
        less. Weights would be no measure: convolutions use each of them at every pixel.
        """
        started = time.perf_counter()
        pixels = decode_pixels(model, vectors)
        seconds = time.perf_counter() - started
        times = self._seconds.setdefault(model, {})
        times[len(vectors)] = min(seconds, times.get(len(vectors), seconds))
        return pixels


def load_region(run: Run) -> Region:
    """The region that the run's cached encodings fill.

    Raises:
        UserError: when they are damaged, or the model diverged and they are not finite.
    """
    ready_torch()
    from vae_core.latent.encodings import load_encodings
    from vae_core.latent.region import Region

    encodings = load_encodings(run)
    if not np.isfinite(encodings.mu).all():
        raise UserError(f"The encodings of run {run.id!r} are not finite.")
    return Region(encodings.mu, encodings.logvar)


def load_images(run: Run) -> np.ndarray:
    """The images whose encodings the run keeps, uint8 [N, C, H, W]; none where it keeps them
    smaller than they are.

    Raises:
        UserError: when they are damaged.
    """
    ready_torch()
    from vae_core.latent.encodings import load_encodings

    kept = load_encodings(run)
    whole = kept.as_images(run.data_card().image_shape) is not None
    return kept.thumbnails if whole else kept.thumbnails[:0]


def locate(
    region: Region, density: GaussianMixture | None, z: np.ndarray, nearest: int
) -> Location:
    """Where z [D] lies in `region` and under the prior, and the `nearest` encodings beside it."""
    one, log_density = z.astype(np.float64), float("nan")
    with np.errstate(over="ignore", invalid="ignore"):  # a vector may lie as far out as floats go
        if density is not None:
            log_density = float(density.log_prob(ready_torch().from_numpy(one)[None])[0])
        return Location(region.place(one), log_density, *region.nearest(z, nearest))


def run_called(name: str) -> Run:
    """The run of the store that a request names.

    Raises:
        UserError: when there is none.
    """
    return Store().get(name)


ENGINE = Engine()
"""The one that the app's routes share."""
