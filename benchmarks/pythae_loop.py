"""A rival of the training benchmark: pythae's trainer, with the same network and the same loss.

Its β-VAE around the network in PyTorch's own layers; its data set in memory, as floats that are
normalised already; an evaluation at the end of each epoch; everything else as it is by default,
settings of the process included.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import BetaVAE, BetaVAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor

from benchmarks.twins import Twin
from benchmarks.workloads import PARTS, config_of, part_of, published_of
from vae_core.config import RunConfig

OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW"}


class Encoder(BaseEncoder):
    """The half of a network that encodes, as pythae wants it."""

    def __init__(self, twin: Twin) -> None:
        super().__init__()
        self.encoder, self.mu, self.logvar = twin.encoder, twin.mu, twin.logvar
        self.twin = (twin,)  # not registered a second time

    def forward(self, x: Tensor) -> ModelOutput:
        mu, logvar = self.twin[0].encode(x)
        return ModelOutput(embedding=mu, log_covariance=logvar)


class Decoder(BaseDecoder):
    """The half that decodes."""

    def __init__(self, twin: Twin) -> None:
        super().__init__()
        self.decoder, self.picture = twin.decoder, twin.picture

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.picture(self.decoder(z)))


def nats_ratio(config: RunConfig, twin: Twin) -> float:
    """What our loss is times pythae's, a constant apart: its Gaussian has σ = 1 on the pixels that
    the network sees, and leaves out the constant."""
    return float((twin.std / config.model.sigma) ** 2)


def wrapped(config: RunConfig, twin: Twin, shape: tuple[int, ...]) -> BetaVAE:
    """pythae's model around a network: images `shape` (C, H, W), likelihood and β as in ours."""
    peer = BetaVAEConfig(
        input_dim=shape,
        latent_dim=config.model.latent_dim,
        reconstruction_loss="mse",
        beta=config.objective["beta"] / nats_ratio(config, twin),
    )
    return BetaVAE(peer, encoder=Encoder(twin), decoder=Decoder(twin))


def train(folder: Path, place: Path) -> dict[str, Any]:
    """Train, recording into `place`; the seconds from first step to last record."""
    config = config_of(folder)
    torch.manual_seed(config.train.seed)
    twin = published_of(config).make()

    def dataset(name: str) -> BaseDataset:
        x = twin.seen(torch.from_numpy(part_of(folder, name)).float() / 255)
        return BaseDataset(x, torch.zeros(len(x)))

    training, validation = map(dataset, PARTS)
    train = config.train
    optimizer: dict[str, Any] = {
        "betas": train.adam_betas,
        "eps": train.adam_epsilon / nats_ratio(config, twin),
        "weight_decay": train.weight_decay,
    }
    trainer = BaseTrainer(
        wrapped(config, twin, tuple(training.data.shape[1:])),
        training,
        validation,
        BaseTrainerConfig(
            output_dir=str(place),
            num_epochs=train.epochs,
            learning_rate=train.learning_rate,
            per_device_train_batch_size=train.batch_size,
            per_device_eval_batch_size=train.batch_size,
            optimizer_cls=OPTIMIZERS[train.optimizer],
            optimizer_params=optimizer,
            no_cuda=train.device == "cpu",
        ),
    )
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "images": train.epochs * len(training)}


if __name__ == "__main__":
    print(json.dumps(train(Path(sys.argv[1]), Path(sys.argv[2]))))
