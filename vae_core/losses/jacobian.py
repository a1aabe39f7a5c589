"""How much codes move when images do."""

from __future__ import annotations

import torch
from torch import Tensor


def squared_jacobian_norm(x: Tensor, z: Tensor) -> Tensor:
    """‖∂z/∂x‖²_F of every image, exactly: one vector-Jacobian product a code, batched.

    Rows of a batch must not see each other on the way from x to z (no batch normalisation).

    Args:
        x: images that require a gradient, [B, …].
        z: codes computed from x, [B, D].

    Returns:
        [B], differentiable.

    Source: Rifai et al., Contractive Auto-Encoders (2011), equation 1.
    """
    batch, codes = z.shape
    # Row d picks code d of every image; as images are independent, one product serves them all.
    picks = torch.eye(codes, dtype=z.dtype, device=z.device)[:, None].expand(codes, batch, codes)
    (rows,) = torch.autograd.grad(z, x, picks, create_graph=True, is_grads_batched=True)
    return rows.square().flatten(2).sum((0, 2))


def relative_jacobian(norms: Tensor, z: Tensor) -> Tensor:
    """‖∂z/∂x‖²_F over the variance of the codes, Σ_d Var(z_d): the same at every scale of z.

    The norm alone is met by smaller codes, which a decoder without tied weights scales up again.

    Args:
        norms: ‖∂z/∂x‖²_F of every image, [B].
        z: their codes, [B, D]; the variance is over the batch.

    Returns:
        [B], per squared pixel value; 0 for a single image, which has no variance.
    """
    if len(z) < 2:
        return torch.zeros_like(norms)
    return norms / z.var(0).sum().clamp_min(torch.finfo(z.dtype).tiny)
