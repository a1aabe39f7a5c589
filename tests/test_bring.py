"""A network from elsewhere becomes a run whose numbers are those of the network."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tests.commands import vae_core
from vae_core.bring import Bringing, Wishes, bring, doors
from vae_core.config import DataConfig, RunConfig
from vae_core.errors import UserError
from vae_core.export import Source, export
from vae_core.families import build, families
from vae_core.latent.directions import load_directions, principal_directions, regressed_directions
from vae_core.latent.encodings import load_encodings
from vae_core.loading import load_part, load_run
from vae_core.runs import Store

KL_FOLDER = Path(__file__).parent / "fixtures/autoencoder_kl"
DIGITS = DataConfig(dataset="digits", limit=60, image_size=8)


def ran(*words: str) -> str:
    done = vae_core(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*words: str) -> str:
    done = vae_core(*words)
    assert done.returncode == 2, done.stderr
    return done.stderr.strip().splitlines()[-1]


def rebuilt(door: str, folder: Path, shape: tuple[int, int, int]) -> Any:
    """The model of a folder, without a run."""
    found = doors[door].build([folder], Wishes())
    config = RunConfig.model_validate(
        {"family": found.family, "model": found.model, "objective": found.objective}
    )
    model = build(config, shape)[0].eval()
    own = model.state_dict()
    assert found.weights is not None
    shapes = {k: tuple(v.shape) for k, v in own.items() if not k.startswith("likelihood.")}
    model.load_state_dict(own | found.weights(shapes))
    return model


# --- diffusers -------------------------------------------------------------------------------


def _fold(names: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights as diffusers wrote them before 2023: other names, and linear layers as 1×1 ones."""
    renamed = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    found = {}
    for name, value in names.items():
        linear = "attentions" in name and name.endswith("weight") and value.ndim == 2
        for now, before in renamed.items():
            name = name.replace(now, before)
        found[name] = value[..., None, None].contiguous() if linear else value
    return found


KEPT_AS = {
    "now": lambda values: values,
    "before 2023": _fold,
    "fp16": lambda values: {name: each.half() for name, each in values.items()},
    "bf16": lambda values: {name: each.bfloat16() for name, each in values.items()},
}


@pytest.mark.parametrize(
    ("how", "most"), [("now", 1e-5), ("before 2023", 1e-5), ("fp16", 5e-3), ("bf16", 5e-2)]
)
def test_an_autoencoder_kl_is_the_one_of_diffusers(how: str, most: float, tmp_path: Path) -> None:
    """Against what diffusers 0.42.1 answered: `python -m benchmarks.against_diffusers`."""
    folder = tmp_path / "pipeline"
    shutil.copytree(KL_FOLDER, folder / "vae")
    file = folder / "vae/diffusion_pytorch_model.safetensors"
    save_file(KEPT_AS[how](load_file(file)), file)
    model, wanted = (
        rebuilt("diffusers", folder, (3, 16, 24)),
        load_file(KL_FOLDER / "answers.safetensors"),
    )
    with torch.inference_mode():
        posterior = model.encode(wanted["x"])
        assert torch.allclose(posterior.mode(), wanted["mu"], atol=most)
        assert torch.allclose(posterior.log_variance(), wanted["logvar"], atol=4 * most)
        assert torch.allclose(
            model.picture(model.decode(wanted["z"])), wanted["picture"], atol=most
        )


def test_the_latents_of_an_autoencoder_kl_are_explored_on_their_map(tmp_path: Path) -> None:
    folder = tmp_path / "vae"
    shutil.copytree(KL_FOLDER, folder)
    said = ran("bring", str(folder), "--dataset", "digits", "--size", "17x21", "--limit", "60")
    assert "64 latents, 3×16×20 px" not in said
    (run,) = Store()
    assert run.id in said and "320 latents" in said and "3×16×20 px" in said
    loaded, encodings = load_run(run), load_encodings(run)
    assert loaded.model.latent_shapes == ((4, 8, 10),)
    directions = load_directions(run, 0, 320)
    assert directions is not None
    assert np.allclose(directions.vectors, principal_directions(encodings.mu).vectors, atol=1e-5)
    assert run.status().state == "finished" and run.summary()["split"] == "validation"
    _, held_out = load_part(run, "validation")
    assert len(held_out) == run.data_card().n_validation > 0
    assert "no pictures" in loaded.model.latent_note


def test_a_rebuilt_autoencoder_kl_is_exported_as_onnx(tmp_path: Path) -> None:
    """Against what diffusers answered, through onnxruntime."""
    from onnxruntime import InferenceSession

    folder = tmp_path / "vae"
    shutil.copytree(KL_FOLDER, folder)
    data = DIGITS.model_copy(update={"image_size": (16, 24)})
    made = export(Source(bring([folder], Store(), "maps", data).run), "onnx")
    assert "agree to" in made.note
    wanted = {
        name: each.numpy() for name, each in load_file(KL_FOLDER / "answers.safetensors").items()
    }
    encoder, decoder = (
        InferenceSession(made.files[f"{name}.onnx"]) for name in ("encoder", "decoder")
    )
    mu, logvar = encoder.run(["mu", "logvar"], {"x": wanted["x"]})
    np.testing.assert_allclose(mu.reshape(wanted["mu"].shape), wanted["mu"], atol=1e-4)
    np.testing.assert_allclose(logvar.reshape(wanted["logvar"].shape), wanted["logvar"], atol=4e-4)
    z = wanted["z"].reshape(len(wanted["z"]), *decoder.get_inputs()[0].shape[1:])
    (picture,) = decoder.run(["x_hat"], {"z": z})
    np.testing.assert_allclose(picture, wanted["picture"], atol=1e-4)


# --- pythae ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pythae_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from pythae.models import VAE, VAEConfig

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("pythae") / "digits_vae"
    VAE(VAEConfig(input_dim=(1, 8, 8), latent_dim=4)).eval().save(str(folder))
    return folder


def test_a_folder_of_pythae_is_the_model_that_it_saved(pythae_folder: Path) -> None:
    from pythae.models import VAE

    brought = bring([pythae_folder], Store(), data=DIGITS)
    theirs, ours = VAE.load_from_folder(str(pythae_folder)).eval(), load_run(brought.run).model
    x = torch.rand(5, 1, 8, 8)
    with torch.inference_mode():
        wanted, found = theirs.encoder(x), ours.encode(x)
        assert torch.allclose(found.mode(), wanted.embedding, atol=1e-6)
        assert torch.allclose(found.log_variance(), wanted.log_covariance, atol=1e-6)
        z = torch.randn(5, 4)
        drawn = theirs.decoder(z).reconstruction
        assert torch.allclose(ours.picture(ours.decode(z)), drawn, atol=1e-6)
    assert brought.run.id == "digits_vae" and brought.run.brought().kind == "pythae"  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["mnist", "cifar", "celeba"])
def test_networks_of_pythaes_benchmarks_are_known_without_their_pickles(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import import_module

    from pythae.models import BetaVAE, BetaVAEConfig

    from vae_core.bring import pythae
    from vae_core.families.pythae import SIZES

    module = import_module(f"pythae.models.nn.benchmarks.{name}")
    config = BetaVAEConfig(input_dim=SIZES[name], latent_dim=3, reconstruction_loss="bce")
    upper = name.upper()
    halves = {
        "encoder": getattr(module, f"Encoder_Conv_VAE_{upper}")(config),
        "decoder": getattr(module, f"Decoder_Conv_AE_{upper}")(config),
    }
    theirs = BetaVAE(config, **halves).eval()
    told = {
        "name": "BetaVAEConfig",
        "input_dim": SIZES[name],
        "latent_dim": 3,
        "reconstruction_loss": "bce",
    }
    (tmp_path / "model_config.json").write_text(json.dumps(told))
    # 70 to 130 MB a file: what reads one is tested with a small one above.
    monkeypatch.setattr(
        pythae, "pickled_weights", lambda path: {"model_state_dict": theirs.state_dict()}
    )
    ours = rebuilt("pythae", tmp_path, SIZES[name])
    x = torch.rand(2, *SIZES[name])
    with torch.inference_mode():
        mu = theirs.encoder(x).embedding
        assert torch.allclose(ours.encode(x).mode(), mu, atol=1e-5)
        drawn = theirs.decoder(mu).reconstruction
        assert torch.allclose(ours.picture(ours.decode(mu)), drawn, atol=1e-5)


# --- ONNX ------------------------------------------------------------------------------------


def gemm(path: Path, name: str, into: int, out: tuple[int, ...], batch: int | str = "B") -> None:
    """A graph in → W·in + b, squashed and shaped; with a fixed batch where that is a number."""
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(out[-1])
    size = math.prod(out)
    weights = random.normal(size=(into, size)).astype(np.float32) / into**0.5
    constants = {"w": weights, "b": np.zeros(size, np.float32), "s": np.array([-1, *out], np.int64)}
    steps = [
        helper.make_node("Gemm", [name, "w", "b"], ["y"]),
        helper.make_node("Sigmoid", ["y"], ["p"]),
        helper.make_node("Reshape", ["p", "s"], ["out"]),
    ]
    graph = helper.make_graph(
        steps,
        name,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, into])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [batch, *out])],
        [numpy_helper.from_array(each, key) for key, each in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("batch", ["B", 4])
def test_a_decoder_alone_is_explored_by_what_it_draws(batch: int | str, tmp_path: Path) -> None:
    file = tmp_path / "generator.onnx"
    gemm(file, "z", 6, (3, 12, 9), batch)
    assert "6 latents, 3×12×9 px" in ran("bring", str(file), "--name", "gan")
    run = Store().get("gan")
    model, encodings = load_run(run).model, load_encodings(run)
    assert encodings.mu.shape == (2000, 6) and encodings.thumbnails.shape[1:] == (3, 12, 9)
    directions = load_directions(run, 0, 6)
    assert directions is not None
    vectors = directions.vectors.astype(np.float64)
    assert np.allclose(vectors @ vectors.T, np.eye(len(vectors)), atol=1e-5)
    with pytest.raises(UserError, match="has no encoder"):
        model.encode(torch.rand(1, 3, 12, 9))
    with pytest.raises(UserError, match="came without images"):
        load_part(run, "train")
    for to in ("onnx", "python"):
        with pytest.raises(UserError, match="kept as it came"):
            export(Source(run), to)
    assert "is a decoder that came without" in refused("evaluate", "gan", "--split", "validation")


def test_directions_of_a_decoder_are_what_moves_its_pictures() -> None:
    """Of a linear generator x = A z they are the right singular vectors of A: with z ~ N(0, I) the
    pictures' covariance is AAᵀ."""
    generator = np.random.default_rng(0)
    u, _ = np.linalg.qr(generator.normal(size=(30, 6)))
    v, _ = np.linalg.qr(generator.normal(size=(6, 6)))
    a = u @ np.diag([9.0, 6, 4, 2, 1, 0.5]) @ v.T
    z = generator.normal(size=(20_000, 6))
    found = regressed_directions(z, z @ a.T)
    assert np.allclose(np.abs(np.sum(found.vectors * v.T, axis=1)), 1, atol=2e-3)
    shares = np.array([81, 36, 16, 4, 1, 0.25]) / 138.25
    assert np.allclose(found.explained, shares, atol=0.01)
    assert np.allclose(found.deviations, 1, atol=0.02)


# --- code ------------------------------------------------------------------------------------

CODE = """
from pathlib import Path
Path({mark!r}).write_text("ran")
import torch
scale = torch.load(Path(__file__).with_name("scale.pt"), weights_only=True)
def encode(x):
    return 2 * scale * x.mean((1, 2, 3))[:, None].repeat(1, 3), torch.zeros(len(x), 3)
def decode(z):
    return z.mean(1)[:, None, None, None].expand(-1, 1, 8, 8) / scale
"""


@pytest.fixture
def code(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A Python file, what it reads, and the mark that it leaves when it runs."""
    mark = tmp_path / "mark"
    file, weights = tmp_path / "mine.py", tmp_path / "scale.pt"
    file.write_text(CODE.format(mark=str(mark)))
    torch.save(torch.tensor(3.0), weights)
    return file, weights, mark


def brought_code(code: tuple[Path, Path, Path], **more: Any) -> Bringing:
    file, weights, _ = code
    return bring(
        [file], Store(), data=DIGITS, wishes=Wishes(beside=(weights,), **more), trusted=True
    )


def test_code_runs_only_where_somebody_says_so(
    code: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, weights, mark = code
    monkeypatch.setenv("VAE_CONFIG", str(tmp_path / "me"))
    words = (
        "bring",
        str(file),
        "--with",
        str(weights),
        "--dataset",
        "digits",
        "--size",
        "8",
        "--limit",
        "60",
    )
    assert "--trust" in refused(*words)
    assert not mark.exists() and list(Store()) == []
    ran(*words, "--trust")
    (run,) = Store()
    mark.unlink()
    assert load_run(run).model.latent_shapes == ((3,),)  # remembered
    mark.unlink()
    monkeypatch.setenv("VAE_CONFIG", str(tmp_path / "somebody-else"))
    with pytest.raises(UserError, match="is code") as refusal:
        load_run(run)
    assert "--trust" in refusal.value.shell and "--" not in str(refusal.value)
    assert not mark.exists()
    ran("bring", str(run.path), "--trust")
    load_run(run)
    assert mark.exists()


@pytest.mark.parametrize("change", ["code", "weights", "another file"])
def test_trust_is_of_the_content(code: tuple[Path, Path, Path], change: str) -> None:
    run, mark = brought_code(code).run, code[2]
    mark.unlink()
    folder = run.path / "brought"
    if change == "code":
        (folder / "network.py").write_text((folder / "network.py").read_text() + "\n")
    elif change == "weights":
        torch.save(torch.tensor(4.0), folder / "scale.pt")
    else:
        (folder / "numpy.py").write_text("")
    with pytest.raises(UserError, match="is code"):
        load_run(run)
    assert not mark.exists()


def test_a_compiled_file_beside_trusted_code_does_not_run(code: tuple[Path, Path, Path]) -> None:
    """Python would take it in place of the text, whose time and size it names."""
    import importlib.util
    import py_compile

    run, mark = brought_code(code).run, code[2]
    mark.unlink()
    source = run.path / "brought/network.py"
    text, other = source.read_bytes(), b"raise SystemExit\n"
    source.write_bytes(other.ljust(len(text)))
    compiled = Path(importlib.util.cache_from_source(str(source)))
    py_compile.compile(
        str(source),
        cfile=str(compiled),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    source.write_bytes(text)
    with pytest.raises((UserError, OSError)):
        load_run(run)  # a folder among its files is none of a network's
    shutil.move(compiled.parent, run.path.parent / "__pycache__")
    load_run(run)
    assert mark.exists()


class _Encoder(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = x.flatten(1)[:, :5]
        return z, z - 1.0


class _Decoder(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z.mean(1)[:, None, None, None].expand(-1, 1, 8, 8)


def test_torchscript_is_code_too(tmp_path: Path) -> None:
    for name, half in (("encoder", _Encoder()), ("decoder", _Decoder())):
        torch.jit.script(half).save(str(tmp_path / f"{name}.pt"))
    with pytest.raises(UserError, match="is code"):
        bring([tmp_path], Store(), data=DIGITS)
    run = bring([tmp_path], Store(), data=DIGITS, trusted=True).run
    model, x = load_run(run).model, torch.rand(2, 1, 8, 8)
    assert torch.equal(model.encode(x).mode(), x.flatten(1)[:, :5])


def test_scales_are_stated_and_a_wrong_one_is_said(tmp_path: Path) -> None:
    """A network of black and white on [−1, 1]."""
    file = tmp_path / "two_levels.py"
    file.write_text(
        "def encode(x): return (x.flatten(1) > 0).float()\n"
        "def decode(z): return z.unflatten(1, (1, 8, 8)) * 2 - 1\n"
    )

    def on(low: float, high: float) -> Bringing:
        wishes = Wishes(range=(low, high))
        return bring([file], Store(), data=DIGITS, wishes=wishes, trusted=True)

    right, wrong = on(-1, 1), on(-3, 1)
    assert right.fit is not None and not right.fit.absurd and right.notes == ()
    assert wrong.fit is not None and wrong.fit.absurd
    assert "no good" in wrong.notes[0] and "−1 to 1" in wrong.notes[0]
    assert wrong.run.brought().notes == wrong.notes  # type: ignore[union-attr]
    variance = load_run(right.run).model.likelihood.noise ** 2  # type: ignore[operator]
    assert variance == pytest.approx(right.fit.mse, rel=1e-5)


def test_means_and_deviations_are_of_channels(tmp_path: Path) -> None:
    file = tmp_path / "copies.py"
    file.write_text(
        "seen = []\n"
        "def encode(x): seen.append(x); return x.flatten(1)\n"
        "def decode(z): return z.unflatten(1, (3, 8, 8))\n"
    )
    wishes = Wishes(mean=(0.5, 0.25, 0.0), std=(0.5, 1.0, 2.0))
    data = DIGITS.model_copy(update={"channels": 3})
    model = load_run(bring([file], Store(), data=data, wishes=wishes, trusted=True).run).model
    x = torch.rand(2, 3, 8, 8)
    z = model.encode(x).mode().unflatten(1, (3, 8, 8))
    assert torch.allclose(z[:, 0], 2 * x[:, 0] - 1) and torch.allclose(z[:, 2], x[:, 2] / 2)
    assert torch.allclose(model.decode(z.flatten(1)), x, atol=1e-6)


# --- a brought run among others --------------------------------------------------------------


def test_a_brought_run_is_no_recipe_and_is_not_resumed(pythae_folder: Path) -> None:
    brought = bring([pythae_folder], Store(), data=DIGITS)
    assert not {"pythae", "given", "autoencoder-kl"} & {family.name for family in families}
    assert "brought from elsewhere" in refused("resume", brought.run.id)
    assert "brought from elsewhere" in refused("train", "--from", brought.run.id)
    assert brought.run.check() is None and brought.run.notes() == ""


def test_nothing_is_left_of_what_could_not_be_brought(pythae_folder: Path) -> None:
    with pytest.raises(UserError, match="name images"):
        bring([pythae_folder], Store())
    with pytest.raises(UserError, match="no kind of network"):
        bring([pythae_folder], Store(), kind="tensorflow")
    with pytest.raises(UserError, match="none of what can be brought"):
        bring([Path(__file__).parent], Store())
    with pytest.raises(UserError, match="no data set"):
        bring([pythae_folder], Store(), data=DataConfig(dataset="digitz"))
    assert list(Store()) == []
