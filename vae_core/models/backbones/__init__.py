"""The networks on either side of the bottleneck; importing this registers them."""

from vae_core.models.backbones import conv, conv_bn, deep_conv, mlp, resnet
from vae_core.models.backbones.backbone import Backbone, Shape, backbones
from vae_core.models.backbones.trunk import Trunk, trunks

__all__ = [
    "Backbone",
    "Shape",
    "Trunk",
    "backbones",
    "conv",
    "conv_bn",
    "deep_conv",
    "mlp",
    "resnet",
    "trunks",
]
