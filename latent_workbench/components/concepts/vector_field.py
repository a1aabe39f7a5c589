"""Figure 10: what denoising, sparse and contractive autoencoders learn, as a field of arrows."""

from __future__ import annotations

from latent_workbench.components.concepts import Data, concepts
from vae_core.runs import Run


@concepts.register(
    "vector-field",
    label="Denoising, sparse, contractive",
    blurb="An autoencoder that may copy learns to copy, so something has to stand in its way: "
    "noise to undo, a code that costs, or a map that must not follow every direction. Each arrow "
    "goes from a point to its reconstruction, and leads back to where the data lie. Choose the "
    "loss, watch the network learn in your browser, and drag the dot through the field.",
    formula=r"r(x)-x\;\approx\;\sigma^2\,\nabla_x\log p(x)",
    question="Where are the arrows of the denoising autoencoder zero, and what does that mean?",
    answer="On the data, where log p(x) is highest across the curve, and halfway between two parts "
    "of it, where the slopes cancel: that is a ridge and a valley of the density. The field of a "
    "denoiser is the score, and following it step by step, with fresh noise, draws samples: this "
    "is how diffusion models work.",
    page="train",
    look="Train has these families too, for images: denoising, sparse and contractive "
    "autoencoders.",
    paper="Alain and Bengio, What Regularized Auto-Encoders Learn from the Data (2014)",
    order=10,
)
def data(run: Run | None) -> Data:
    """Nothing of a run: its points are drawn in the browser."""
    return {}
