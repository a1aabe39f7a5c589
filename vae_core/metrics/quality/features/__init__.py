"""What turns images into the features that they are compared by: one file here a kind."""

from vae_core.metrics.quality.features.kind import (
    AUTO,
    FeatureKind,
    Features,
    content_of,
    feature_kinds,
    features_of,
)

feature_kinds.discover(__name__, plugins="vae_core.features")

__all__ = [
    "AUTO",
    "FeatureKind",
    "Features",
    "content_of",
    "feature_kinds",
    "features_of",
]
