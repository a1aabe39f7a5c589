"""The regularised autoencoder on MNIST."""

from __future__ import annotations

from vae_core.reproduce.reproduction import Figure, Reproduction, reproductions

reproductions.add(
    Reproduction(
        name="rae-l2",
        label="RAE-L2 on MNIST",
        blurb="How near samples of a mixture over its codes come to the test images.",
        paper="Ghosh et al., From Variational to Deterministic Autoencoders (2020), table 1",
        order=70,
        figures=(Figure("fid", "FID of a mixture of ten", 9.9, "FID, Inception features"),),
        preset="mnist-ae",
        protocol=(
            "MNIST at 32×32; four convolutions, 16 codes; squared error, a quadratic cost on codes "
            "and weight decay on the decoder; a mixture of ten Gaussians is fitted to the codes."
        ),
        lacks="the family and the FID with Inception's features are not part of this version.",
    )
)
