"""The vector-quantised autoencoder: a picture as a small table of learned codes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional

from vae_core.config import ModelConfig
from vae_core.data.transfer import on_device
from vae_core.families.codes import CODES, QuantisedObjective, quantised
from vae_core.families.family import Built, Quantity, families, need_whole_batches
from vae_core.families.networks import MapOptions
from vae_core.models import Likelihood, Output, QuantisedPosterior, Quantiser
from vae_core.objective import MODEL
from vae_core.runs import DataCard
from vae_core.settings import setting
from vae_core.shares import gathered
from vae_core.types import Context, Losses, Term


class VqVaeOptions(MapOptions):
    """The codebook, how the encoder is held to it, and where the codes lie."""

    codes: int = setting(
        256, "Codes", "Size of the codebook; more keep more detail.", ge=2, le=65_536
    )
    commitment: float = setting(
        0.25,
        "Commitment β",
        "How strongly encodings are drawn to their code; too little lets them run away.",
        more=True,
        ge=0,
        le=1e4,
    )
    decay: float = setting(
        0.97,
        "Codebook memory γ",
        "Share of its running mean that a code keeps at every step.",
        more=True,
        ge=0,
        le=0.9999,
    )
    restart: float = setting(
        0.1,
        "Restart below",
        "Codes used less than this share of an even use are put onto a fresh encoding; 0 never.",
        more=True,
        ge=0,
        le=0.9,
    )

    def code_count(self, latent_dim: int) -> int:
        """How many codes there are, K."""
        return self.codes


class VqVaeObjective(QuantisedObjective):
    """−log p(x|z) + places · log K + β · |z_e − sg(e)|².

    Source: van den Oord, Vinyals and Kavukcuoglu, Neural Discrete Representation Learning (2017),
    equation 3; the codebook's own term is replaced by running means, appendix A.1.
    """

    def __init__(self, likelihood: Likelihood, options: VqVaeOptions) -> None:
        super().__init__(likelihood, options.codes)
        self.commitment = options.commitment

    def controls(self, context: Context) -> dict[str, float]:
        return {"commitment": context.overrides.get("commitment", self.commitment)}

    def losses(self, x: Tensor, output: Output[QuantisedPosterior], context: Context) -> Losses:
        losses = super().losses(x, output, context)
        continuous, z = output.posterior.continuous, output.posterior.z.detach()
        distance = (continuous - z).square().flatten(1).sum(1)
        losses[MODEL]["commitment"] = Term(distance, self.controls(context)["commitment"])
        return losses


class VectorQuantiser(Quantiser):
    """K vectors, each the running mean of the encodings that it stood for.

    It has no weights: `follow` moves it after every batch. What nothing has come near for a while
    is put onto an encoding of the batch, and so is the whole codebook at the first batch. Without
    restarts most codes are left behind while the encoder finds its scale in the first steps.

    Source: van den Oord, Vinyals and Kavukcuoglu, Neural Discrete Representation Learning (2017),
    equations 1 and 2 and appendix A.1; restarts: Zeghidour et al., SoundStream (2021), section
    III-C.
    """

    codebook: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, codes: int, dim: int, decay: float, restart: float) -> None:
        """`restart`: the share of an even use below which a code is put elsewhere."""
        super().__init__()
        self.codes, self.dim = codes, dim
        self.decay, self.restart = decay, restart
        self.register_buffer("codebook", torch.randn(codes, dim))
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, dim))
        self._begun = False
        """Known to have begun: the host then need not ask the device. A state may be of before."""
        self.register_load_state_dict_post_hook(VectorQuantiser._forget)

    def indices(self, z: Tensor) -> Tensor:
        """argminₖ |z − eₖ|, found as argmaxₖ z·eₖ − ½|eₖ|²; [B, dim, h, w] → int64 [B, h, w]."""
        half_norms = 0.5 * self.codebook.square().sum(1)
        scores = z.permute(0, 2, 3, 1) @ self.codebook.T - half_norms
        return scores.argmax(3)

    def vectors(self, indices: Tensor) -> Tensor:
        """[B, h, w] → [B, dim, h, w]."""
        return functional.embedding(indices, self.codebook).permute(0, 3, 1, 2)

    @torch.no_grad()
    def start(self, z: Tensor) -> None:
        """Put the codebook onto encodings z [B, dim, h, w], where it has not begun yet."""
        # Only what a step began with counts: what it does itself may be taken back.
        self._begun = self._begun or bool(self.counts.any())
        if not self._begun:
            rows = _rows(gathered(z))
            chosen = torch.randperm(len(rows))[torch.arange(self.codes) % len(rows)]
            everywhere = torch.ones_like(self.counts, dtype=torch.bool)
            self._put(everywhere, rows[chosen.to(z.device)], rows)

    @torch.no_grad()
    def follow(self, z: Tensor, indices: Tensor) -> None:
        """Move every code towards the mean of the encodings z [B, dim, h, w] it stood for:
        N ← γN + (1−γ)n, m ← γm + (1−γ)Σz, e = m/N (appendix A.1, equations 6 to 8)."""
        rows, chosen = _rows(gathered(z)), gathered(indices).flatten()
        used = torch.zeros_like(self.counts).index_add_(0, chosen, torch.ones_like(rows[:, 0]))
        near = torch.zeros_like(self.sums).index_add_(0, chosen, rows)
        self.counts.lerp_(used, 1 - self.decay)
        self.sums.lerp_(near, 1 - self.decay)
        known = self.counts > 1e-6  # what nothing came near for ever keeps its place
        means = self.sums / self.counts[:, None]
        self.codebook.copy_(torch.where(known[:, None], means, self.codebook))
        dead = self.counts < self.restart * len(rows) / self.codes
        fresh = on_device(torch.randperm(len(rows)), z.device)
        turn = dead.cumsum(0) - 1  # the first of the dead gets the first of the fresh, and so on
        vectors = rows[fresh[turn.clamp(0, len(rows) - 1)]]
        self._put(dead & (turn < len(rows)), vectors, rows)

    def draw(
        self, shape: tuple[int, ...], generator: Generator | None, temperature: float
    ) -> Tensor:
        """Each as often as it was used lately, the shares to the power of 1/temperature."""
        counts = self.counts if self.counts.any() else torch.ones_like(self.counts)
        shares = (counts / counts.max()) ** (1 / temperature)
        total = torch.Size(shape).numel()
        return torch.multinomial(shares, total, True, generator=generator).view(shape)

    def _put(self, which: Tensor, vectors: Tensor, rows: Tensor) -> None:
        """Some codes, `which` bool [codes], onto theirs of vectors [codes, dim], with the count of
        an even use. Masks have one shape whatever they hold: nobody has to wait for it."""
        even = len(rows) / self.codes
        self.codebook.copy_(torch.where(which[:, None], vectors, self.codebook))
        self.counts.masked_fill_(which, even)
        self.sums.copy_(torch.where(which[:, None], even * vectors, self.sums))

    def _forget(self, incompatible: Any) -> None:
        self._begun = False


def _rows(z: Tensor) -> Tensor:
    """[B, dim, h, w] → [B·h·w, dim]."""
    return z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])


@families.register(
    "vq-vae",
    label="VQ-VAE",
    blurb="Every place takes the nearest vector of a learned codebook; sharp and discrete.",
    formula=r"-\log p(x \mid e) + \textstyle\sum_{i,j} \log K + "
    r"\beta\, \lVert z_e - \mathrm{sg}(e) \rVert^2",
    when="You want discrete codes, to compress or to learn a prior over them afterwards.",
    paper="van den Oord, Vinyals and Kavukcuoglu (2017), equation 3 and appendix A.1",
    terms=CODES
    | {
        "commitment": Quantity(
            "Commitment",
            "squared distance",
            r"\beta",
            "How far encodings are from their codes, over all places.",
            "commitment",
        )
    },
    options=VqVaeOptions,
    check=need_whole_batches,
)
def vq_vae(config: ModelConfig, data: DataCard, options: VqVaeOptions) -> Built[QuantisedPosterior]:
    """`latent_dim` is the length of a code's vector."""
    quantiser = VectorQuantiser(options.codes, config.latent_dim, options.decay, options.restart)
    model = quantised(config, data, options, quantiser)
    return model, VqVaeObjective(model.likelihood, options)
