"""A step asks the device for nothing: the host would wait until all that it has asked for is done.

Every family takes a step on tensors of the CPU that stand for a GPU's, below a mode that sees each
operation, those inside of torch's own functions and of the backward pass too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tests.engine import make_loop, tiny
from tests.test_families import FAMILIES, OBJECTIVE_SETTINGS
from vae_core.config import RunConfig
from vae_core.errors import UserError
from vae_core.families.vq_vae import VectorQuantiser
from vae_core.metrics.measure import Measurement, measuring
from vae_core.models.likelihoods import OptimalGaussian
from vae_core.training import loop as loop_module
from vae_core.training.events import Checkpoint, Ended, RolledBack, Skipped, Stepped, Validated
from vae_core.training.loop import Loop
from vae_core.training.optim import Adam
from vae_core.types import Context, total

READS = {
    "_local_scalar_dense",
    "is_nonzero",
    "equal",
    "nonzero",
    "masked_select",
    "unique_dim",
    "unique_consecutive",
    "_unique2",
    "bincount",
    "repeat_interleave",
}
"""Operations whose result, or the shape of it, the host has to know."""
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
"""Those too where they are indexed by masks."""
MADE = {torch.tensor, torch.as_tensor}
"""From numbers of Python's, in ordinary memory: a GPU is waited for to fetch them."""
FETCHED = {torch.Tensor.tolist, torch.Tensor.cpu}


class Waiting(AssertionError):
    """The host would have waited."""


class NoReads(TorchDispatchMode):
    """Refuses what reads from the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().removeprefix("aten::").partition(".")[0]
        masked = name in INDEXED and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if name in READS or masked:
            raise Waiting(func.name())
        return func(*args, **(kwargs or {}))


class NoCopies(TorchFunctionMode):
    """Refuses tensors that are made of Python's numbers, or become such."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func in MADE and not isinstance(args[0], torch.Tensor)
        if made or func in FETCHED:
            raise Waiting(func.__name__)
        return func(*args, **(kwargs or {}))


def config_of(family: str, **changes: Any) -> RunConfig:
    train = {"augmentation": "flip+shift", "gradient_clip": 1.0, "preview_every": 100, "ema": 0.9}
    return tiny(
        family=family,
        objective=OBJECTIVE_SETTINGS.get(family, {}),
        train=train | changes.pop("train", {}),
        data={"limit": 200},
        **changes,
    )


def many_steps(loop: Loop, first: int, last: int) -> None:
    """As the loop takes them: a batch, the step, its sums."""
    for step in range(first, last):
        list(loop._step(np.arange(16) + 16 * step, None))


def ahead(monkeypatch: pytest.MonkeyPatch, steps: int = 100) -> None:
    """The device is as many steps ahead as a GPU may be."""
    monkeypatch.setattr(loop_module, "UNDECIDED", {"cpu": steps})


@pytest.mark.parametrize("family", FAMILIES)
def test_no_step_of_any_family_waits_for_the_device(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead(monkeypatch)
    loop = make_loop(config_of(family))
    loop.feed_from(resident=True)
    loop.model.train(), loop.objective.train()
    many_steps(loop, 0, 2)  # a codebook asks until it knows that it has begun
    with NoReads(), NoCopies():
        many_steps(loop, 2, 4)
    assert loop.step == len(loop._undecided) == 4
    list(loop._decide())
    assert loop.recovery.skipped == 0 and loop._window.images == 64


@pytest.mark.parametrize("family", FAMILIES)
def test_measuring_waits_for_the_device_once(family: str) -> None:
    """A batch of any family asks for nothing; all is fetched behind the last. The first one may
    ask what the prior is."""
    loop = make_loop(config_of(family))
    found = measuring(loop.model, loop.objective, loop.dataset.validation, Context(step=0), 4)
    assert next(found) is None
    with NoReads(), NoCopies():
        assert [next(found), next(found)] == [None, None]
    *batches, measurement = found
    assert not any(batches) and isinstance(measurement, Measurement)


@pytest.mark.parametrize("likelihood", ["gaussian", "gaussian-optimal", "bernoulli"])
def test_no_likelihood_waits_for_the_device(
    likelihood: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead(monkeypatch)
    loop = make_loop(config_of("vae", model={"likelihood": likelihood}))
    loop.model.train()
    with NoReads(), NoCopies():
        many_steps(loop, 0, 2)


@pytest.mark.parametrize(
    "reading",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.any()),
        lambda x: x[x > 0],
        lambda x: x.unique(),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: torch.tensor(1.0, device=x.device),
    ],
)
def test_what_would_wait_is_seen(reading: Any) -> None:
    with NoReads(), NoCopies(), pytest.raises(Waiting):
        reading(torch.arange(3.0))


# --- steps whose outcome is asked for later -------------------------------------------------------


def breaking(loop: Loop, steps: set[int]) -> Loop:
    """The gradients of those steps overflow."""

    def overflow(gradient: torch.Tensor) -> torch.Tensor:
        bad = loop.step in steps and not loop.recovery.returns
        return torch.full_like(gradient, math.inf) if bad else gradient

    next(iter(loop.players.parameters.values()))[-1].register_hook(overflow)
    return loop


def run(loop: Loop) -> tuple[list[Any], list[str]]:
    """What is recorded, but for the clock's; messages of what was skipped or gone back on."""
    told: list[Any] = []
    said: list[str] = []
    for event in loop.run():
        match event:
            case Stepped():
                told.append((event.step, event.terms, event.weights, event.controls, event.total))
            case Validated():
                told.append((event.step, event.measurement.terms))
            case Skipped():
                said.append(event.message)
            case RolledBack():
                said.append(event.message)
    return told, said


@pytest.mark.parametrize("family", ["vae", "vq-vae", "factor-vae", "sigma-vae"])
def test_asking_later_changes_nothing_that_is_learned_or_recorded(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps that overflow among others: weights, averages and running means leave them out, and so
    does what is recorded."""
    config = config_of(family, train={"log_every": 4, "batch_size": 16, "epochs": 1})
    at_once = breaking(make_loop(config), {0, 2, 3, 7})
    expected, skipped = run(at_once)
    assert [message.split(" was")[0] for message in skipped] == [
        "Step 1", "Step 3", "Step 4", "Step 8",
    ]  # fmt: skip
    ahead(monkeypatch)
    later = breaking(make_loop(config), {0, 2, 3, 7})
    assert run(later) == (expected, skipped)
    states = at_once.players.state_dict(), later.players.state_dict()
    ours, theirs = (dict(flat(each)) for each in states)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def flat(state: Any, name: str = "") -> Any:
    if isinstance(state, torch.Tensor):
        yield name, state
    elif isinstance(state, dict):
        for key, value in state.items():
            yield from flat(value, f"{name}.{key}")


def test_three_in_a_row_lead_back_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead(monkeypatch)
    config = config_of("vae", train={"log_every": 6, "batch_size": 16, "epochs": 1})
    loop = breaking(make_loop(config), {1, 2, 3})
    start = loop.checkpoint().state
    loop._last_save = lambda: start
    _, said = run(loop)
    assert said[-1].startswith("At step 6 training diverged: 3 steps in a row were not taken")
    assert loop.step == loop.total_steps and loop.recovery.factor == 0.5


def test_no_save_comes_while_steps_are_skipped_that_nobody_asked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ahead(monkeypatch)
    train = {"log_every": 100, "batch_size": 16, "epochs": 1, "checkpoint_every": 2}
    loop = breaking(make_loop(config_of("vae", train=train)), {1})
    saves = [event.step for event in loop.run() if isinstance(event, Checkpoint)]
    assert 2 not in saves and 4 in saves


def test_a_stop_counts_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    from vae_core.training.control import Message

    ahead(monkeypatch)
    loop = make_loop(config_of("vae", train={"log_every": 100, "batch_size": 16}))

    def control() -> list[Message]:
        return [Message("stop")] if loop.step == 5 else []

    events = list(loop.run(control))
    assert [event.step for event in events if isinstance(event, Stepped)] == [5]
    assert isinstance(events[-1], Ended) and events[-1].step == 5 and not loop._undecided


# --- the parts ------------------------------------------------------------------------------------


def test_a_refused_step_leaves_the_optimiser_as_it_was_and_a_scaled_one_is_the_same() -> None:
    """As torch's own classes with a `GradScaler`: `found_inf` and `grad_scale` on the device."""
    torch.manual_seed(0)
    values = torch.randn(3, 4)
    plain, scaled = (nn.Parameter(values.clone()) for _ in range(2))
    optimizers = Adam([plain], lr=0.1), Adam([scaled], lr=0.1)
    for found in (0.0, 1.0, 0.0):
        gradient = torch.randn(3, 4)
        before = [each.clone() for each in (plain.detach(), *optimizers[0].state[0].values())]
        plain.grad, scaled.grad = gradient.clone(), gradient * 1024
        optimizers[0].step(found_inf=torch.tensor(found))
        optimizers[1].step(found_inf=torch.tensor(found), grad_scale=torch.tensor(1024.0))
        after = (plain.detach(), *optimizers[0].state[0].values())
        assert all(map(torch.equal, before, after)) is bool(found)
        assert torch.equal(plain, scaled)
    assert float(optimizers[0].state[0]["step"]) == 2


def test_a_codebook_that_went_back_begins_anew() -> None:
    """Loading a state of before it began is seen, though it was known to have begun."""
    quantiser = VectorQuantiser(4, 2, 0.9, 0.1)
    unborn = {name: tensor.clone() for name, tensor in quantiser.state_dict().items()}
    z = torch.arange(16.0).view(1, 2, 1, 8)
    quantiser.start(z)
    begun = quantiser.codebook.clone()
    quantiser.start(z + 1)
    assert torch.equal(quantiser.codebook, begun)
    quantiser.load_state_dict(unborn)
    quantiser.start(z + 1)
    assert not torch.equal(quantiser.codebook, begun)


def test_codes_restart_as_they_did_one_by_one() -> None:
    """The first of the dead gets the first of the fresh rows, as many as there are of both."""
    for seed in range(20):
        torch.manual_seed(seed)
        rows_there = int(torch.randint(2, 40, ()))
        quantiser = VectorQuantiser(16, 2, 0.5, 0.9)
        quantiser.counts.copy_(torch.rand(16) * 4 * (torch.rand(16) > 0.3))
        quantiser.sums.copy_(torch.randn(16, 2) * quantiser.counts[:, None])
        z = torch.randn(1, 2, 1, rows_there)
        indices = quantiser.indices(z)
        rows = z[0, :, 0].T
        used = torch.zeros(16).index_add_(0, indices.flatten(), torch.ones(rows_there))
        near = torch.zeros(16, 2).index_add_(0, indices.flatten(), rows)
        counts, sums = quantiser.counts.lerp(used, 0.5), quantiser.sums.lerp(near, 0.5)
        codebook, known = quantiser.codebook.clone(), counts > 1e-6
        codebook[known] = sums[known] / counts[known, None]
        dead = (counts < 0.9 * rows_there / 16).nonzero()[:, 0]
        state = torch.get_rng_state()
        fresh = torch.randperm(rows_there)[: len(dead)]
        dead = dead[: len(fresh)]
        codebook[dead], counts[dead] = rows[fresh], rows_there / 16
        sums[dead] = rows_there / 16 * rows[fresh]
        torch.set_rng_state(state)
        quantiser.follow(z, indices)
        assert torch.equal(quantiser.codebook, codebook)
        assert torch.equal(quantiser.counts, counts) and torch.equal(quantiser.sums, sums)


def test_the_running_noise_is_weighed_as_before() -> None:
    """By 1/n at first, then by the momentum: to the bit what a number of Python's gave."""
    from vae_core.config import ModelConfig

    torch.manual_seed(0)
    likelihood = OptimalGaussian(ModelConfig(likelihood="gaussian-optimal")).train()
    expected = torch.tensor(1.0)
    for number in range(1, 30):
        logits, x = torch.randn(4, 1, 8, 8), torch.rand(4, 1, 8, 8)
        likelihood.nll(logits, x)
        error = (likelihood.mean(logits) - x).square().mean().clamp_min(1e-6)
        expected.lerp_(error, max(0.1, 1.0 / number))
        assert torch.equal(likelihood.variance, expected)


def test_spikes_are_the_only_reason_to_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead(monkeypatch)
    loop = make_loop(config_of("vae", train={"spike": 30.0}))
    loop.model.train()
    with NoReads(), pytest.raises(Waiting):
        many_steps(loop, 0, 1)


@pytest.mark.parametrize(
    "refusal",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_memory_that_is_refused_is_still_one_sentence(
    refusal: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What CUDA raises, from wherever in a step."""
    loop = make_loop(config_of("vae"))

    def refuse(*args: Any) -> None:
        raise refusal

    monkeypatch.setattr(loop.players, "step", refuse)
    with pytest.raises(UserError, match=r"not enough memory for a step on .* images"):
        list(loop.run())


# --- on a device that is not there ----------------------------------------------------------------


def on_gpu(module: nn.Module) -> None:
    """Weights and buffers become tensors of a GPU, as `to` does it; all else stays where it is."""
    for each in module.modules():
        for name, weight in each._parameters.items():
            if weight is not None:
                each._parameters[name] = nn.Parameter(torch.empty(weight.shape, device="cuda"))
        for name, buffer in each._buffers.items():
            if buffer is not None:
                moved = torch.empty(buffer.shape, dtype=buffer.dtype, device="cuda")
                each._buffers[name] = moved


def rows_by_row(z: Any, x: torch.Tensor, picks: torch.Tensor, **how: Any) -> tuple[torch.Tensor]:
    """A Jacobian's shape: a backward pass needs a real GPU."""
    return (torch.empty((len(picks), *x.shape), device=x.device),)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_mixes_devices(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In training and measurement, with labels and padding: torch's fake tensors have a device and
    a shape and no numbers, and refuse what a GPU would."""
    monkeypatch.setattr(torch.autograd, "grad", rows_by_row)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr(VectorQuantiser, "start", lambda quantiser, z: None)
    loop = make_loop(config_of(family))
    model, objective = loop.model, loop.objective
    with FakeTensorMode():
        on_gpu(model), on_gpu(objective)
        x = torch.empty(16, 1, 16, 16, device="cuda")
        labels = torch.zeros(16, dtype=torch.int64, device="cuda")
        mask = torch.ones(16, 1, 16, 16, device="cuda")
        context = Context(1, None, {}, labels, 100, 10, mask)
        for training in (True, False):
            model.train(training), objective.train(training)
            with torch.set_grad_enabled(training):
                output = objective(model, x, context)
                losses = objective.losses(x, output, context)
                assert {total(terms).device.type for terms in losses.values()} == {"cuda"}
        assert model.picture(output.x_logits).device.type == "cuda"


def test_mixing_devices_is_seen() -> None:
    with FakeTensorMode(), pytest.raises(RuntimeError, match="device"):
        torch.empty(2, device="cuda") + torch.empty(2)
