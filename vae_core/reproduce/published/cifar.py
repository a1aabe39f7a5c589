"""The curve of a notebook's VAE on CIFAR-10."""

from __future__ import annotations

from vae_core.reproduce.measures import squared_errors_after
from vae_core.reproduce.reproduction import Figure, Reproduction, reproductions

reproductions.add(
    Reproduction(
        name="cifar-vae",
        label="CIFAR notebook's curve",
        blurb="Reconstruction after one and after five passes over CIFAR-10.",
        paper="A notebook on CIFAR-10, its printed losses",
        order=20,
        figures=(
            Figure("mse_after_1", "recon after pass 1", 0.0080, "squared error of a value"),
            Figure("mse_after_5", "recon after pass 5", 0.0054, "squared error of a value"),
        ),
        preset="cifar-vae",
        settings={"train": {"epochs": 5}},
        protocol=(
            "CIFAR-10 on [0, 1]; convolutions of 96, 192 and 384 maps with batch normalisation, "
            "128 latents; AdamW at 0.001 with weight decay 0.00001, batches of 32, gradients "
            "clipped at 1; loss mse.mean() + 0.001·kl.mean(). recon is its first term."
        ),
        departs="Ours is of 1000 validation images at the end of a pass, with drawn codes.",
        measure=squared_errors_after(1, 5),
    )
)
