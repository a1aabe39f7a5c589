"""`train.precision`: networks alone learn in bf16 or fp16, and what is left open is tried."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.commands import vae_core
from tests.engine import built_in, make_loop, tiny
from tests.killed import equal
from tests.test_families import FAMILIES, OBJECTIVE_SETTINGS, through_a_file
from vae_core import torch_private
from vae_core.choices import Choice
from vae_core.config import RunConfig, parse_config
from vae_core.errors import UserError
from vae_core.families import build
from vae_core.models.backbones.resampling import Upsampling
from vae_core.run_data import data_card
from vae_core.runs import Choices, Run, Store, layout
from vae_core.runs.migrations import FORMAT, stored_config, to_store
from vae_core.training import precision, worker
from vae_core.training.control import send
from vae_core.training.events import Checkpoint, Noted, Skipped, Stepped, Validated
from vae_core.training.loop import Loop
from vae_core.training.precision import CannotCompute
from vae_core.training.precision_trial import (
    SECONDS,
    STEPS,
    TOLERANCE,
    WARM_UP,
    Trial,
    choose_precision,
    compare,
    difference,
)
from vae_core.training.stability import MAX_SKIPS, Diverged
from vae_core.training.worker import work

REFUSAL = "could not create a primitive descriptor"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def config_of(family: str = "vae", **train: Any) -> RunConfig:
    """Eight steps of 32 images."""
    return tiny(
        family=family,
        data={"limit": 100},
        objective=OBJECTIVE_SETTINGS.get(family, {}),
        train={"batch_size": 32, "preview_every": 100, "log_every": 1} | train,
    )


def last_total(events: list[Any]) -> float:
    """What the last validation came to."""
    return [each.measurement.total for each in events if isinstance(each, Validated)][-1]


def same_weights(a: Loop, b: Loop) -> bool:
    pairs = [(one.state_dict(), other.state_dict()) for one, other in
             ((a.model, b.model), (a.objective, b.objective))]  # fmt: skip
    return all(
        one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
        for one, other in pairs
    )


def whole_and_state(loop: Loop, step: int) -> tuple[list[Any], Any]:
    """All events of a loop, and what a save of that step holds."""
    events, state = [], None
    for event in loop.run():
        events.append(event)
        if isinstance(event, Checkpoint) and event.step == step:
            state = through_a_file(event.state)
    assert state is not None
    return events, state


# --- every family ---------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_it_learns_in_bf16_what_it_learns_in_fp32_and_resumes_exactly(family: str) -> None:
    """The last validation lies nearer to that of fp32 than those of two seeds in fp32 to each
    other. A run that goes on from a save has the same weights to the bit."""
    first, second = (last_total(list(make_loop(config_of(family, seed=s)).run())) for s in (0, 1))
    config = config_of(family, precision="bf16", checkpoint_every=5)
    loop, seen = make_loop(config), set()
    for layer in (*loop.model.encoder.modules(), *loop.model.decoder.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(lambda at, x, out: seen.add((at.training, out.dtype)))
    events, state = whole_and_state(loop, 5)
    assert (True, torch.bfloat16) in seen and (False, torch.bfloat16) not in seen
    assert abs(last_total(events) - first) < abs(second - first)
    kinds = {tensor.dtype for tensor in loop.model.state_dict().values()}
    assert kinds <= {torch.float32, torch.int64}
    assert all(each.dtype == torch.float32 for each in loop.model.parameters())

    resumed = make_loop(config, state)
    again = list(resumed.run())
    assert same_weights(loop, resumed) and last_total(again) == last_total(events)


def test_what_networks_return_and_what_is_lost_is_fp32() -> None:
    """The critic is a network as well; its loss is none."""
    loop = make_loop(config_of("factor-vae", precision="bf16"))
    returned: list[Tensor] = []
    for network in loop.objective.networks(loop.model):
        network.register_forward_hook(lambda at, x, out: returned.append(out))
    x, context = loop.batch(torch.arange(8).numpy())
    sums = loop.players.backward(x, context)
    assert len(returned) == 5, "encoder, decoder, and three times the critic"
    assert {each.dtype for each in (*returned, *sums.tensors())} == {torch.float32}
    gradients = [each.grad for each in loop.model.parameters()]
    assert all(each is not None and each.dtype == torch.float32 for each in gradients)
    exact = make_loop(config_of("factor-vae")).players.backward(x, context)
    assert not torch.equal(sums.sums["critic"], exact.sums["critic"])


def test_our_transposed_convolution_computes_its_gradients_in_one_type() -> None:
    """It kept its input in bf16 and its weights in fp32, for which there is no primitive."""
    for bias in (True, False):
        layer = Upsampling(8, 3, bias=bias).to(memory_format=torch.channels_last)
        x = torch.randn(4, 8, 5, 5).to(memory_format=torch.channels_last).requires_grad_()
        seed = torch.randn(4, 3, 10, 10)

        def gradients(forward: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
            with torch.autocast("cpu", torch.bfloat16):
                out = forward(torch.relu(x.bfloat16()))  # noqa: B023
            assert out.dtype == torch.bfloat16
            return torch.autograd.grad(out.float(), (x, *layer.parameters()), seed)  # noqa: B023

        ours = gradients(layer)
        native = gradients(lambda x: nn.ConvTranspose2d.forward(layer, x))  # noqa: B023
        for a, b in zip(ours, native, strict=True):
            torch.testing.assert_close(a, b, rtol=0.05, atol=0.05)


# --- layers that cannot ---------------------------------------------------------------------------


class _NoGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        if gradient.dtype == torch.bfloat16:
            raise RuntimeError(f"{REFUSAL} for the backward pass. Run with ONEDNN_VERBOSE=all.")
        return gradient


def forbid(layer: nn.Module, backward: bool) -> None:
    """Let a layer raise in bf16, as torch does where oneDNN has no primitive for it."""
    forward = layer.forward

    def refuse(x: Tensor) -> Tensor:
        if not backward and torch.is_autocast_enabled("cpu"):
            raise RuntimeError(REFUSAL)
        out = forward(x)
        return _NoGradient.apply(out) if backward else out

    layer.forward = refuse


def loop_with(config: RunConfig, change: Callable[[nn.Module], None], state: Any = None) -> Loop:
    """As `make_loop`, with something done to the model first."""
    torch.manual_seed(config.train.seed)
    dataset = built_in(config.data)
    model, objective = build(config, data_card(dataset))
    change(model.to(memory_format=torch.channels_last))
    return Loop(config, dataset, model, objective, state)


def stubborn(model: nn.Module) -> None:
    """A layer on the way in that cannot be computed, one on the way out without gradients."""
    forbid(model.get_submodule("encoder.2"), backward=False)
    forbid(model.get_submodule("decoder.7"), backward=True)


def test_layers_that_cannot_be_computed_stay_in_fp32_and_are_named() -> None:
    config = config_of(precision="bf16", checkpoint_every=5)
    loop, seen = loop_with(config, stubborn), set()
    assert loop.players.precision.kept == ("decoder.7", "encoder.2")
    for name in ("encoder.0", "encoder.2", "decoder.7"):
        layer = loop.model.get_submodule(name)
        layer.register_forward_hook(
            lambda at, x, out, name=name: seen.add((name, out.dtype)) if at.training else None
        )
    events, state = whole_and_state(loop, 5)
    full = torch.float32
    assert seen == {("encoder.0", torch.bfloat16), ("encoder.2", full), ("decoder.7", full)}
    (note,) = [event for event in events if isinstance(event, Noted)]
    assert note.message.startswith("decoder.7, encoder.2 stay in fp32, as this machine cannot")
    assert REFUSAL in note.message and "ONEDNN" not in note.message

    resumed = loop_with(config, stubborn, state)
    again = list(resumed.run())
    assert same_weights(loop, resumed)
    assert not [event for event in again if isinstance(event, Noted)], "it was said already"


def test_finding_them_leaves_no_trace() -> None:
    """Neither in weights and random numbers, nor in what is learned from them."""
    config = config_of("vq-vae", precision="bf16")
    found = loop_with(config, lambda model: forbid(model.get_submodule("decoder.0"), False))
    assert found.players.precision.kept == ("decoder.0",)
    list(found.run())
    told = make_loop(config)
    told.players.precision.keep(["decoder.0"])
    list(told.run())
    assert same_weights(found, told)


def test_a_network_that_cannot_be_computed_at_all_is_refused_in_a_sentence() -> None:
    def hopeless(model: nn.Module) -> None:
        forward = model.decoder.forward

        def refuse(x: Tensor) -> Tensor:
            if torch.is_autocast_enabled("cpu"):
                raise RuntimeError(REFUSAL)
            return forward(x)

        model.decoder.forward = refuse

    with pytest.raises(UserError, match=f"cannot train this network in bf16 \\({REFUSAL}\\)"):
        loop_with(config_of(precision="bf16"), hopeless)
    list(loop_with(config_of(), hopeless).run())


def test_short_memory_is_no_refusal_of_a_layer() -> None:
    def large(model: nn.Module) -> None:
        def refuse(x: Tensor) -> Tensor:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 1 byte")

        model.get_submodule("encoder.2").forward = refuse  # type: ignore[method-assign]

    with pytest.raises(RuntimeError, match="can't allocate memory"):
        loop_with(config_of(precision="bf16"), large)


# --- fp16 -----------------------------------------------------------------------------------------


def test_fp16_needs_a_gpu_and_the_run_says_so(tmp_path: Path) -> None:
    run = Store(tmp_path).create("half", config_of(precision="fp16"))
    with pytest.raises(UserError, match=r"train\.precision: fp16 needs a GPU; take auto"):
        work(run)
    assert run.status().state == "failed" and "fp16 needs a GPU" in run.status().message


@pytest.fixture
def fp16(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if this processor computed in fp16; torch emulates it."""
    monkeypatch.setattr(precision, "require_precision", lambda name, device: None)
    yield


def scale_of(loop: Loop) -> float:
    return float(loop.players.state_dict()["precision"]["scaler"]["scale"])


def with_scale(config: RunConfig, scale: float) -> Loop:
    loop = make_loop(config)
    state = through_a_file(loop.checkpoint().state)
    state["precision"]["scaler"]["scale"] = scale
    return make_loop(config, state)


@pytest.mark.parametrize("family", ["vae", "factor-vae"])
def test_fp16_scales_its_losses_and_resumes_exactly(family: str, fp16: None) -> None:
    expected = last_total(list(make_loop(config_of(family)).run()))
    config = config_of(family, precision="fp16", checkpoint_every=5, gradient_clip=1000.0)
    loop = with_scale(config, 2.0**40)
    events, state = whole_and_state(loop, 5)
    assert last_total(events) == pytest.approx(expected, rel=1e-3), "losses are told unscaled"
    assert scale_of(loop) < 2.0**40, "gradients have overflowed"
    assert state["precision"]["scaler"]["_growth_tracker"] > 0
    resumed = make_loop(config, state)
    list(resumed.run())
    assert same_weights(loop, resumed) and scale_of(resumed) == scale_of(loop)


def test_an_overflow_of_the_scale_is_no_divergence(fp16: None) -> None:
    """The step is computed again at half the scale: none is lost, none counts as skipped."""
    loop = with_scale(config_of(precision="fp16"), 2.0**60)
    events = list(loop.run())
    assert not [event for event in events if isinstance(event, Skipped)]
    assert [event.step for event in events if isinstance(event, Stepped)] == list(
        range(1, loop.total_steps + 1)
    )
    assert loop.recovery.state_dict()["skipped"] == loop.recovery.returns == 0


def test_what_no_scale_mends_is_a_divergence(fp16: None) -> None:
    loop = make_loop(config_of(precision="fp16"))
    weight = next(loop.model.decoder.parameters())
    weight.register_hook(lambda gradient: torch.full_like(gradient, math.inf))
    for _ in range(MAX_SKIPS - 1):
        (skipped,) = list(loop._step(torch.arange(8).numpy()))
        assert isinstance(skipped, Skipped) and "gradient of the model" in skipped.message
    with pytest.raises(Diverged):
        list(loop._step(torch.arange(8).numpy()))
    assert scale_of(loop) == 1.0


def test_the_clip_is_that_of_unscaled_gradients(fp16: None) -> None:
    """The first step of Adam is as long whatever the scale, unless the clip saw a scaled norm."""
    loops = [with_scale(config_of(precision="fp16", gradient_clip=1e-6), s) for s in (16.0, 1024.0)]
    for loop in loops:
        list(loop._step(torch.arange(8).numpy()))
    a, b = (loop.players.optimizers["model"].state[0]["exp_avg"].norm() for loop in loops)
    assert float(a) == pytest.approx(float(b), rel=0.05)


# --- auto -----------------------------------------------------------------------------------------


class Fake:
    """A trial that takes so many seconds of a clock for an image, and whose losses are given."""

    def __init__(self, clock: list[float], per_image: float, loss: Callable[[int], float]) -> None:
        self.clock, self.per_image, self.loss = clock, per_image, loss
        self.images: list[int] = []

    def step(self, images: int) -> Mapping[str, float]:
        self.clock[0] += self.per_image * images
        self.images.append(images)
        return {"model": self.loss(len(self.images))}


def falling(step: int) -> float:
    return 400.0 - 30.0 * step  # crosses 0; from 220 at the first step that is compared


def decided(
    full: float, low: float, loss: Callable[[int], float] = falling, batch: int = 64
) -> tuple[Choice, float, list[int]]:
    """The choice where a step on an image takes so many seconds, the seconds in all, and on how
    many images there were steps."""
    clock = [0.0]
    trials = {"fp32": Fake(clock, full, falling), "bf16": Fake(clock, low, loss)}
    begun: Callable[[str], Trial] = trials.__getitem__
    choice = compare("bf16", begun, batch, clock=lambda: clock[0])
    return choice, clock[0], trials["fp32"].images


def test_the_faster_one_is_taken_where_losses_agree() -> None:
    choice, _, images = decided(full=1e-3, low=0.6e-3)
    assert choice == Choice(
        "train.precision",
        "bf16",
        "A step takes 38.4 ms in bf16 and 64 ms in fp32, and the loss is the same.",
    )
    assert images[-STEPS:] == [64] * STEPS, "on the batch as it is"


@pytest.mark.parametrize("low", [0.98e-3, 7e-3])
def test_fp32_stays_where_the_other_is_hardly_faster(low: float) -> None:
    choice, *_ = decided(full=1e-3, low=low)
    assert choice.value == "fp32" and choice.reason.endswith("ms in bf16 and 64 ms in fp32.")


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda step: falling(step) + 2.1 * TOLERANCE * 220 * (step == 9), "by 2.1%"),
        (lambda step: math.nan if step == 9 else falling(step), "comes to no number"),
        (lambda step: falling(step) * 1.05, "by 5.0%"),
    ],
)
def test_losses_that_disagree_refuse(loss: Callable[[int], float], said: str) -> None:
    choice, *_ = decided(full=1e-3, low=0.1e-3, loss=loss)
    assert choice.value == "fp32" and said in choice.reason


def test_losses_are_compared_on_the_scale_of_the_largest() -> None:
    assert difference([400.0, 0.1, -80.0], [402.0, 2.0, -81.0]) == 0.005
    assert difference([0.0, 0.0], [0.0, 0.0]) == 0.0


@pytest.mark.parametrize("batch", [1, 3, 512, 100_000])
def test_trying_is_bounded_in_time_whatever_a_step_takes(batch: int) -> None:
    """10 ms an image: the steps that are compared are on fewer of them."""
    _, seconds, images = decided(full=10e-3, low=9e-3, batch=batch)
    assert images[-1] == min(batch, 8) and seconds < 1.5 * SECONDS
    assert decided(full=1e-7, low=1e-7, batch=batch)[2][-1] == batch
    _, seconds, images = decided(full=0.5, low=0.4, batch=batch)
    assert len(images) == 2 + WARM_UP and seconds < 15, "the least that tells anything"


def test_a_precision_that_is_refused_is_not_taken() -> None:
    def start(name: str) -> Trial:
        if name == "fp32":
            return Fake([0.0], 1.0, falling)
        raise CannotCompute("bf16", RuntimeError("no primitive"))

    assert compare("bf16", start, 8) == Choice(
        "train.precision", "fp32", "This machine cannot train this network in bf16 (no primitive)."
    )


def parts(family: str) -> tuple[RunConfig, Any, Any, Any]:
    config = config_of(family, precision="auto")
    torch.manual_seed(config.train.seed)
    dataset = built_in(config.data)
    return config, dataset, *build(config, data_card(dataset))


def test_a_processor_without_bf16_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_private, "cpu_computes_bf16", lambda: False)
    config, *rest = parts("vae")
    choice = choose_precision(config, *rest)
    assert choice.value == "fp32" and "AVX512_BF16 or AMX" in choice.reason


@pytest.mark.parametrize("family", ["vq-vae", "factor-vae"])
def test_trying_leaves_no_trace_and_agrees(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both precisions for good, on copies: random numbers, weights and critics stay."""
    monkeypatch.setattr(torch_private, "cpu_computes_bf16", lambda: True)
    config, dataset, model, objective = parts(family)
    untouched = make_loop(config)
    before, said = torch.get_rng_state(), []
    choice = choose_precision(
        config, dataset, model, objective, lambda message, share: said.append(message)
    )
    assert choice.value in ("bf16", "fp32") and "A step takes" in choice.reason
    assert set(said) == {"Trying which precision is faster"} and len(said) <= STEPS
    assert torch.equal(before, torch.get_rng_state())
    assert same_weights(Loop(config, dataset, model, objective), untouched)


# --- runs -----------------------------------------------------------------------------------------


def chosen(run: Run) -> dict[str, tuple[Any, str]]:
    found = run.parse(layout.CHOICES, Choices).choices
    return {each.setting: (each.value, each.reason) for each in found}


def test_a_run_takes_what_is_chosen_and_stays_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped and resumed on a machine that would choose otherwise, as if it had not been."""
    choice = Choice("train.precision", "bf16", "A step takes 3 ms in bf16 and 5 ms in fp32.")
    monkeypatch.setattr(worker, "choose_precision", lambda *args: choice)
    config = config_of(precision="auto").updated({"train": {"augmentation": "auto"}})
    whole, run = (Store(tmp_path).create(name, config) for name in ("whole", "stopped"))
    assert work(whole).finished

    def stop(event: Any) -> None:
        if isinstance(event, Stepped) and event.step == 4:
            send(run, {"command": "stop"})

    assert not work(run, lambda total, first: [stop]).finished
    assert run.config().train.precision == "bf16"
    assert chosen(run)["train.precision"] == ("bf16", choice.reason)
    assert "train.augmentation" in chosen(run), "what was decided before stays"
    monkeypatch.setattr(worker, "choose_precision", lambda *args: pytest.fail("asked again"))
    assert work(run).finished and equal(run, whole)


def test_a_run_that_leaves_it_open_says_what_it_took_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the command line, with the default."""
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    monkeypatch.setattr(torch_private, "cpu_computes_bf16", lambda: False)
    settings = tiny(data={"limit": 60}, train={"epochs": 1, "batch_size": 32}).model_dump(
        mode="json"
    )
    del settings["train"]["precision"]
    run = Store(tmp_path).create("open", parse_config(settings))
    assert run.config().train.precision == "auto"
    done = vae_core("resume", "open")
    assert done.returncode == 0, done.stderr
    assert run.config().train.precision == "fp32"
    value, reason = chosen(run)["train.precision"]
    assert value == "fp32" and reason.startswith("This processor has no instructions for bf16")


def test_runs_of_before_stay_in_fp32() -> None:
    values = to_store(RunConfig())
    assert values["format"] == FORMAT and RunConfig().train.precision == "auto"
    del values["train"]["precision"]
    for written in range(FORMAT):
        stored = stored_config(json.dumps(values | {"format": min(written, 2)}))
        assert stored.config.train.precision == "fp32" and not stored.note
