"""Which tests train a model, or start a process or a server: told from what their code calls.

What a page or a library does by itself is not seen here; such a test is marked by hand.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

OURS = ("tests.", "benchmarks.")
"""Helpers whose calls are followed."""

TRAIN_OR_START = frozenset(
    {
        "vae_core.training.loop.Loop",
        "vae_core.training.worker.work",
        "vae_core.training.jobs.start",
        "vae_core.training.jobs.resume",
        "vae_core.training.jobs.spawn",
        "vae_core.sweeps.sweep.launch",
        "vae_core.cli.app.run",
        "subprocess.Popen",
        "subprocess.run",
        "os.fork",
        "tests.conftest.finished",
        "tests.live.serving",
        "tests.test_data_unread.processes",
        "tests.provider.providing",
    }
)


def trains_or_starts(item: pytest.Item) -> bool:
    """Whether a test, or a fixture that it uses, calls one of TRAIN_OR_START; what a helper of the
    tests calls counts as well."""
    if not isinstance(item, pytest.Function):
        return False
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    functions = [item.function, *(fixture.func for found in fixtures for fixture in found)]
    return any(not _called(inspect.unwrap(each)).isdisjoint(TRAIN_OR_START) for each in functions)


@cache
def _called(function: Any) -> frozenset[str]:
    """Full names of all that a function and the helpers that it calls mention."""
    found: dict[str, Any] = {}
    waiting = [function]
    while waiting:
        each = waiting.pop()
        name = f"{getattr(each, '__module__', '')}.{getattr(each, '__qualname__', '')}"
        if name in found:
            continue
        found[name] = each
        if isinstance(each, FunctionType) and name.startswith(OURS):
            waiting += [inspect.unwrap(other) for other in _mentioned(each)]
    return frozenset(found)


def _mentioned(function: FunctionType) -> Iterator[Any]:
    """The functions and classes that stand in the code of a function, by name or in a module."""
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        for name in code.co_names:
            there = function.__globals__.get(name)
            if isinstance(there, ModuleType):
                yield from map(vars(there).get, code.co_names)
            elif callable(there):
                yield there
