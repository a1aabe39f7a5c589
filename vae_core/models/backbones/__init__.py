"""The networks on either side of the bottleneck; importing this registers them."""

from vae_core.models.backbones import conv, mlp
from vae_core.models.backbones.backbone import Backbone, backbones

__all__ = ["Backbone", "backbones", "conv", "mlp"]
