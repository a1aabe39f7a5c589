"""The same codebook and encodings in pythae: the same codes, the same steps, the same commitment.

pythae averages the commitment over all numbers of a batch, where ours is summed over an image. It
smooths its counts by 1e-5, where ours keep codes that nothing came near; both are below the
tolerance. It does not restart dead codes.
"""

from __future__ import annotations

import torch
from pythae.models.vq_vae.vq_vae_config import VQVAEConfig
from pythae.models.vq_vae.vq_vae_utils import QuantizerEMA

from vae_core.families.vq_vae import VectorQuantiser

CODES, DIM = 6, 3


def both() -> tuple[VectorQuantiser, QuantizerEMA]:
    torch.manual_seed(0)
    ours = VectorQuantiser(CODES, DIM, decay=0.9, restart=0.0)
    config = VQVAEConfig(num_embeddings=CODES, decay=0.9, commitment_loss_factor=1.0)
    config.embedding_dim = DIM
    theirs = QuantizerEMA(config).train()
    ours.counts.copy_(torch.full((CODES,), 7.0))
    ours.sums.copy_(7 * ours.codebook)
    for mine, name in ((ours.codebook, "embeddings"), (ours.sums, "ema_embed")):
        getattr(theirs, name).copy_(mine)
    theirs.cluster_size.copy_(ours.counts)
    return ours, theirs


def test_codes_and_their_steps_are_the_references() -> None:
    ours, theirs = both()
    for _ in range(4):
        z = torch.randn(5, DIM, 4, 4)
        said = theirs(z.permute(0, 2, 3, 1).contiguous())
        indices = ours.indices(z)
        assert torch.equal(indices, said.quantized_indices[:, 0])
        torch.testing.assert_close(ours(z), said.quantized_vector)
        commitment = (z - ours.vectors(indices)).square().flatten(1).sum(1).mean()
        torch.testing.assert_close(commitment / z[0].numel(), said.loss)
        ours.follow(z, indices)
        torch.testing.assert_close(ours.counts, theirs.cluster_size, atol=1e-3, rtol=0)
        torch.testing.assert_close(ours.codebook, theirs.embeddings, atol=1e-4, rtol=1e-4)
