"""The networks on either side of the bottleneck; importing this registers them."""

from vae_core.models.backbones.backbone import Backbone, Shape, backbones
from vae_core.models.backbones.trunk import Trunk, trunks

backbones.discover(__name__, plugins="vae_core.backbones")

__all__ = ["Backbone", "Shape", "Trunk", "backbones", "trunks"]
