"""Features of Inception, by which papers compare pictures: where its weights are at hand."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from vae_core.data.dataset import Dataset
from vae_core.errors import UserError
from vae_core.extras import extra
from vae_core.locations import data_folder
from vae_core.metrics.quality.features.kind import Features, feature_kinds, require_channels
from vae_core.progress import Progress, no_progress

NAME = "inception"
SIZE = 2048
WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
"""As torch-fidelity and torchmetrics call them; the digits are how its SHA-256 begins."""


class Inception(nn.Module):
    """Images uint8 [B, 1 or 3, H, W] → the 2048 values before Inception's last layer."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, images: Tensor) -> Tensor:
        return self.extractor(images.expand(-1, 3, -1, -1))[0]


@feature_kinds.register(
    NAME,
    label="Inception",
    blurb="The features of most papers' FID, of photographs in colour. Needs weights of 91 MB, "
    "which are not downloaded from here.",
    paper="Szegedy et al., Rethinking the Inception Architecture (2016); as of Heusel et al. 2017",
    order=2,
    automatic=False,
)
def inception_features(dataset: Dataset, progress: Progress = no_progress) -> Features:
    """torch-fidelity's Inception, with TensorFlow's weights of 2015, which FID is defined by.

    Raises:
        UserError: when torch-fidelity or the weights are not there, or these are others.
    """
    require_channels(dataset.image_shape[0], "Inception")
    name = "torch_fidelity.feature_extractor_inceptionv3"
    module = extra(name, "inception", "Comparing pictures by Inception's features")
    path = weights_at_hand()
    progress("Reading Inception's weights", None)
    known = WEIGHTS.removesuffix(".pth").rpartition("-")[2]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digest.startswith(known):
        raise UserError(
            f"{path} is damaged or holds something else: its SHA-256 begins with "
            f"{digest[: len(known)]} and should with {known}. Put the weights there again."
        )
    extractor = module.FeatureExtractorInceptionV3(NAME, [str(SIZE)], str(path))
    said = (
        f"{SIZE} features of Inception, which was taught photographs in colour (torch-fidelity, "
        f"weights {known}); figures can be held against those of papers for as many images."
    )
    return Features(NAME, said, SIZE, known, Inception(extractor))


def weights_at_hand() -> Path:
    """The file of the weights: where torch keeps what it has downloaded, or in the data folder.

    Raises:
        UserError: when it is in neither.
    """
    places = (Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS, data_folder() / WEIGHTS)
    for path in places:
        if path.is_file():
            return path
    raise UserError(
        f"Inception's weights are not on this machine, and nothing is downloaded for you: put "
        f"{WEIGHTS}, of torch-fidelity's releases, into {places[1].parent}, or choose other "
        "features."
    )
