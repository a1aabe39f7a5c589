"""What other libraries do not document is used in few places, and is still there."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from latent_workbench.shared import streamlit_private

ROOT = Path(__file__).resolve().parent.parent
BEHIND = {
    "streamlit": "latent_workbench/shared/streamlit_private.py",
    "torch": "vae_core/torch_private.py",
}
"""The one file that may reach for what a library does not document."""

PUBLIC = {"streamlit.delta_generator.DeltaGenerator"}
"""Of Streamlit beside `st` itself: the type of a container."""


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_private(name: str) -> bool:
    library, *rest = name.split(".")
    if library == "streamlit":
        return bool(rest) and name not in PUBLIC
    return library == "torch" and any(part.startswith("_") for part in rest)


def test_what_is_private_is_used_in_one_file_each() -> None:
    files = [*ROOT.glob("vae_core/**/*.py"), *ROOT.glob("latent_workbench/**/*.py")]
    files += [*ROOT.glob("pages/*.py"), ROOT / "streamlit_app.py"]
    used = {
        (name.split(".")[0], str(path.relative_to(ROOT)))
        for path in files
        for name in _imports(path)
        if _is_private(name)
    }
    assert used == set(BEHIND.items())


def _exists(name: str) -> bool:
    """Whether there is a module of this name, or something in one."""
    module, _, attribute = name.rpartition(".")
    with suppress(ImportError):
        return hasattr(import_module(module), attribute) or bool(import_module(name))
    return False


@pytest.mark.parametrize("library", BEHIND)
def test_what_is_private_is_where_it_was(library: str) -> None:
    for name in filter(_is_private, _imports(ROOT / BEHIND[library])):
        assert _exists(name), (
            f"{library} {version(library)} has no {name} any more: mend {BEHIND[library]}."
        )


ARGUMENTS = {
    "allow_all_cross_origin_requests": 0,
    "decode_signed_value": 3,
    "gather_user_info": 1,
    "get_cookie_secret": 0,
    "get_cookie_with_chunks": 2,
    "get_hostname": 1,
    "get_logger": 1,
    "get_max_widget_state_size_bytes": 0,
    "get_origin_from_redirect_uri": 0,
    "get_script_run_ctx": 0,
    "get_secrets_auth_section": 0,
    "is_host_allowed": 1,
}
"""How many Streamlit's functions are called with."""


@pytest.mark.parametrize(("name", "count"), ARGUMENTS.items())
def test_private_functions_are_called_as_before(name: str, count: int) -> None:
    try:
        inspect.signature(getattr(streamlit_private, name)).bind(*range(count))
    except TypeError as error:
        pytest.fail(
            f"Streamlit {version('streamlit')} does not take {count} arguments for {name} "
            f"({error}): mend {BEHIND['streamlit']} and what calls it."
        )


def test_the_compiler_has_the_options_that_are_set() -> None:
    for module, options in (
        ("torch._dynamo.config", ("recompile_limit", "accumulated_recompile_limit")),
        ("torch._functorch.config", ("donated_buffer",)),
    ):
        for option in options:
            assert hasattr(import_module(module), option), (
                f"torch {version('torch')} has no {module}.{option} any more: mend "
                f"{BEHIND['torch']}."
            )


def test_torch_tells_whether_the_processor_computes_bf16() -> None:
    for owner, name in (
        (torch.cpu, "_is_avx512_bf16_supported"),
        (torch.cpu, "_is_amx_tile_supported"),
        (torch.ops.mkldnn, "_is_mkldnn_bf16_supported"),
    ):
        assert isinstance(getattr(owner, name)(), bool), (
            f"torch {version('torch')} does not answer {name} any more: mend {BEHIND['torch']}."
        )


def test_the_server_has_what_the_connection_is_bounded_by() -> None:
    """Where it has not, `latent_workbench/live/connection.py` lets messages of any size through."""
    wanted = {
        H11Protocol: ("transport", "flow"),
        WebSocketsSansIOProtocol: ("transport", "conn", "writable"),
    }
    for protocol, names in wanted.items():
        source = inspect.getsource(protocol)
        for name in names:
            assert re.search(rf"self\.{name}\b.* = ", source), (
                f"uvicorn {version('uvicorn')}: {protocol.__name__} has no {name} any more: mend "
                "latent_workbench/live/connection.py."
            )


def test_what_is_used_privately_has_an_upper_bound() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    ranges = [Requirement(line) for line in lines if not line.startswith("#")]
    wanted = {each.name: each for each in ranges}
    for library in ("streamlit", "torch", "torchvision", "uvicorn"):
        bounds = {each.operator for each in wanted[library].specifier}
        assert "<" in bounds, f"{library} has no upper bound in requirements.txt"
        assert version(library).split("+")[0] in wanted[library].specifier
