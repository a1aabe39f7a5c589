"""Exports, opened again by the programs they are for."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from typer.testing import CliRunner

from tests.engine import tiny, trained
from tests.pictures import lay_out, png
from tests.surveys import constructed
from vae_core import extras
from vae_core.analysis import survey_of
from vae_core.bring import bring
from vae_core.cli.app import app
from vae_core.config import parse_config
from vae_core.data import ArrayImages
from vae_core.errors import UserError
from vae_core.export import Export, Source, as_download, export, formats, onnx_graphs, write_export
from vae_core.export.networks import DecoderHalf, EncoderHalf, first, traced, try_inputs
from vae_core.export.projector import metadata, sprite, sprite_size
from vae_core.families import build
from vae_core.imaging.png import from_png, untile
from vae_core.latent.survey import Survey
from vae_core.loading import load_part, load_run
from vae_core.runs import DataCard, Run, Store

CARD = DataCard(
    dataset="digits",
    image_shape=(1, 16, 16),
    n_train=300,
    n_validation=90,
    label_names=tuple("0123456789"),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A VAE trained on pictures in a folder, whose names and labels exports carry."""
    root = tmp_path_factory.mktemp("export")
    files = {f"{kind}/no {i}.png": png(i) for kind in ("cat", "dog") for i in range(10)}
    data = {"dataset": "folder", "data_dir": str(lay_out(root / "data", files)), "limit": None}
    train = {"batch_size": 8, "epochs": 1}
    return trained(root, "tiny", data=data, train=train, model={"likelihood": "gaussian"})


@pytest.fixture(scope="module")
def survey(run: Run) -> Survey:
    return survey_of(run, "train")


def test_every_format_is_registered_with_words_for_a_person() -> None:
    encodings, models = ["csv", "parquet", "npz", "projector"], ["safetensors", "onnx", "python"]
    names = [*encodings, "html", *models, "hub"]
    assert [entry.name for entry in formats] == names
    assert all(entry.label and entry.blurb.endswith(".") for entry in formats)


# --- encodings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["csv", "parquet"])
def test_tables_hold_vectors_labels_and_files(run: Run, survey: Survey, to: str) -> None:
    (data,) = export(Source(run), to).files.values()
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}[to]
    table = read(io.BytesIO(data))
    vectors = table[[f"z{i}" for i in range(4)]].to_numpy(np.float32)
    np.testing.assert_array_equal(vectors, survey.mu)
    np.testing.assert_array_equal(table["elbo"].to_numpy(np.float32), survey.elbo)
    assert tuple(table["file"]) == survey.files and "cat/no 3.png" in set(table["file"])
    assert all(
        file.startswith(label) for file, label in zip(table["file"], table["label"], strict=True)
    )
    assert (table["split"] == "train").all() and table["index"].tolist() == list(range(18))


def test_a_selection_is_exported_alone(run: Run, survey: Survey) -> None:
    chosen = np.array([7, 2])
    (data,) = export(Source(run, rows=chosen), "parquet").files.values()
    table = pd.read_parquet(io.BytesIO(data))
    assert tuple(table["file"]) == tuple(survey.files[i] for i in chosen)
    assert table["index"].tolist() == [7, 2]
    np.testing.assert_array_equal(table["z1"], survey.mu[chosen, 1])


def test_arrays_come_back_from_npz(run: Run, survey: Survey) -> None:
    (data,) = export(Source(run), "npz").files.values()
    with np.load(io.BytesIO(data)) as arrays:
        for name in ("mu", "logvar", "recon", "kl", "labels"):
            np.testing.assert_array_equal(arrays[name], getattr(survey, name))
        assert tuple(arrays["files"]) == survey.files
        assert arrays["label_names"].tolist() == ["cat", "dog"]


def test_tensorboard_reads_the_projector_files(run: Run, survey: Survey, tmp_path: Path) -> None:
    from google.protobuf import text_format
    from tensorboard.plugins.projector import projector_plugin
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    folder = write_export(export(Source(run), "projector"), tmp_path, "tiny-projector")
    text = (folder / "projector_config.pbtxt").read_text()
    (described,) = text_format.Parse(text, ProjectorConfig()).embeddings
    vectors = projector_plugin._read_tensor_tsv_file(str(folder / described.tensor_path))
    np.testing.assert_allclose(vectors, survey.mu, rtol=1e-5)
    head, *lines = (folder / described.metadata_path).read_text().splitlines()
    assert head.split("\t") == ["label", "file", "index", "recon", "measured on", "kl"]
    assert [line.split("\t")[1] for line in lines] == list(survey.files)
    width, height = described.sprite.single_image_dim
    picture = Image.open(folder / described.sprite.image_path)
    assert (width, height) == (16, 16) and picture.size == (5 * 16, 5 * 16)
    _, part = load_part(run, "train")
    tiles = from_png((folder / "sprite.png").read_bytes(), 3)
    images = part.images.gather(np.arange(len(part)))
    np.testing.assert_array_equal(untile(tiles, 16, 16, len(part)), images)


def test_sprites_keep_to_what_the_projector_takes() -> None:
    assert sprite_size(60_000, (28, 28)) == (28, 28)
    assert sprite_size(60_000, (64, 64)) == (33, 33)  # 245 a row: 245 · 33 = 8085
    assert sprite_size(200_000, (64, 32)) == (18, 9)
    with pytest.raises(UserError, match="too many"):
        sprite_size(10**8, (8, 8))
    images = np.zeros((3, 1, 4, 4), np.uint8)
    images[1, 0, :2, :2], images[2] = 200, 90
    small = untile(sprite(ArrayImages(images), 2, 2), 2, 2, 3)
    assert small[1, 0].tolist() == [[200, 0], [0, 0]] and (small[2] == 90).all()


def test_metadata_of_one_column_has_no_head_and_names_cannot_break_lines() -> None:
    assert metadata(constructed(np.zeros((2, 1)))) == "0\n1\n"
    named = constructed(np.zeros((2, 1)), files=("a\tb\n.png", " "))
    assert metadata(named) == "file\tindex\na b .png\t0\n–\t1\n"


def test_cached_encodings_are_exported_where_the_data_set_is_not(run: Run) -> None:
    made = export(Source(run, "cached"), "projector")
    assert made.files["vectors.tsv"].count(b"\n") == 18
    (data,) = export(Source(run, "cached"), "parquet").files.values()
    assert set(pd.read_parquet(io.BytesIO(data)).columns) >= {"label", "kl", "z0", "z3"}


def test_diverged_encodings_are_not_exported(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = constructed(np.full((3, 2), np.nan))
    monkeypatch.setattr("vae_core.export.source.survey_of", lambda *given: broken)
    with pytest.raises(UserError, match="diverged"):
        export(Source(run), "csv")


# --- models --------------------------------------------------------------------------------------


def pictures(run: Run) -> torch.Tensor:
    """Real images of the run, more than any exported graph was traced with."""
    _, part = load_part(run, "train")
    return torch.from_numpy(part.images.gather(np.arange(11))).float() / 255


def test_safetensors_builds_the_model_again(run: Run, tmp_path: Path) -> None:
    path = write_export(export(Source(run), "safetensors"), tmp_path, "tiny")
    assert path == tmp_path / "tiny.safetensors"
    with safe_open(path, "pt") as file:
        head = file.metadata()
    card = DataCard.model_validate_json(head["data"])
    model, _ = build(parse_config(head["config"]), card)
    model.load_state_dict(load_file(path))
    ours = load_run(run)
    assert (head["run"], int(head["step"])) == ("tiny", ours.step)
    with torch.inference_mode():
        x = pictures(run)
        torch.testing.assert_close(model.eval().encode(x).mu, ours.model.encode(x).mu)


@pytest.fixture(scope="module")
def graphs(run: Run) -> Export:
    return export(Source(run), "onnx")


def test_onnx_agrees_with_pytorch_at_any_batch_size(run: Run, graphs: Export) -> None:
    import onnx
    from onnxruntime import InferenceSession

    made = graphs
    assert sorted(made.files) == ["decoder.onnx", "encoder.onnx"] and "agree to" in made.note
    model = load_run(run).model
    for n in (1, 11):
        x = pictures(run)[:n]
        with torch.inference_mode():
            expected = [part.numpy() for part in EncoderHalf(model)(x)]
            x_hat = DecoderHalf(model)(torch.from_numpy(expected[0])).numpy()
        onnx.checker.check_model(onnx.load_from_string(made.files["encoder.onnx"]))
        found = InferenceSession(made.files["encoder.onnx"]).run(["mu", "logvar"], {"x": x.numpy()})
        for ours, theirs in zip(expected, found, strict=True):
            np.testing.assert_allclose(theirs, ours, atol=1e-4)
        decoder = InferenceSession(made.files["decoder.onnx"])
        np.testing.assert_allclose(decoder.run(["x_hat"], {"z": expected[0]})[0], x_hat, atol=1e-4)


def test_an_exported_pair_comes_back_with_the_same_pixels(
    run: Run, graphs: Export, tmp_path: Path
) -> None:
    for name, data in graphs.files.items():
        (tmp_path / name).write_bytes(data)
    brought = bring([tmp_path], Store(), "back", run.config().data)
    ours, back, x = load_run(run).model, load_run(brought.run).model, pictures(run)
    with torch.inference_mode():
        posterior, theirs = ours.encode(x), back.encode(x)
        z = posterior.sample(torch.Generator().manual_seed(0))
        again = back.picture(back.decode(z))
        torch.testing.assert_close(again, ours.picture(ours.decode(z)), atol=1e-5, rtol=0)
        torch.testing.assert_close(theirs.mode(), posterior.mode(), atol=1e-5, rtol=1e-4)
        logvars = theirs.log_variance(), posterior.log_variance()
        torch.testing.assert_close(*logvars, atol=1e-5, rtol=1e-4)
    # At one draw of z each, on the same image that is held out.
    assert brought.run.summary()["mse"] == pytest.approx(run.summary()["mse"], rel=0.2)


def test_the_graphs_of_a_conditional_model_take_the_label_and_the_note_says_so(
    tmp_path: Path,
) -> None:
    from onnxruntime import InferenceSession

    run = trained(tmp_path, "told", family="conditional-vae", train={"epochs": 1})
    made = export(Source(run), "onnx")
    assert '"label": int64 [B]' in made.note
    model = load_run(run).model
    decoder = InferenceSession(made.files["decoder.onnx"])
    z, label = torch.zeros(4, 4), torch.tensor([0, 9, 5, -1])
    (found,) = decoder.run(["x_hat"], {"z": z.numpy(), "label": label.numpy()})
    for i in range(4):
        with torch.inference_mode():
            expected = model.picture(model.conditioned(label[[i]]).decode(z[[i]]))
        np.testing.assert_allclose(found[[i]], expected, atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-3  # labels do tell pictures apart


def test_a_graph_that_disagrees_is_not_handed_out(
    run: Run, graphs: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_run(run).model
    with torch.no_grad():
        model.bottleneck.mu.bias[0] += 1e-3
    wrong = iter((graphs.files["encoder.onnx"], graphs.files["decoder.onnx"]))
    monkeypatch.setattr(onnx_graphs, "_graph", lambda *given: next(wrong))
    monkeypatch.setattr(Source, "loaded", replace(load_run(run), model=model))
    with pytest.raises(UserError, match=r"encoder's ONNX graph differs from PyTorch by .*e-0[34]"):
        export(Source(run), "onnx")


def test_missing_onnx_libraries_are_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(UserError, match="pip install onnx onnxscript onnxruntime"):
        export(Source(run), "onnx")


@pytest.mark.parametrize(
    "family",
    ["full-covariance", "hierarchical", "spatial-vae", "vq-vae", "fsq", "vamp", "conditional-vae"],
)
def test_networks_of_every_kind_are_traced_for_any_batch_size(family: str) -> None:
    """What the Python module and the ONNX graphs are both made from."""
    model, _ = build(tiny(family=family), CARD)
    x, z = try_inputs(model.eval(), 5)
    for half, inputs in ((EncoderHalf(model), x), (DecoderHalf(model), z)):
        program, arguments = traced(half, first(inputs)), inputs.values()
        with torch.inference_mode():
            torch.testing.assert_close(program.module()(*arguments), half(*arguments))


USE = """
import numpy as np, torch
import model
x, *label = (torch.from_numpy(np.load(f"{name}.npy")) for name in NAMES)
encoded = model.encode(x, *label)
np.savez("found.npz", *encoded, x_hat=model.decode(encoded[0], *label))
"""


@pytest.mark.parametrize("family", ["vae", "autoencoder", "conditional-vae", "multi-rate"])
def test_the_python_module_runs_without_this_project(run: Run, tmp_path: Path, family: str) -> None:
    if family != "vae":
        run = trained(tmp_path, "other", family=family, train={"epochs": 1})
    folder = write_export(export(Source(run), "python"), tmp_path, "home")
    x = pictures(run)
    known = {
        "conditional-vae": [torch.arange(len(x)) % 11 - 1],
        "multi-rate": [torch.linspace(0.02, 5, len(x))],
    }
    told = known.get(family, [])
    inputs = dict(zip(("x", "label"), (x, *told), strict=False))
    for name, value in inputs.items():
        np.save(folder / f"{name}.npy", value.numpy())
    (folder / "use.py").write_text(USE.replace("NAMES", repr(list(inputs))))
    # Isolated but for its own folder: neither this directory nor PYTHONPATH can help.
    start = f"import sys; sys.path.insert(0, {str(folder)!r}); import use, runpy; "
    done = subprocess.run(
        [sys.executable, "-I", "-c", start + "runpy.run_path('model.py', run_name='__main__')"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert "16 samples of the prior: (16, " in done.stdout
    model = load_run(run).model
    with torch.inference_mode():
        expected = EncoderHalf(model)(x, *told)
        x_hat = DecoderHalf(model)(expected[0], *told)
    with np.load(folder / "found.npz") as found:
        assert len(found.files) == len(expected) + 1 == (2 if family == "autoencoder" else 3)
        for i, ours in enumerate(expected):
            np.testing.assert_allclose(found[f"arr_{i}"], ours, atol=1e-5)
        np.testing.assert_allclose(found["x_hat"], x_hat, atol=1e-5)


# --- ways out ------------------------------------------------------------------------------------


def test_several_files_are_a_folder_on_disk_and_a_zip_in_a_browser(tmp_path: Path) -> None:
    several = Export({"a.txt": b"a", "b.txt": b"b"}, "")
    folder = write_export(several, tmp_path / "new", "both")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == several.files
    name, data = as_download(several, "both")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert name == "both.zip" and archive.namelist() == ["both/a.txt", "both/b.txt"]
        assert archive.read("both/b.txt") == b"b"
    assert as_download(Export({"x.csv": b"1"}, ""), "run") == ("run.csv", b"1")


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    one = Export({"x.csv": b"old"}, "")
    path = write_export(one, tmp_path, "run")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="could not be written"):
        write_export(one, tmp_path / "file", "run")
    path.chmod(0o444)
    assert write_export(Export({"x.csv": b"new"}, ""), tmp_path, "run").read_bytes() == b"new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "run.csv"]


def test_the_command_line_exports_and_refuses_unknown_formats(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vae_core.process.prepare", lambda: None)  # torch is loaded here
    command = ["export", run.id, "--store", str(run.path.parent), "--split", "cached"]
    done = CliRunner().invoke(app, [*command, "--to", "npz", "--to", "csv", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert f"{tmp_path / 'tiny.csv'}: 18 training images." in done.output
    assert len(pd.read_csv(tmp_path / "tiny.csv")) == 18
    nowhere = tmp_path / "none"
    wrong = CliRunner().invoke(app, [*command, "--to", "npz", "--to", "xls", "--out", str(nowhere)])
    assert isinstance(wrong.exception, UserError) and "'xls'" in str(wrong.exception)
    assert not nowhere.exists()
