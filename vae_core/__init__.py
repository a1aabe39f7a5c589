"""Train variational autoencoders, measure them, and explore what they learned; no user interface.

A run is a folder: `work` trains it in this process, `start` in one of its own, `load_run` opens it.

The names of `__all__` are what other programs may build on; docs/recipes.md shows them at work.
`__init__.pyi` lists them, and each is imported when it is first asked for: importing this package
costs nothing, and configurations and runs come without torch. What can be added to lies in
registries: families in `vae_core.families`, backbones and likelihoods in `vae_core.models`, data
sets in `vae_core.data`, export formats in `vae_core.export`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
