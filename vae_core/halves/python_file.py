"""A Python file with `decode`, and `encode` where there is an encoder.

It is code, so that it runs only where its content is trusted: what runs is the text that was
looked at, and no compiled file that may lie beside it.
"""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Callable
from importlib.abc import InspectLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from vae_core.errors import UserError
from vae_core.halves.kind import Given, kinds, tuple_of
from vae_core.models import Halves

NAME = "network.py"
"""What the file is called where it is kept."""


@kinds.register(
    "python",
    label="Python file",
    blurb="A Python file with encode(x) and decode(z), or decode(z) alone.",
    endings=(".py",),
    executes=True,
)
def python(given: Given) -> Halves:
    """encode(x) → z, or (μ, log σ²); decode(z) → pictures. `__file__` says where its weights lie.

    Raises:
        UserError: when there is no such function, or the file fails.
    """
    if NAME not in given.files:
        raise UserError("There is no Python file.")
    module = _executed(given.files[NAME], given.folder / NAME)
    encode, decode = (getattr(module, name, None) for name in ("encode", "decode"))
    if not callable(decode) or not (encode is None or callable(encode)):
        raise UserError("The Python file has no function decode(z), which draws the pictures.")
    told = None if encode is None else _told("encode", encode)
    return Halves(told and (lambda x: tuple_of(told(x))), _told("decode", decode))


class _Text(InspectLoader):
    """Runs a text, and reads no file."""

    def __init__(self, text: str, path: Path) -> None:
        self.text, self.path = text, path

    def get_source(self, fullname: str) -> str:
        return self.text

    def get_filename(self, fullname: str) -> str:
        return str(self.path)


def _executed(text: bytes, path: Path) -> ModuleType:
    try:
        loader = _Text(text.decode(), path)
        spec = importlib.util.spec_from_loader("brought_network", loader, origin=str(path))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        module.__file__ = str(path)
        spec.loader.exec_module(module)
    except Exception as error:  # whatever somebody's file raises
        raise _failed(error) from error
    return module


def _told(name: str, function: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    def call(values: Tensor) -> Any:
        try:
            return function(values)
        except Exception as error:  # whatever somebody's function raises
            raise _failed(error, f" in {name}") from error

    return call


def _failed(error: Exception, where: str = "") -> UserError:
    said = traceback.format_exception_only(error)[-1].strip()[:300].rstrip(".")
    return UserError(f"The Python file failed{where}: {said}.")
