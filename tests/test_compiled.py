"""`train.compile`: what objectives call is what was compiled."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine import make_loop, tiny
from tests.test_families import FAMILIES, OBJECTIVE_SETTINGS
from vae_core.config import RunConfig
from vae_core.data.cache import LIMIT_VARIABLE, entries, prune
from vae_core.errors import UserError
from vae_core.training import loop as loop_module
from vae_core.training.compiled import KEPT_AT, callable_parts, compile_networks
from vae_core.training.events import Noted, Stepped, Validated
from vae_core.training.loop import Loop
from vae_core.training.memory import MemoryBudget

COMPILABLE = [name for name in FAMILIES if name != "contractive"]


def config_of(family: str, **train: Any) -> RunConfig:
    return tiny(
        family=family,
        data={"limit": 150},
        objective=OBJECTIVE_SETTINGS.get(family, {}),
        train={"epochs": 1, "preview_every": 100} | train,
    )


@pytest.fixture(autouse=True)
def _forget_what_was_compiled() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()
    torch.set_num_threads(threads)


def counting(calls: list[None]) -> Callable[[Any, Any], Callable[..., Any]]:
    """A backend that runs graphs as they are and counts how often."""

    def backend(graph: Any, inputs: Any) -> Callable[..., Any]:
        def run(*values: Any) -> Any:
            calls.append(None)
            return graph(*values)

        return run

    return backend


def told(loop: Loop) -> list[dict[str, float]]:
    """The terms of every step and validation of the whole run."""
    terms = []
    for event in loop.run():
        if isinstance(event, Stepped):
            terms.append(event.terms)
        elif isinstance(event, Validated):
            terms.append(event.measurement.terms)
    return terms


@pytest.mark.parametrize("family", COMPILABLE)
def test_every_call_of_the_networks_is_a_compiled_one(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many compiled graphs run as networks are called without the compiler, and to the same
    numbers; the names of the weights stay."""
    plain, called = make_loop(config_of(family)), []
    for network in callable_parts(plain.objective.networks(plain.model)):
        network.register_forward_pre_hook(lambda module, inputs: called.append(None))
    # compiled ones do not measure what they need
    plain.check_memory = lambda: MemoryBudget(0.0, math.inf)
    expected = told(plain)

    compiled: list[None] = []
    monkeypatch.setattr(
        loop_module,
        "compile_networks",
        lambda networks, device: compile_networks(networks, counting(compiled), device),
    )
    loop = make_loop(config_of(family, compile=True))
    loop._check_compiled = lambda: iter(())  # its step is none of those
    found = told(loop)
    assert len(compiled) == len(called) > 0
    assert loop.model.state_dict().keys() == plain.model.state_dict().keys()
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("family", ["factor-vae", "vamp"])
def test_gradients_pass_through_the_compilers_own_graphs(family: str) -> None:
    """The same forward and backward graphs as `inductor` gets, several players on one of them."""
    expected = told(make_loop(config_of(family)))
    loop = make_loop(config_of(family))
    compile_networks(loop.objective.networks(loop.model), "aot_eager")
    for ours, theirs in zip(told(loop), expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-3)


def test_the_setting_compiles_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real compiler, from the setting to the last validation; what it made is kept within
    the bound of the cache, while this process uses it beyond that."""
    monkeypatch.setenv("VAE_CACHE", str(tmp_path))
    monkeypatch.setenv(KEPT_AT, str(tmp_path / "of-another-network"))
    model = {"backbone": "mlp", "latent_dim": 2, "options": {"hidden": [8]}}
    settings: dict[str, Any] = {
        "data": {"limit": 100},
        "model": model,
        "train": {"epochs": 1, "preview_every": 100, "batch_size": 50},
    }
    from vae_core.config import parse_config
    from vae_core.families import complete

    base = {"data": {"dataset": "digits", "image_size": 16}, "train": {"threads": 1}}
    plain = complete(parse_config(base).updated(settings))
    expected = told(make_loop(plain))
    loop = make_loop(plain.updated({"train": {"compile": True}}))
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for ours, theirs in zip(told(loop), expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > before
    (kept,) = entries()
    assert kept.kind == "compiled" and kept.in_use and any(kept.path.rglob("*.so"))
    assert prune(0) == [] and kept.path.exists()


def test_each_network_has_a_folder_and_the_oldest_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAE_CACHE", str(tmp_path))
    monkeypatch.delenv(KEPT_AT, raising=False)
    folders = []
    for width in (2, 3, 2):
        compile_networks([torch.nn.Linear(width, 1)], "eager")
        folders.append(Path(os.environ[KEPT_AT]))
    assert folders[0] == folders[2] != folders[1]
    left = tmp_path / f"compiled-{'0' * 20}"  # of a process that has ended
    (left / "ab").mkdir(parents=True)
    (left / "ab" / "kernel.so").write_bytes(bytes(100_000))
    (tmp_path / "compiled").mkdir()  # of an earlier version
    assert {entry.path for entry in entries()} == {*folders, left, tmp_path / "compiled"}
    monkeypatch.setenv(LIMIT_VARIABLE, "0")
    compile_networks([torch.nn.Linear(4, 1)], "eager")
    assert {entry.path for entry in entries()} == {*folders, Path(os.environ[KEPT_AT])}


def test_a_folder_that_a_person_chose_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEPT_AT, str(tmp_path))
    compile_networks([torch.nn.Linear(2, 1)], "eager")
    assert os.environ[KEPT_AT] == str(tmp_path) and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("family", ["vae", "vamp", "hierarchical", "factor-vae"])
def test_on_a_gpu_the_calls_of_training_alone_are_compiled(family: str) -> None:
    """To the same numbers; measured and previewed are the plain networks, whose outputs stay."""
    expected = told(make_loop(config_of(family)))
    loop, called, compiled = make_loop(config_of(family)), [], list[None]()
    networks = loop.objective.networks(loop.model)
    for network in callable_parts(networks):
        network.register_forward_pre_hook(
            lambda module, inputs: called.append(module.training and torch.is_grad_enabled())
        )
    compile_networks(networks, counting(compiled), torch.device("cuda"))
    loop.check_memory = lambda: MemoryBudget(0.0, math.inf)
    for ours, theirs in zip(told(loop), expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-3)
    assert 0 < len(compiled) == sum(called) < len(called)


def test_what_cannot_be_compiled_runs_as_it_is_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_compiler(graph: Any, inputs: Any) -> Callable[..., Any]:
        raise RuntimeError("no C++ compiler was found\nby anyone")

    monkeypatch.setattr(
        loop_module,
        "compile_networks",
        lambda networks, device: compile_networks(networks, no_compiler, device),
    )
    plain = make_loop(config_of("vae"))
    expected = told(plain)
    loop = make_loop(config_of("vae", compile=True))
    events = list(loop.run())
    (noted,) = [event for event in events if isinstance(event, Noted)]
    assert "could not be compiled here and run as they are" in noted.message
    assert "no C++ compiler was found" in noted.message and "\n" not in noted.message
    steps = [event.terms for event in events if isinstance(event, Stepped)]
    assert steps and all(terms in expected for terms in steps)
    for name, tensor in plain.model.state_dict().items():
        assert torch.equal(tensor, loop.model.state_dict()[name]), name


def test_compiling_is_taken_back() -> None:
    loop, compiled = make_loop(config_of("hierarchical")), list[None]()
    networks = loop.objective.networks(loop.model)
    compile_networks(networks, counting(compiled))()
    assert told(loop) and not compiled


def test_compiled_networks_compute_in_bf16() -> None:
    """Autocast is part of what is compiled: as many graphs as in fp32, none cut in two."""
    model = {"backbone": "mlp", "latent_dim": 2, "options": {"hidden": [8]}}
    base = config_of("vae", precision="bf16").updated({"model": model})
    expected = told(make_loop(base))
    counts = []
    for precision in ("fp32", "bf16"):
        loop, compiled = make_loop(base.updated({"train": {"precision": precision}})), []
        loop.check_memory = lambda: MemoryBudget(0.0, math.inf)
        compile_networks(loop.objective.networks(loop.model), counting(compiled))
        found = told(loop)
        counts.append(len(compiled))
    assert counts[0] == counts[1] > 0
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-3)


def test_a_family_that_needs_second_derivatives_refuses() -> None:
    with pytest.raises(UserError, match=r"train\.compile: Contractive autoencoder .* switch it"):
        make_loop(config_of("contractive", compile=True))
