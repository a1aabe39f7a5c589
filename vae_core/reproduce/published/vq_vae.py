"""Bits per dimension of a vector-quantised autoencoder."""

from __future__ import annotations

from vae_core.reproduce.measures import code_length
from vae_core.reproduce.reproduction import Figure, Reproduction, reproductions

reproductions.add(
    Reproduction(
        name="vq-vae-cifar",
        label="VQ-VAE on CIFAR-10",
        blurb="What a value of a picture costs: its codes by a prior, the rest by p(x|z).",
        paper=(
            "van den Oord, Vinyals and Kavukcuoglu, Neural Discrete Representation Learning (2017),"
            " section 4.1"
        ),
        order=80,
        figures=(Figure("bits", "Bits per dimension", 4.67, "bits per value"),),
        preset="cifar-vae",
        settings={
            "family": "vq-vae",
            "data": {"validation_fraction": 0.05},
            "model": {
                "backbone": "resnet",
                "latent_dim": 256,
                "likelihood": "discretised-logistic",
                "options": {"channels": (256, 256), "blocks": 2},
            },
            "objective": {"codes": 512, "halvings": 2},
            "train": {
                "epochs": 640,
                "batch_size": 128,
                "optimizer": "adam",
                "learning_rate": 2e-4,
                "weight_decay": 0.0,
                "gradient_clip": None,
                "adam_epsilon": 1e-8,
            },
        },
        protocol=(
            "CIFAR-10; two convolutions of stride 2 and two residual blocks of 256 maps, 8×8 codes "
            "out of 512; Adam at 0.0002, batches of 128, 250 000 steps; the bound on −log p(x) of "
            "the test images."
        ),
        departs=(
            "Residual stages of this product; values are discretised logistics; the codebook "
            "follows running means; codes are priced by an autoregressive prior that is learned "
            "of encodings."
        ),
        measure=code_length,
    )
)
