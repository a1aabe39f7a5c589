"""The autoencoder and the VAE of a well-known course, on MNIST."""

from __future__ import annotations

from vae_core.reproduce.measures import errors_in_units_of_sigma, together, weights
from vae_core.reproduce.reproduction import Figure, Reproduction, reproductions

PRINTED = {"course-ae": 421_413, "course-vae": 422_058}
PROTOCOL = (
    "MNIST, pixels normalised by 0.1307 and 0.3081; two convolutions of 16 and 32 maps, 128 hidden "
    "units, 5 codes; Adam (betas 0.5 and 0.999) at 0.001, batches of 512, 10 passes. Loss: {loss}"
)

for number, (name, loss) in enumerate(
    {
        "course-ae": "mse.mean().",
        "course-vae": "mse.mean() + 0.1·kl.mean().",
    }.items()
):
    reproductions.add(
        Reproduction(
            name=name,
            label="Course autoencoder" if number == 0 else "Course VAE",
            blurb="Ten passes over MNIST, measured on its test images.",
            paper="A well-known course, which prints the number of weights",
            order=10 + number,
            figures=(
                Figure("weights", "Weights", PRINTED[name], "weights"),
                Figure("mse", "Squared error of normalised pixels", None, "mean over pixels"),
                *(
                    [Figure("kl", "KL of a dimension", None, "nats, mean over dimensions")]
                    if number
                    else []
                ),
            ),
            preset=name,
            protocol=PROTOCOL.format(loss=loss),
            departs="3000 of the training images are kept aside; test images are measured once.",
            measure=together(weights, errors_in_units_of_sigma),
        )
    )
