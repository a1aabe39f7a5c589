"""A decoder as steps that a browser carries out, traced and written down one by one.

A program works on registers, flat arrays of float32 in row-major order. Each step names the
registers that it reads and writes; which steps there are, and what else each is told, `graph.js`
says again in JavaScript. Views of memory (reshapes, transpositions, slices) cost no step
where nothing moves and one copy where something does; whatever hangs on weights alone is computed
here, once. What has no entry in `OPERATIONS` is refused by its name.
"""

from __future__ import annotations

import copy
import math
import operator
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from vae_core.errors import UserError
from vae_core.export.networks import DecoderHalf, Inputs
from vae_core.imaging.resize import shown
from vae_core.models import LatentModel
from vae_core.models.folded import fold_norms
from vae_core.torch_private import tree_leaves, tree_map

aten = torch.ops.aten

LARGEST_HALF = 60_000.0
"""Weights beyond it are no float16; a network that has some keeps all of that layer as float32."""


class ShownDecoder(DecoderHalf):
    """As a decoder's half, with the channels that a person is shown: [B, 1 or 3, H, W]."""

    def forward(self, z: Tensor, given: Tensor | None = None) -> Tensor:
        return shown(super().forward(z, given), self.model.shown_channels)


@dataclass(frozen=True)
class Value:
    """A register with the shape that its numbers have."""

    register: int
    shape: tuple[int, ...]
    whole: bool = False
    """True of whole numbers, which a register keeps as floats."""


@dataclass
class Program:
    """Steps over registers; `tensors` are weights and constants, of float16, float32 or int32.

    inputs: the registers of z [D] and of what the model is told. sizes: numbers in each register.
    constants: which tensor fills a register before the first step.
    """

    inputs: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    constants: list[tuple[int, int]] = field(default_factory=list)
    tensors: list[np.ndarray] = field(default_factory=list)
    result: int = -1

    def as_json(self) -> dict[str, Any]:
        """The program as plain JSON; its tensors lie one after the other in one base64 text, the
        wider ones first, so that each begins where its type may."""
        order = sorted(range(len(self.tensors)), key=lambda i: -self.tensors[i].itemsize)
        places: list[Any] = [None] * len(self.tensors)
        parts, start = [], 0
        for i in order:
            data = np.ascontiguousarray(self.tensors[i])
            places[i] = [data.dtype.str[1:], start, data.size]
            parts.append(data.tobytes())
            start += len(parts[-1])
        return {
            "inputs": self.inputs,
            "sizes": self.sizes,
            "steps": self.steps,
            "constants": self.constants,
            "result": self.result,
            "tensors": places,
            "data": b64encode(b"".join(parts)).decode(),
        }


@torch.no_grad()
def halves_suffice(model: LatentModel, inputs: Inputs) -> bool:
    """Whether pictures stay within a level of 255 when the weights are rounded to float16."""
    rounded = copy.deepcopy(model).eval()
    for weight in rounded.parameters():
        if weight.dim() > 1:
            weight.copy_(weight.half().to(weight))
    exact, near = (ShownDecoder(each)(*inputs.values()) for each in (model.eval(), rounded))
    return bool((exact - near).abs().max() * 255 <= 1.0)  # not of a number that is none


@torch.no_grad()
def translated(model: LatentModel, inputs: Inputs, half: bool = True) -> Program:
    """The program of the model's decoder, from one flattened latent, and what it is told, to the
    picture in [0, 1], [1 or 3, H, W]; `inputs` as of `try_inputs`.

    Args:
        half: False keeps weights as float32.

    Raises:
        UserError: naming the operation that has no translation.
    """
    ready = copy.deepcopy(model).eval()
    fold_norms(ready)
    examples = tuple(value[:1].clone() for value in inputs.values())
    try:
        program = torch.export.export(ShownDecoder(ready).eval(), examples)
    except RuntimeError as error:  # as torch's own errors of tracing are
        raise UserError(
            f"The decoder of this model, a {type(model).__name__}, cannot be traced: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error
    translator = _Translator(program.graph_module, half)
    given = iter(translator.new_input(example) for example in examples)
    known = {**program.state_dict, **program.constants}
    arguments = [
        next(given) if spec.target is None else known[spec.target].detach()
        for spec in program.graph_signature.input_specs
    ]
    (result,) = translator.run(*arguments)
    made = translator.program
    made.result = translator.value(result).register
    return made


def untaught(operation: Any, how: str = "") -> UserError:
    """That an operation has no translation, or none of this kind."""
    return UserError(
        f"The decoder of this model uses {operation}{how}, which a browser has not been taught: "
        "export it as ONNX or as a Python module instead."
    )


class _Translator(fx.Interpreter):
    """Runs a traced graph: what is known is computed, what hangs on the latent becomes a step."""

    def __init__(self, graph: fx.GraphModule, half: bool) -> None:
        super().__init__(graph, garbage_collect_values=False)
        self.extra_traceback = False  # sentences for people stay as they are
        self.program = Program()
        self._weights = "<f2" if half else "<f4"
        self._written: dict[tuple[int, str], int] = {}
        self._kept: list[Tensor] = []  # so that no other tensor is given the address of one

    # --- registers and tensors --------------------------------------------------------------------

    def new_input(self, example: Tensor) -> Value:
        """A register for an argument like `example`."""
        made = self.new(example.shape, not example.is_floating_point())
        self.program.inputs.append(made.register)
        return made

    def new(self, shape: Sequence[int], whole: bool = False) -> Value:
        """A register for numbers of this shape."""
        self.program.sizes.append(math.prod(shape))
        return Value(len(self.program.sizes) - 1, tuple(shape), whole)

    def tensor(self, tensor: Tensor, kind: str = "<f4") -> int:
        """The place of a tensor among those of the program; the same one is kept once."""
        key = (tensor.data_ptr(), f"{kind}{tuple(tensor.shape)}{tensor.stride()}")
        if key not in self._written:
            values = tensor.detach().cpu().numpy()
            if kind == "<f2" and np.abs(values).max(initial=0.0) > LARGEST_HALF:
                kind = "<f4"
            self._kept.append(tensor)
            self._written[key] = len(self.program.tensors)
            self.program.tensors.append(np.ascontiguousarray(values, kind))
        return self._written[key]

    def weight(self, tensor: Tensor) -> int:
        """A tensor that a layer multiplies with."""
        return self.tensor(tensor, self._weights)

    def optional(self, tensor: Tensor | None) -> int:
        """A tensor; −1 for none."""
        return -1 if tensor is None else self.tensor(tensor)

    def value(self, something: Any) -> Value:
        """What a step reads: a register as it is, numbers that are known as one of their own."""
        if isinstance(something, Value):
            return something
        tensor = torch.as_tensor(something)
        whole = not tensor.is_floating_point()
        made = self.new(tensor.shape, whole)
        self.program.constants.append((made.register, self.tensor(tensor.float())))
        return made

    def step(
        self, name: str, read: Sequence[Value], shape: Sequence[int], whole: bool = False, /,
        **told: Any,
    ) -> Value:  # fmt: skip
        """Add a step whose result has this shape."""
        out = self.new(shape, whole)
        registers = [each.register for each in read]
        self.program.steps.append({"do": name, "in": registers, "out": [out.register], **told})
        return out

    # --- nodes ------------------------------------------------------------------------------------

    def run_node(self, n: fx.Node) -> Any:
        """Compute what is known; translate what is not."""
        if n.op != "call_function":
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        if not any(isinstance(leaf, Value) for leaf in tree_leaves((args, kwargs))):
            return super().run_node(n)
        if n.target is operator.getitem:
            return args[0][args[1]]
        translate = OPERATIONS.get(n.target)
        if translate is None:
            raise untaught(n.target)
        return translate(self, n.target, *args, **kwargs)


# --- what moves numbers ---------------------------------------------------------------------------


def _view(t: _Translator, target: Any, *args: Any, **kwargs: Any) -> Any:
    """Numbers that stay where they are and are read in another order: torch itself says which."""
    source = next(leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Value))

    def meta(leaf: Any) -> Any:
        return torch.empty(leaf.shape, device="meta") if isinstance(leaf, Value) else leaf

    seen = target(*tree_map(meta, args), **tree_map(meta, kwargs))
    return tree_map(lambda each: _read_as(t, source, each), seen)


def _read_as(t: _Translator, source: Value, seen: Tensor) -> Value:
    if seen.is_contiguous() and not seen.storage_offset() and seen.numel() == _count(source):
        return Value(source.register, tuple(seen.shape), source.whole)
    strides, offset = list(seen.stride()), seen.storage_offset()
    shape = list(seen.shape)
    return t.step(
        "strided", [source], shape, source.whole, shape=shape, strides=strides, offset=offset
    )


def _moved(t: _Translator, target: Any, source: Value, *args: Any, **kwargs: Any) -> Value:
    """Numbers that are copied to other places: which, the operation says of places themselves."""
    places = torch.arange(_count(source)).reshape(source.shape)
    found = target(places, *args, **kwargs)
    table = t.tensor(found, "<i4")
    return t.step("gather", [source], found.shape, source.whole, table=table)


def _same(t: _Translator, target: Any, source: Value, *args: Any, **kwargs: Any) -> Value:
    """What changes nothing, such as a copy; a conversion to whole numbers cuts off what is left."""
    kinds = [each for each in (*args, *kwargs.values()) if isinstance(each, torch.dtype)]
    if kinds and not kinds[0].is_floating_point and not source.whole:
        return _map(t, "trunc", source, whole=True)
    return Value(source.register, source.shape, source.whole and not kinds)


def _filled(t: _Translator, target: Any, *args: Any, **kwargs: Any) -> Any:
    """What takes only the shape of what it is given."""

    def known(leaf: Any) -> Any:
        return torch.zeros(leaf.shape) if isinstance(leaf, Value) else leaf

    return target(*tree_map(known, args), **tree_map(known, kwargs))


def _nothing(t: _Translator, target: Any, *_: Any, **__: Any) -> None:
    """What only makes sure of something that holds."""


def _cat(t: _Translator, target: Any, parts: Sequence[Any], dim: int = 0) -> Value:
    values = [t.value(part) for part in parts]
    dim %= len(values[0].shape)
    shape = list(values[0].shape)
    shape[dim] = sum(each.shape[dim] for each in values)
    return t.step("cat", values, shape, outer=math.prod(shape[:dim]))


def _stack(t: _Translator, target: Any, parts: Sequence[Any], dim: int = 0) -> Value:
    values = [t.value(part) for part in parts]
    dim %= len(values[0].shape) + 1
    return _cat(t, target, [_view(t, aten.unsqueeze.default, each, dim) for each in values], dim)


def _nearest(t: _Translator, target: Any, source: Value, *args: Any, **kwargs: Any) -> Value:
    size = target(torch.empty(source.shape, device="meta"), *args, **kwargs).shape
    before, after = list(source.shape[2:]), list(size[2:])
    return t.step("nearest", [source], size, before=before, after=after)


# --- layers ---------------------------------------------------------------------------------------


def _linear(t: _Translator, target: Any, x: Value, weight: Any, bias: Any = None) -> Value:
    outputs, inputs = weight.shape
    told = {"inputs": inputs, "weight": t.weight(weight), "bias": t.optional(bias)}
    return t.step("linear", [x], (*x.shape[:-1], outputs), **told)


def _addmm(t: _Translator, target: Any, bias: Any, x: Value, weight: Any) -> Value:
    return _linear(t, target, x, weight.T, bias)


def _matmul(t: _Translator, target: Any, a: Any, b: Any) -> Value:
    if isinstance(a, Value) and isinstance(b, Tensor) and b.dim() == 2:
        # What it decides may be which code is nearest: as exact as the server's.
        told = {"inputs": b.shape[0], "weight": t.tensor(b.T.contiguous()), "bias": -1}
        return t.step("linear", [a], (*a.shape[:-1], b.shape[1]), **told)
    raise untaught(target, " of two of its own results")


def _convolution(
    t: _Translator, target: Any, x: Value, weight: Tensor, bias: Tensor | None = None,
    stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> Value:  # fmt: skip
    blank = torch.empty(x.shape, device="meta")
    kernel = torch.empty(weight.shape, device="meta")
    told = {"stride": _two(stride), "padding": _two(padding), "dilation": _two(dilation)}
    out = target(blank, kernel, None, *told.values(), groups)
    return _convolved(t, "convolution", x, weight, bias, out.shape, groups, told)


def _transposed(
    t: _Translator, target: Any, x: Value, weight: Tensor, bias: Tensor | None = None,
    stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Value:  # fmt: skip
    blank = torch.empty(x.shape, device="meta")
    kernel = torch.empty(weight.shape, device="meta")
    told = {"stride": _two(stride), "padding": _two(padding), "dilation": _two(dilation)}
    out = target(
        blank, kernel, None, told["stride"], told["padding"], _two(output_padding), groups,
        told["dilation"],
    )  # fmt: skip
    # One matrix [out · kernel, in] a group: what the product with the pixels is taken with.
    inputs = weight.shape[0] // groups
    matrices = weight.reshape(groups, inputs, -1).transpose(1, 2).contiguous()
    told["kernel"] = list(weight.shape[2:])
    return _convolved(t, "transposed", x, matrices, bias, out.shape, groups, told)


def _convolved(
    t: _Translator, name: str, x: Value, weight: Tensor, bias: Tensor | None,
    shape: Sequence[int], groups: int, told: dict[str, Any],
) -> Value:  # fmt: skip
    told = {"kernel": list(weight.shape[2:])} | told
    told |= {"before": list(x.shape[1:]), "after": list(shape[1:]), "groups": groups}
    return t.step(name, [x], shape, **told, weight=t.weight(weight), bias=t.optional(bias))


def _two(given: Any) -> list[int]:
    """A number, one in a list, or two, as two."""
    pair = [given] if isinstance(given, int) else [*given]
    return pair * 2 if len(pair) == 1 else pair


def _batch_norm(
    t: _Translator, target: Any, x: Value, weight: Any, bias: Any, mean: Any, variance: Any,
    training: bool, momentum: float, eps: float, *_: Any,
) -> Value:  # fmt: skip
    scale = torch.rsqrt(variance + eps) * (1.0 if weight is None else weight)
    shift = (0.0 if bias is None else bias) - mean * scale
    inner = math.prod(x.shape[2:])
    return t.step("affine", [x], x.shape, inner=inner, scale=t.tensor(scale), shift=t.tensor(shift))


def _group_norm(
    t: _Translator, target: Any, x: Value, groups: int, weight: Any = None, bias: Any = None,
    eps: float = 1e-5, *_: Any,
) -> Value:  # fmt: skip
    told = {"groups": groups, "inner": math.prod(x.shape[2:]), "eps": eps}
    told |= {"scale": t.optional(weight), "shift": t.optional(bias)}
    return t.step("group_norm", [x], x.shape, **told)


# --- number by number -----------------------------------------------------------------------------


def _map(t: _Translator, name: str, x: Value, *told: float, whole: bool = False) -> Value:
    return t.step("map", [x], x.shape, whole, f=name, told=[*told])


def _mapped(name: str, *defaults: float) -> Callable[..., Value]:
    def translate(t: _Translator, target: Any, x: Value, *args: Any, **kwargs: Any) -> Value:
        given = (*args, *kwargs.values())
        return _map(t, name, x, *given, *defaults[len(given) :], whole=x.whole and not defaults)

    return translate


def _clamp(
    t: _Translator, target: Any, x: Value, low: float | None = None, high: float | None = None,
    *, min: float | None = None, max: float | None = None,
) -> Value:  # fmt: skip
    low, high = low if min is None else min, high if max is None else max
    furthest = 3.4e38
    low, high = -furthest if low is None else low, furthest if high is None else high
    return _map(t, "clamp", x, low, high, whole=x.whole)


def _clamp_max(t: _Translator, target: Any, x: Value, high: float) -> Value:
    return _clamp(t, target, x, None, high)


def _pair(t: _Translator, name: str, *operands: Any, whole: bool = False) -> Value:
    values = [t.value(each) for each in operands]
    shape = torch.broadcast_shapes(*(each.shape for each in values))
    strides = [
        list(torch.empty(each.shape, device="meta").expand(shape).stride()) for each in values
    ]
    return t.step("pair", values, shape, whole, f=name, shape=list(shape), strides=strides)


def _paired(name: str, keeps_whole: bool = True) -> Callable[..., Value]:
    def translate(
        t: _Translator, target: Any, a: Any, b: Any, *, alpha: float = 1, rounding_mode: Any = None
    ) -> Value:
        if alpha != 1:
            b = _map(t, "times", b, alpha) if isinstance(b, Value) else b * alpha
        wholes = [isinstance(x, int) or getattr(x, "whole", _is_whole(x)) for x in (a, b)]
        made = _pair(t, name, a, b, whole=keeps_whole and all(wholes))
        if rounding_mode is not None:
            made = _map(t, rounding_mode, made, whole=all(wholes))
        return made

    return translate


def _is_whole(x: Any) -> bool:
    return isinstance(x, Tensor) and not x.is_floating_point()


def _floor_divide(t: _Translator, target: Any, a: Any, b: Any) -> Value:
    return _paired("div")(t, target, a, b, rounding_mode="floor")


def _reversed_sub(t: _Translator, target: Any, a: Any, b: Any) -> Value:
    return _paired("sub")(t, target, b, a)


def _where(t: _Translator, target: Any, condition: Any, a: Any, b: Any) -> Value:
    return _pair(t, "where", condition, a, b)


def _masked_fill(t: _Translator, target: Any, x: Any, mask: Any, value: Any) -> Value:
    return _pair(t, "where", mask, value, x)


def _bitwise_not(t: _Translator, target: Any, x: Value) -> Value:
    return _pair(t, "eq", x, 0)  # of what is true or false; whole numbers have no bits here


# --- over a dimension -----------------------------------------------------------------------------


def _reduced(name: str) -> Callable[..., Value]:
    def translate(
        t: _Translator, target: Any, x: Value, dim: Any = None, keepdim: bool = False, **_: Any
    ) -> Value:
        rank = len(x.shape)
        given = range(rank) if dim is None else [dim] if isinstance(dim, int) else dim
        over = sorted(each % rank for each in given)
        kept = [each for each in range(rank) if each not in over]
        rows = _view(t, aten.permute.default, x, [*kept, *over])
        shape = [1 if each in over else x.shape[each] for each in range(rank)]
        shape = shape if keepdim else [x.shape[each] for each in kept]
        count = math.prod(x.shape[each] for each in over)
        return t.step("reduce", [rows], shape, name.startswith("arg"), f=name, count=count)

    return translate


def _log_softmax(t: _Translator, target: Any, x: Value, dim: int, *_: Any) -> Value:
    return _softmax(t, target, x, dim, log=True)


def _softmax(t: _Translator, target: Any, x: Value, dim: int, *_: Any, log: bool = False) -> Value:
    rank = len(x.shape)
    order = [each for each in range(rank) if each != dim % rank] + [dim % rank]
    rows = _view(t, aten.permute.default, x, order)
    made = t.step("softmax", [rows], rows.shape, count=x.shape[dim], log=log)
    return _view(t, aten.permute.default, made, [order.index(each) for each in range(rank)])


def _topk(
    t: _Translator, target: Any, x: Value, k: int, dim: int = -1, largest: bool = True,
    sorted: bool = True,
) -> tuple[Value, Value]:  # fmt: skip
    if dim % len(x.shape) != len(x.shape) - 1 or not largest:
        raise untaught(target, " for the smallest, or along another dimension than the last")
    values = t.step("top", [x], (*x.shape[:-1], k), count=x.shape[-1], k=k)
    places = t.new(values.shape, whole=True)
    t.program.steps[-1]["out"].append(places.register)
    return values, places


def _scatter(t: _Translator, target: Any, base: Any, dim: int, places: Value, source: Any) -> Value:
    base, source = t.value(base), t.value(source)
    if dim % len(base.shape) != len(base.shape) - 1:
        raise untaught(target, " along another dimension than the last")
    told = {"count": base.shape[-1], "k": places.shape[-1]}
    return t.step("scatter", [base, places, source], base.shape, **told)


def _embedding(t: _Translator, target: Any, table: Tensor, places: Value, *_: Any) -> Value:
    width = table.shape[1]
    return t.step("rows", [places], (*places.shape, width), width=width, table=t.tensor(table))


def _count(value: Value) -> int:
    return math.prod(value.shape)


VIEWS = (
    aten.view.default, aten.reshape.default, aten.unflatten.int, aten.flatten.using_ints,
    aten.unsqueeze.default, aten.squeeze.default, aten.squeeze.dim, aten.squeeze.dims,
    aten.permute.default, aten.transpose.int, aten.t.default, aten.movedim.int,
    aten.movedim.intlist, aten.expand.default, aten.slice.Tensor, aten.select.int,
    aten.narrow.default, aten.split.Tensor, aten.split_with_sizes.default, aten.chunk.default,
    aten.unbind.int, aten.view_as.default, aten.expand_as.default, aten._unsafe_view.default,
)  # fmt: skip
COPIES = (
    aten.clone.default, aten.contiguous.default, aten.alias.default, aten.detach.default,
    aten.detach_.default, aten.dropout.default, aten._to_copy.default, aten.to.dtype,
    aten.to.dtype_layout, aten.to.device, aten.type_as.default, aten.lift_fresh_copy.default,
)  # fmt: skip
FILLED = (
    aten.zeros_like.default, aten.ones_like.default, aten.full_like.default,
    aten.new_zeros.default, aten.new_ones.default, aten.new_full.default, aten.sym_size.int,
)  # fmt: skip
MOVES = (
    aten.flip.default, aten.repeat.default, aten.roll.default, aten.index_select.default,
    aten.index.Tensor, aten.pixel_shuffle.default, aten.tile.default,
)  # fmt: skip

OPERATIONS: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys(VIEWS, _view),
    **dict.fromkeys(COPIES, _same),
    **dict.fromkeys(FILLED, _filled),
    **dict.fromkeys(MOVES, _moved),
    aten._assert_tensor_metadata.default: _nothing,
    aten.cat.default: _cat,
    aten.stack.default: _stack,
    aten.upsample_nearest2d.vec: _nearest,
    aten.upsample_nearest2d.default: _nearest,
    aten.linear.default: _linear,
    aten.addmm.default: _addmm,
    aten.mm.default: _matmul,
    aten.matmul.default: _matmul,
    aten.conv2d.default: _convolution,
    aten.conv_transpose2d.input: _transposed,
    aten.batch_norm.default: _batch_norm,
    aten.group_norm.default: _group_norm,
    aten.relu.default: _mapped("relu"),
    aten.relu_.default: _mapped("relu"),
    aten.leaky_relu.default: _mapped("leaky_relu", 0.01),
    aten.leaky_relu_.default: _mapped("leaky_relu", 0.01),
    aten.elu.default: _mapped("elu", 1.0),
    aten.silu.default: _mapped("silu"),
    aten.sigmoid.default: _mapped("sigmoid"),
    aten.tanh.default: _mapped("tanh"),
    aten.softplus.default: _mapped("softplus"),
    aten.exp.default: _mapped("exp"),
    aten.expm1.default: _mapped("expm1"),
    aten.log.default: _mapped("log"),
    aten.log1p.default: _mapped("log1p"),
    aten.sqrt.default: _mapped("sqrt"),
    aten.rsqrt.default: _mapped("rsqrt"),
    aten.reciprocal.default: _mapped("reciprocal"),
    aten.square.default: _mapped("square"),
    aten.neg.default: _mapped("neg"),
    aten.abs.default: _mapped("abs"),
    aten.sign.default: _mapped("sign"),
    aten.sin.default: _mapped("sin"),
    aten.cos.default: _mapped("cos"),
    aten.round.default: _mapped("round"),
    aten.floor.default: _mapped("floor"),
    aten.logical_not.default: _mapped("not"),
    aten.bitwise_not.default: _bitwise_not,
    aten.pow.Tensor_Scalar: _mapped("pow", 2.0),
    aten.clamp.default: _clamp,
    aten.clamp_min.default: _clamp,
    aten.clamp_max.default: _clamp_max,
    aten.hardtanh.default: _mapped("clamp", -1.0, 1.0),
    aten.add.Tensor: _paired("add"),
    aten.add_.Tensor: _paired("add"),
    aten.add.Scalar: _paired("add"),
    aten.sub.Tensor: _paired("sub"),
    aten.sub.Scalar: _paired("sub"),
    aten.rsub.Scalar: _reversed_sub,
    aten.mul.Tensor: _paired("mul"),
    aten.mul.Scalar: _paired("mul"),
    aten.div.Tensor: _paired("div", keeps_whole=False),
    aten.div.Scalar: _paired("div", keeps_whole=False),
    aten.div.Tensor_mode: _paired("div"),
    aten.floor_divide.default: _floor_divide,
    aten.remainder.Scalar: _paired("remainder"),
    aten.remainder.Tensor: _paired("remainder"),
    aten.maximum.default: _paired("max"),
    aten.minimum.default: _paired("min"),
    aten.pow.Tensor_Tensor: _paired("pow"),
    aten.eq.Tensor: _paired("eq"),
    aten.eq.Scalar: _paired("eq"),
    aten.ne.Tensor: _paired("ne"),
    aten.ne.Scalar: _paired("ne"),
    aten.lt.Tensor: _paired("lt"),
    aten.lt.Scalar: _paired("lt"),
    aten.le.Tensor: _paired("le"),
    aten.le.Scalar: _paired("le"),
    aten.gt.Tensor: _paired("gt"),
    aten.gt.Scalar: _paired("gt"),
    aten.ge.Tensor: _paired("ge"),
    aten.ge.Scalar: _paired("ge"),
    aten.masked_fill.Scalar: _masked_fill,
    aten.masked_fill.Tensor: _masked_fill,
    aten.where.self: _where,
    aten.where.ScalarOther: _where,
    aten.where.ScalarSelf: _where,
    aten.sum.dim_IntList: _reduced("sum"),
    aten.sum.default: _reduced("sum"),
    aten.mean.dim: _reduced("mean"),
    aten.mean.default: _reduced("mean"),
    aten.amax.default: _reduced("max"),
    aten.amin.default: _reduced("min"),
    aten.argmax.default: _reduced("argmax"),
    aten.argmin.default: _reduced("argmin"),
    aten.softmax.int: _softmax,
    aten.log_softmax.int: _log_softmax,
    aten.topk.default: _topk,
    aten.scatter.src: _scatter,
    aten.embedding.default: _embedding,
}
"""By operator of torch: what adds its steps. Adding one here and in `graph.js` teaches it."""
