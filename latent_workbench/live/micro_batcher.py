"""Pictures that several clients ask of one model at the same moment, decoded in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from vae_core.models import LatentModel


class MicroBatcher:
    """Gathers vectors for one turn of the event loop, then decodes those of each model at once.

    One picture pays for the way through all layers, and sixteen pay hardly more: the shipped MNIST
    model takes 1.3 ms for one and 3.5 ms for sixteen. Who is alone waits for one turn, 0.02 ms.
    """

    def __init__(self, decode: Callable[[LatentModel, np.ndarray], Awaitable[np.ndarray]]) -> None:
        self._decode = decode
        self._waiting: dict[LatentModel, list[tuple[np.ndarray, asyncio.Future[np.ndarray]]]] = {}
        self._answering: set[asyncio.Task[None]] = set()  # the loop itself holds tasks weakly

    async def decode(self, model: LatentModel, vectors: np.ndarray) -> np.ndarray:
        """The pictures of latent vectors [n, D]: uint8 [n, H, W, C]."""
        future: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        if model not in self._waiting:
            self._waiting[model] = []
            task = asyncio.create_task(self._answer(model))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        self._waiting[model].append((vectors, future))
        return await future

    async def _answer(self, model: LatentModel) -> None:
        batch = self._waiting.pop(model)
        ends = np.cumsum([len(vectors) for vectors, _ in batch])
        try:
            pixels = await self._decode(model, np.concatenate([vectors for vectors, _ in batch]))
        except Exception as error:  # each of those who asked is told
            for _, future in batch:
                if not future.cancelled():
                    future.set_exception(error)
            return
        for (_, future), part in zip(batch, np.split(pixels, ends[:-1]), strict=True):
            if not future.cancelled():  # else its client has left
                future.set_result(part)
