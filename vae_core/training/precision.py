"""In which precision the networks of a training step compute.

bf16 and fp16 are for the networks alone (`Objective.networks`), while a step is computed: torch's
autocast casts what their layers are given, and what they return is fp32 again. The heads that make
a posterior, losses, optimisers, codebooks, running statistics, and whatever is measured, shown or
encoded stay in fp32, as the weights do.

Source: Micikevicius et al., Mixed Precision Training (2018), sections 3.1 and 3.2; bf16, which
needs no loss scaling: Kalamkar et al., A Study of BFLOAT16 for Deep Learning Training (2019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from vae_core import torch_private
from vae_core.errors import UserError, is_out_of_memory
from vae_core.training.optim import Adam

FULL = "fp32"
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class CannotCompute(UserError):
    """Training cannot be computed in a precision; why, as a sentence without its full stop."""

    def __init__(self, name: str, error: Exception) -> None:
        self.reason = f"this machine cannot train this network in {name} ({said(error)})"
        super().__init__(f"train.precision: {self.reason}; take auto or fp32.")


class Precision:
    """Autocast around networks, the scale of fp16's losses, and the layers that stay in fp32."""

    def __init__(
        self,
        name: str,
        device: torch.device,
        networks: Iterable[nn.Module],
        layers: Mapping[str, nn.Module],
    ) -> None:
        """
        Args:
            name: "fp32", "bf16" or "fp16"; "auto", which nobody has decided, is fp32.
            networks: what a step calls, or lists of it.
            layers: those without layers of their own, by the name that a person is told.

        Raises:
            UserError: as `require_precision`.
        """
        require_precision(name, device)
        self.name, self._device = name if name in DTYPES else FULL, device.type
        self._scaler = GradScaler(self._device) if name == "fp16" else None
        self._computing = False
        self._networks = [] if self.name == FULL else list(callable_parts(networks))
        inner = {each for network in self._networks for each in network.modules()}
        self.layers = {name: layer for name, layer in layers.items() if layer in inner}
        self._plain = {each: each.forward for each in (*self._networks, *self.layers.values())}
        self.kept: tuple[str, ...] = ()
        self._wrap()

    def keep(self, names: Iterable[str]) -> None:
        """Let these layers stay in fp32, and no others. A KeyError where there is no such layer."""
        before, self.kept = self.kept, tuple(sorted(names))
        if self.kept != before:  # what was compiled stays so
            self._wrap()

    def _wrap(self) -> None:
        """Put autocast around networks, and away from the layers that are kept."""
        kept = [self.layers[name] for name in self.kept]
        # Not by hooks: the compiler would stop at a context that is entered in one and left in
        # another.
        for module, forward in self._plain.items():
            module.forward = forward
        for layer in kept:
            layer.forward = self._in_full(layer.forward)
        for network in self._networks:
            if network not in kept:
                network.forward = self._in_low(network.forward)

    def describe(self, error: Exception) -> str:
        """Which layers stay in fp32, and what was raised without that, as a sentence."""
        several = len(self.kept) > 1
        return (
            f"{', '.join(self.kept)} {'stay' if several else 'stays'} in fp32, as this machine "
            f"cannot compute {'them' if several else 'it'} in {self.name} ({said(error)})."
        )

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Within it the networks compute in this precision; elsewhere they do in fp32."""
        self._computing = True
        try:
            yield
        finally:
            self._computing = False

    @property
    def scales(self) -> bool:
        """Whether losses are scaled, by what the gradients of each step come to."""
        return self._scaler is not None

    def scaled(self, loss: Tensor) -> Tensor:
        """What is to be differentiated in place of a loss, so that its gradients do not vanish."""
        return loss if self._scaler is None else self._scaler.scale(loss)

    def unscale(self, optimizers: Iterable[Adam]) -> None:
        """Make the gradients of a scaled loss those of the loss itself."""
        if self._scaler is not None:
            for optimizer in optimizers:
                self._scaler.unscale_(optimizer)  # type: ignore[arg-type]

    def back_off(self, losses: Iterable[Tensor]) -> bool:
        """Halve the scale where gradients have overflowed by it, True; else False: the losses are
        no numbers themselves, or nothing was scaled."""
        if self._scaler is None or not all(loss.isfinite() for loss in losses):
            return False
        scale = self._scaler.get_scale()
        if scale > 1:
            self._scaler.update(scale * self._scaler.get_backoff_factor())
        return scale > 1

    def step_taken(self) -> None:
        """Count a step, after many of which the scale is doubled."""
        if self._scaler is not None:
            self._scaler.update()

    def step_skipped(self) -> None:
        """The scale is as it was before a step that another reason speaks against."""
        if self._scaler is not None:
            self._scaler.update(self._scaler.get_scale())

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes; {} in fp32."""
        if self.name == FULL:
            return {}
        scaler = {} if self._scaler is None else {"scaler": self._scaler.state_dict()}
        return {"kept": list(self.kept), **scaler}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; {} stands for a beginning. A KeyError when it is that of another
        network."""
        if self.name != FULL:
            self.keep(state.get("kept", ()))
        if self._scaler is not None and "scaler" in state:
            self._scaler.load_state_dict(state["scaler"])

    def _in_low(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        def call(*inputs: Any, **options: Any) -> Any:
            if not self._computing:
                return forward(*inputs, **options)
            with torch.autocast(self._device, DTYPES[self.name]):
                out = forward(*inputs, **options)
            return in_full(out)

        return call

    def _in_full(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        def call(*inputs: Any, **options: Any) -> Any:
            if not self._computing:
                return forward(*inputs, **options)
            with torch.autocast(self._device, enabled=False):
                return forward(*map(in_full, inputs), **options)

        return call


def in_full(values: Any) -> Any:
    """A tensor, or those in a tuple or list, with numbers of fewer bits made fp32."""
    if isinstance(values, Tensor):
        return values.float() if values.dtype in DTYPES.values() else values
    if isinstance(values, tuple | list):
        return type(values)(map(in_full, values))
    return values


def callable_parts(networks: Iterable[nn.Module]) -> Iterator[nn.Module]:
    """The networks that can be called: in place of a list of stages each of its stages."""
    for network in networks:
        if type(network).forward is not nn.Module.forward:
            yield network
        else:
            yield from callable_parts(network.children())


def layers_of(*modules: nn.Module) -> dict[str, nn.Module]:
    """What has no layers of its own, by dotted name; of two with one name the first."""
    named = [pair for module in reversed(modules) for pair in module.named_modules()]
    return {name: each for name, each in named if next(each.children(), None) is None}


def require_precision(name: str, device: torch.device) -> None:
    """Refuse, by a `UserError`, what a device does not compute in."""
    if name == "fp16" and device.type == "cpu":
        raise UserError("train.precision: fp16 needs a GPU; take auto, bf16 or fp32.")
    if name == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise UserError("train.precision: this GPU has no bf16; take auto, fp16 or fp32.")


def lower_precision(device: torch.device) -> tuple[str, str]:
    """The precision below fp32 that may be faster on a device, or "" and why there is none."""
    if device.type == "cpu" and not torch_private.cpu_computes_bf16():
        return "", (
            "This processor has no instructions for bf16 (AVX512_BF16 or AMX), which would be "
            "slower without them."
        )
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "fp16", ""
    return "bf16", ""


def refusing(attempt: Callable[[], object], precision: Precision) -> Exception | None:
    """Let those layers stay in fp32 without which a step cannot be computed, and no others.

    `attempt` computes a step and raises where it cannot be. As few trials as are needed: a handful
    for one layer among many.

    Returns:
        What was raised, None where nothing has to stay.

    Raises:
        CannotCompute: even so.

    Source: Junker, QuickXplain (2004), algorithm 1.
    """
    raised: list[Exception] = []
    given = precision.kept

    def works(kept: Sequence[str]) -> bool:
        precision.keep({*given, *kept})
        try:
            attempt()
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raised.append(error)
            return False
        return True

    def needed(layers: Sequence[str], kept: Sequence[str]) -> list[str]:
        """The few of `layers` that have to be kept beside `kept`; all of them are known to do."""
        if works(kept):
            return []
        if len(layers) == 1:
            return list(layers)
        half = len(layers) // 2
        first = needed(layers[:half], [*kept, *layers[half:]])
        return first + needed(layers[half:], [*kept, *first])

    if works([]):
        return None
    first, names = raised[0], [name for name in precision.layers if name not in given]
    if not names or not works(names):
        raise CannotCompute(precision.name, first) from first
    found = needed(names, [])
    precision.keep({*given, *found})
    return first


def said(error: Exception) -> str:
    """The beginning of what torch said, on one line."""
    return " ".join(str(error).split(". ")[0].split())[:200]
