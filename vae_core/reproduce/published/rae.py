"""The regularised autoencoder on MNIST."""

from __future__ import annotations

import math

from vae_core.latent.priors.gaussian_mixture import NAME
from vae_core.reproduce.measures import Frechet
from vae_core.reproduce.reproduction import Figure, Reproduction, reproductions

SIDE, CODES = 32, 16
VALUES = SIDE * SIDE
PICTURES = 10_000

# The authors' loss is a mean over values, ours in nats the sum over them: σ² = ½ makes a nat of a
# squared error, and their weights grow by as much.
OF_CODES, OF_WEIGHTS = 1e-4, 1e-7
BETA = 2 * OF_CODES * VALUES / CODES
EPSILON = 1e-7 * VALUES

reproductions.add(
    Reproduction(
        name="rae-l2",
        label="RAE-L2 on MNIST",
        blurb="How near samples of a mixture over its codes come to the test images.",
        paper=(
            "Ghosh et al., From Variational to Deterministic Autoencoders (2020), as pythae's "
            "table of what it reproduces quotes the authors' code, and has 9.1 itself; that code "
            "notes 8.69 beside its settings"
        ),
        order=70,
        figures=(
            Figure("fid", "FID of a mixture of ten", 9.9, "FID, Inception features"),
            Figure("fid_here", "FID by features of our own", None, "FID, a classifier taught here"),
        ),
        preset="mnist-ae",
        settings={
            "family": "rae",
            "data": {"image_size": SIDE},
            "model": {
                "backbone": "conv-bn",
                "latent_dim": CODES,
                "likelihood": "gaussian",
                "sigma": math.sqrt(0.5),
                "options": {"channels": (128, 256, 512, 1024)},
            },
            "objective": {"beta": BETA, "weight": OF_WEIGHTS * VALUES},
            "train": {
                "epochs": 100,
                "batch_size": 100,
                "learning_rate": 5e-4,
                "adam_epsilon": EPSILON,
            },
        },
        protocol=(
            "MNIST at 32×32; four normalised convolutions of 128 to 1024 maps, 16 codes; squared "
            f"error of a value + {OF_CODES:g} · the codes' + {OF_WEIGHTS:g} · ‖θ‖² of the "
            "decoder's kernels; Adam at 0.0005, batches of 100, 100 passes. A mixture of ten "
            f"Gaussians is fitted to the codes, {PICTURES} samples are held against the test "
            "images."
        ),
        departs=(
            "Convolutions of kernel 3 and a decoder that mirrors the encoder; its penalty takes in "
            "all weights; the learning rate falls along a cosine to 0. Against 5000 test images. "
            "Inception's features are taken where its weights are on the machine."
        ),
        measure=Frechet(NAME, PICTURES),
    )
)
