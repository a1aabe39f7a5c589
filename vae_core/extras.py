"""Libraries that are not needed for training or exploring, and are installed on demand."""

from __future__ import annotations

import shlex
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from vae_core.errors import UserError

PACKAGES = {
    "cluster": ("ray[client]",),
    "hdf5": ("h5py",),
    "heic": ("pillow-heif",),
    "hub": ("huggingface-hub",),
    "maps": ("openTSNE", "umap-learn"),
    "medical": ("nibabel", "pydicom"),
    "mlflow": ("mlflow",),
    "inception": ("torch-fidelity",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "pdf": ("vl-convert-python",),
    "postgresql": ("psycopg[binary]",),
    "remote": ("fsspec[http,s3,gs]",),
    "tensorboard": ("tensorboard",),
    "tiff": ("imagecodecs",),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}
"""What each optional extra of pyproject.toml installs, by the names that pip knows."""


def extra(module: str, name: str, purpose: str) -> ModuleType:
    """Import `module`, which the optional extra `name` installs.

    Raises:
        UserError: when it is not installed; the sentence holds the command that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        packages = shlex.join(PACKAGES[name])
        raise UserError(
            f"{purpose} needs {error.name or module}, which is not installed here. "
            f"Install it with: pip install {packages}"
        ) from None


def installed(package: str) -> str:
    """The version of a package that is installed here, "" where it is not."""
    try:
        return version(package) if package else ""
    except PackageNotFoundError:
        return ""
