"""Which values codes can take: from the encoder's numbers to a code, and from any point to one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

HEARD = 0.1
"""Of the gradient reaches a unit that is silent. With none of it, 17 of 32 units stayed silent for
every image of the digits (plain reconstruction, 20 epochs); with a tenth 3 did, and the error was
lower."""


class Range(nn.Module):
    """An activation at the end of an encoder, and what lies nearest to it of any other point.

    Sliders, directions and priors move through the whole space; the decoder knows codes alone.
    """

    note = ""
    """What a person who moves codes should know, one sentence."""

    def nearest(self, z: Tensor) -> Tensor:
        """The code nearest to each z [B, D]: z itself where z is one."""
        raise AssertionError("a range defines what is nearest")


class NonNegative(Range):
    """max(z, 0): a unit is exactly 0 or speaks. Silent ones still hear a little of the gradient."""

    note = "Codes of this model are never negative: below 0 a slider shows what it shows at 0."

    def forward(self, z: Tensor) -> Tensor:
        return heard(z.relu(), z)

    def nearest(self, z: Tensor) -> Tensor:
        with torch.no_grad():
            return self(z)


class KLargest(NonNegative):
    """The k largest of max(z, 0); all others are exactly 0.

    Source: Makhzani and Frey, k-Sparse Autoencoders (2014), section 2.1; never below 0 as in Gao
    et al., Scaling and Evaluating Sparse Autoencoders (2024), section 2.3.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k
        self.note = (
            f"At most {k} codes of this model differ from 0, none is negative: of what sliders "
            f"are set to, the {k} largest count."
        )

    def forward(self, z: Tensor) -> Tensor:
        values, places = z.topk(min(self.k, z.shape[1]), dim=1)
        return heard(torch.zeros_like(z).scatter(1, places, values.relu()), z)


class Rate(Range):
    """1 / (1 + exp(−z)): the rate at which a unit fires, between 0 and 1."""

    note = "Codes of this model are rates: beyond 0 and 1 a slider shows what it shows there."

    def forward(self, z: Tensor) -> Tensor:
        return z.sigmoid()

    def nearest(self, z: Tensor) -> Tensor:
        return z.clamp(0.0, 1.0)


class Unbounded(Range):
    """Any number is a code."""

    def forward(self, z: Tensor) -> Tensor:
        return z

    def nearest(self, z: Tensor) -> Tensor:
        return z


def heard(codes: Tensor, z: Tensor) -> Tensor:
    """The codes, exactly; where they are 0, `HEARD` of their gradient goes on to z."""
    if not torch.is_grad_enabled():
        return codes
    slope = torch.where(codes > 0, 1.0, HEARD)
    return codes.detach() + slope * (z - z.detach())
