"""Networks that mean no good: one sentence each, nothing runs, and no run is left."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.test_bring import DIGITS, KL_FOLDER, gemm
from vae_core.bring import bring
from vae_core.errors import UserError
from vae_core.loading import load_run
from vae_core.runs import Store

CONFIG = {"name": "VAEConfig", "input_dim": [1, 8, 8], "latent_dim": 4}
EXABYTES = 2**60


class _Payload:
    """What runs when a pickle of it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def _state() -> dict[str, torch.Tensor]:
    from vae_core.config import RunConfig
    from vae_core.families import build

    config = RunConfig.model_validate({"family": "pythae", "model": {"latent_dim": 4}})
    own = build(config, (1, 8, 8))[0].state_dict()
    names = {"bottleneck.mu": "encoder.embedding", "bottleneck.scale": "encoder.log_var"}
    found = {}
    for name, value in own.items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        half, _, rest = name.partition(".")
        layered = rest[:1].isdigit()
        found[f"{half}.layers.{rest}" if layered else name] = value
    return {name: value for name, value in found.items() if not name.startswith("likelihood")}


def _pythae(folder: Path, config: Any = CONFIG, state: Any = None) -> Path:
    (folder / "model_config.json").write_text(
        config if isinstance(config, str) else json.dumps(config)
    )
    torch.save({"model_state_dict": _state() if state is None else state}, folder / "model.pt")
    return folder


def _repacked(folder: Path, compression: int, more: int = 0) -> Path:
    """The archive of weights packed, with zeros besides."""
    _pythae(folder)
    file, buffer = folder / "model.pt", io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(buffer, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr("archive/zeros", bytes(more))
    file.write_bytes(buffer.getvalue())
    return folder


def _promising(folder: Path) -> Path:
    """A tensor of 10¹² numbers that lie in one."""
    state = _state()
    first = next(iter(state))
    state[first] = torch.zeros(1).expand(10**6, 10**6)
    return _pythae(folder, state=state)


def _thin(folder: Path) -> Path:
    """Weights of the right shape whose numbers lie in one."""
    state = _state()
    first = next(iter(state))
    state[first] = torch.zeros(()).expand(state[first].shape)
    return _pythae(folder, state=state)


def _payload(folder: Path) -> Path:
    return _pythae(folder, state={"x": _Payload(folder / "mark")})


def _plain_pickle(folder: Path) -> Path:
    _pythae(folder)
    (folder / "model.pt").write_bytes(pickle.dumps(_Payload(folder / "mark")))
    return folder


def _own_network(folder: Path) -> Path:
    """As pythae keeps a network of somebody's own: code in a pickle beside weights of it."""
    _pythae(folder, state={"encoder.mine.weight": torch.zeros(3)})
    (folder / "encoder.pkl").write_bytes(pickle.dumps(_Payload(folder / "mark")))
    return folder


PYTHAE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no JSON": (lambda f: _pythae(f, "[" * 10**5), "is no JSON object"),
    "unknown model": (lambda f: _pythae(f, CONFIG | {"name": "VQVAEConfig"}), "cannot be rebuilt"),
    "huge latents": (lambda f: _pythae(f, CONFIG | {"latent_dim": 10**12}), "latent_dim has to be"),
    "huge images": (
        lambda f: _pythae(f, CONFIG | {"input_dim": [1, 10**6, 8]}),
        "input_dim has to",
    ),
    "no sides": (lambda f: _pythae(f, CONFIG | {"input_dim": 64}), "input_dim has to be"),
    "other weights": (lambda f: _pythae(f, CONFIG | {"latent_dim": 5}), "none of pythae's own"),
    "zip bomb": (lambda f: _repacked(f, zipfile.ZIP_DEFLATED, 10**7), "grows in memory"),
    "promised numbers": (_promising, "none of pythae's own"),
    "thin weights": (_thin, "promises more numbers than it has"),
    "code in the weights": (_payload, "would have to be executed"),
    "a pickle": (_plain_pickle, "no file of weights"),
    "a network of one's own": (_own_network, "is not opened"),
    "NaN": (lambda f: _pythae(f, state={k: v * np.nan for k, v in _state().items()}), "no numbers"),
}


@pytest.mark.parametrize("name", PYTHAE)
def test_of_a_hostile_folder_of_pythae_nothing_runs(name: str, tmp_path: Path) -> None:
    make, sentence = PYTHAE[name]
    _refused(make(tmp_path), sentence)
    assert not (tmp_path / "mark").exists()


def test_a_folder_of_weights_that_is_sound_is_taken(tmp_path: Path) -> None:
    """So that the others are refused for what is wrong with them."""
    assert bring([_pythae(tmp_path)], Store(), data=DIGITS).run.status().state == "finished"


def _kl(
    folder: Path, weights: Callable[[dict[str, torch.Tensor]], Any] | None = None, **told: Any
) -> Path:
    shutil.copytree(KL_FOLDER, folder / "vae")
    config = folder / "vae/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | told))
    file = folder / "vae/diffusion_pytorch_model.safetensors"
    if weights is not None:
        save_file(weights(load_file(file)), file)
    return folder


def _lying(folder: Path) -> Path:
    """A head that promises exabytes."""
    file = _kl(folder) / "vae/diffusion_pytorch_model.safetensors"
    head = {"conv": {"dtype": "F32", "shape": [EXABYTES], "data_offsets": [0, 4 * EXABYTES]}}
    text = json.dumps(head).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(64))
    return folder


def _without(values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: each for name, each in values.items() if name != "encoder.conv_in.bias"}


def _turned(values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return values | {"encoder.conv_in.weight": values["encoder.conv_in.weight"].flatten()}


HUGE = {"block_out_channels": [4096] * 3, "norm_num_groups": 1}
HUGE |= {
    name: [kind] * 3
    for name, kind in (
        ("down_block_types", "DownEncoderBlock2D"),
        ("up_block_types", "UpDecoderBlock2D"),
    )
}

KL: dict[str, tuple[Callable[[Path], Path], str]] = {
    "huge network": (lambda f: _kl(f, **HUGE), "of memory"),
    "too many stages": (lambda f: _kl(f, block_out_channels=[4] * 99), "block_out_channels"),
    "attention blocks": (
        lambda f: _kl(f, down_block_types=["AttnDownEncoderBlock2D"]),
        "only Down",
    ),
    "groups": (lambda f: _kl(f, norm_num_groups=3), "do not divide"),
    "no scale": (lambda f: _kl(f, scaling_factor=0), "scaling_factor"),
    "latents": (lambda f: _kl(f, latent_channels="four"), "latent_channels"),
    "lying head": (_lying, "do not fit"),
    "a weight is missing": (lambda f: _kl(f, _without), "it has no encoder.conv_in.bias"),
    "a weight too many": (
        lambda f: _kl(f, lambda v: v | {"x": v["quant_conv.bias"].clone()}),
        "which this network has not",
    ),
    "another shape": (lambda f: _kl(f, _turned), "and should be"),
    "whole numbers": (
        lambda f: _kl(f, lambda v: {k: w.long() for k, w in v.items()}),
        "no floating",
    ),
}


@pytest.mark.parametrize("name", KL)
def test_a_hostile_folder_of_diffusers_is_refused(name: str, tmp_path: Path) -> None:
    make, sentence = KL[name]
    _refused(make(tmp_path), sentence)


def _onnx(folder: Path, change: Callable[[Any], Any]) -> Path:
    import onnx

    file = folder / "decoder.onnx"
    gemm(file, "z", 6, (1, 8, 8))
    model = onnx.load(str(file))
    change(model)
    file.write_bytes(model.SerializeToString())
    return file


def _outside(model: Any) -> None:
    """Weights that lie in a file elsewhere."""
    from onnx import TensorProto

    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


def _giant(model: Any) -> None:
    """A constant of 10¹² numbers, made as the graph runs."""
    from onnx import helper, numpy_helper

    shape = numpy_helper.from_array(np.array([10**6, 10**6], np.int64), "giant_shape")
    model.graph.initializer.append(shape)
    nodes = [
        helper.make_node("ConstantOfShape", ["giant_shape"], ["giant"]),
        helper.make_node("ReduceSum", ["giant"], ["sum"]),
        helper.make_node("Mul", ["z", "sum"], ["scaled"]),
    ]
    model.graph.node[0].input[0] = "scaled"
    for place, node in enumerate(nodes):
        model.graph.node.insert(place, node)


def _own_operator(model: Any) -> None:
    model.graph.node[0].op_type, model.graph.node[0].domain = "System", "evil"


def _damaged(model: Any) -> None:
    model.graph.initializer[0].dims[0] = 2**40


ONNX: dict[str, tuple[Callable[[Any], Any], str]] = {
    "reads other files": (_outside, "keeps weights in files beside it"),
    "giant constant": (_giant, "of memory"),
    "own operator": (_own_operator, "cannot be used"),
    "lying weights": (_damaged, "of memory|cannot be used"),
}


@pytest.mark.parametrize("name", ONNX)
def test_a_hostile_graph_is_refused_and_so_it_is_in_a_run(name: str, tmp_path: Path) -> None:
    change, sentence = ONNX[name]
    file = _onnx(tmp_path, change)
    _refused(file, sentence)
    sound = bring([_onnx(tmp_path, lambda model: None)], Store()).run
    _onnx(tmp_path, change).rename(sound.path / "brought/decoder.onnx")
    with pytest.raises(UserError, match=sentence):
        load_run(sound)


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "decoder.onnx"
    for data in (b"", b"\xff" * 1000, b"PK\x03\x04"):
        file.write_bytes(data)
        _refused(file, "decoder.onnx|How many latents")


def test_the_files_of_a_run_are_its_own(tmp_path: Path) -> None:
    """A link would read, and hash, whatever lies elsewhere."""
    run = bring([_onnx(tmp_path, lambda model: None)], Store()).run
    file = run.path / "brought/decoder.onnx"
    shutil.move(file, tmp_path / "elsewhere.onnx")
    file.symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(UserError, match="cannot be read"):
        load_run(run)
    shutil.rmtree(run.path / "brought")
    (run.path / "brought").symlink_to(tmp_path)
    with pytest.raises(UserError):
        load_run(run)
    with pytest.raises(UserError, match="brought"):
        run.check()


def test_a_run_cannot_call_code_a_graph(tmp_path: Path) -> None:
    """What a run says of its network decides by which runtime it is read, and nothing else."""
    run = bring([_onnx(tmp_path, lambda model: None)], Store()).run
    mark = tmp_path / "mark"
    (run.path / "brought/network.py").write_text(f"import os; os.mkdir({str(mark)!r})")
    config = run.path / "config.json"
    stored = json.loads(config.read_text())
    stored["objective"]["kind"] = "python"
    config.write_text(json.dumps(stored))
    with pytest.raises(UserError, match="is code"):
        load_run(run)
    stored["objective"]["kind"] = "shell"
    config.write_text(json.dumps(stored))
    with pytest.raises(UserError, match="There is no kind of network 'shell'"):
        load_run(run)
    assert not mark.exists()


def test_what_is_too_large_for_memory_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "decoder.onnx"
    with file.open("wb") as sparse:
        sparse.truncate(10**13)
    _refused(file, "of memory")


def _refused(path: Path, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as refusal:
        bring([path], Store(), data=DIGITS)
    assert str(refusal.value).count("\n") == 0 and len(str(refusal.value)) < 600
    assert list(Store()) == []
