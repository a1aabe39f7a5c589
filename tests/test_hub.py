"""A run goes to the Hugging Face hub and comes back, by a hub on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.commands import vae_core
from tests.engine import trained
from tests.hub_server import TOKEN, Hub, serving
from tests.pictures import lay_out, png
from vae_core.errors import UserError
from vae_core.export import Source, export, write_export
from vae_core.export.model_card import model_card
from vae_core.hub import RUN_FILES, publish, pull
from vae_core.loading import load_run
from vae_core.runs import Run, Store, layout
from vae_core.runs.schemas import Brought, Pulled

REPOSITORY = "someone/cats"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of a person's own images, whose places are nobody's business."""
    root = tmp_path_factory.mktemp("hub")
    files = {f"{kind}/no {i}.png": png(i) for kind in ("cat", "dog") for i in range(10)}
    data = {"dataset": "folder", "data_dir": str(lay_out(root / "mine" / "pets", files))}
    train = {"batch_size": 8, "epochs": 1}
    changes = {"data": data | {"limit": None}, "train": train, "model": {"likelihood": "gaussian"}}
    return trained(root / "store", "cats", **changes)


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = export(Source(run, license="mit"), "hub")
    assert "holds pictures" in made.note
    return write_export(made, tmp_path_factory.mktemp("exported"), "cats-hub")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Its address is read when the library is imported, so that is done here anew."""
    with serving() as served, pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
            patch.delenv(name, raising=False)
        patch.setenv("HF_ENDPOINT", served.url)
        patch.setenv("HF_HOME", str(home))
        for module in [name for name in sys.modules if name.split(".")[0] == "huggingface_hub"]:
            patch.delitem(sys.modules, module)
        yield served


@pytest.fixture
def filled(hub: Hub, folder: Path) -> Iterator[Hub]:
    """With the repository in it."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*")}
    hub.files[REPOSITORY] = {name: path.read_bytes() for name, path in files.items()}
    yield hub
    hub.files.clear()
    hub.private.clear()
    hub.sizes.clear()
    hub.asked.clear()


# --- the repository's folder ---------------------------------------------------------------------


def test_the_card_is_what_the_hub_reads_and_what_the_run_has_measured(
    hub: Hub, run: Run, folder: Path
) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard.load(folder / "README.md")
    told = card.data.to_dict()
    assert told["license"] == "mit" and told["library_name"] == "latent-workbench"
    assert told["tags"][0] == "vae" and len(told["tags"]) == len(set(told["tags"]))
    assert "datasets" not in told, "images of one's own are on no hub"
    assert "−log p(x\\|z)" in card.text, "a cell of a table"
    summary = run.summary()
    results = {each.metric_type: each for each in card.data.eval_results}
    assert results["elbo"].metric_value == summary["elbo"]
    assert results["elbo"].dataset_args is None and results["elbo"].dataset_split == "validation"
    assert {"recon", "kl", "mse", "active_units"} <= results.keys()
    assert f"{summary['elbo']:.6g} nats per image" in card.text
    assert "2 validation images" in card.text and "| Latent dimensions | 4 |" in card.text
    for name in ("reconstructions", "samples", "plane"):
        assert f"(pictures/{name}.png)" in card.text
        assert Image.open(folder / "pictures" / f"{name}.png").width >= 480


def test_a_card_is_silent_on_a_license_and_names_a_data_set_that_others_have(
    finished: Run, hub: Hub
) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard(export(Source(finished), "hub").files["README.md"].decode())
    assert card.data.license is None and card.data.datasets == ["digits"]


def test_nothing_in_the_folder_names_a_place_of_this_machine(run: Run, folder: Path) -> None:
    mine = str(run.path.parents[1]).encode()
    assert mine in run.read(layout.CONFIG), "the run itself knows where they lie"
    for path in filter(Path.is_file, folder.rglob("*")):
        data = path.read_bytes()
        assert mine not in data and os.getcwd().encode() not in data, path
    assert json.loads((folder / layout.CONFIG).read_text())["data"]["data_dir"] == "pets"
    assert not json.loads((folder / layout.ENVIRONMENT).read_text()).keys() & {"command", "resumed"}


def test_torch_and_safetensors_alone_open_the_plain_part(run: Run, folder: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, '.'); import torch; from model import decode, encode\n"
        "torch.manual_seed(0); z = torch.randn(3, 4); torch.save((z, decode(z)), 'out.pt')\n"
        "assert not {m for m in sys.modules if m.startswith('vae_core')}"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder / "plain", check=True, timeout=120)
    z, x_hat = torch.load(folder / "plain" / "out.pt", weights_only=True)
    (folder / "plain" / "out.pt").unlink()
    model = load_run(run).model
    with torch.inference_mode():
        ours = model.picture(model.decode(model.unflatten(z)))
    torch.testing.assert_close(x_hat, ours, atol=1e-5, rtol=1e-5)


def test_a_network_from_elsewhere_is_not_said_to_be_trained_here(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / "kl")
    brought = Store(tmp_path).get("kl")
    brought.write_json(layout.BROUGHT, Brought(kind="diffusers", source="a folder"))
    card = model_card(load_run(brought), {}, {}, "")
    assert "It was not trained here: it came as diffusers" in card
    assert "Learning rate" not in card and "Nothing was measured" in card


# --- up ------------------------------------------------------------------------------------------


def test_without_a_token_the_folder_is_made_and_a_sentence_says_how_to_go_on(
    hub: Hub, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.split(".")[0] == "huggingface_hub"]:
        monkeypatch.delitem(sys.modules, module)  # nothing of it has been asked for yet
    out = vae_core(
        "export", run.id, "--to", "hub", "--out", str(tmp_path), "--store", str(run.path.parent)
    )
    assert out.returncode == 0, out.stderr
    assert (tmp_path / "cats-hub" / "README.md").exists()
    assert "no token" in out.stdout and f"hf upload USER/cats {tmp_path}/cats-hub" in out.stdout
    assert hub.asked == []


def test_it_goes_up_as_a_private_repository_and_its_token_is_nowhere(
    hub: Hub, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    said = publish(folder, "cats")
    assert f"{hub.url}/{REPOSITORY}" in said and TOKEN not in said
    assert hub.private == {REPOSITORY}
    sent = hub.files[REPOSITORY]
    for path in filter(Path.is_file, folder.rglob("*")):
        assert sent[path.relative_to(folder).as_posix()] == path.read_bytes()
        assert TOKEN.encode() not in path.read_bytes()
    with monkeypatch.context() as stranger:
        stranger.delenv("HF_TOKEN")
        with pytest.raises(UserError, match="does not exist, or is private"):
            pull(Store(tmp_path), REPOSITORY)
    assert pull(Store(tmp_path), REPOSITORY).id == "cats"
    assert TOKEN.encode() not in b"".join(
        path.read_bytes() for path in filter(Path.is_file, tmp_path.rglob("*"))
    )
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    with pytest.raises(UserError, match="was not uploaded") as refused:
        publish(folder, REPOSITORY)
    assert "hf_another" not in str(refused.value) and "\n" not in str(refused.value)
    hub.files.clear()
    hub.private.clear()


# --- down ----------------------------------------------------------------------------------------


def test_a_run_comes_back_whole_with_its_commit(filled: Hub, run: Run, tmp_path: Path) -> None:
    store = Store(tmp_path)
    pulled = pull(store, REPOSITORY)
    assert pulled.id == "cats" and pull(store, REPOSITORY).id == "cats-2"
    assert pull(store, REPOSITORY, name="mine").id == "mine"
    assert pulled.parse(layout.PULLED, Pulled) == Pulled(
        repository=REPOSITORY, revision=filled.commit(REPOSITORY)
    )
    assert pulled.status().state == "finished" and pulled.summary() == run.summary()
    for name in (layout.PARTS, layout.ENCODINGS, layout.THUMBNAILS):
        assert pulled.read(name) == run.read(name)
    x = torch.rand(2, 3, 16, 16)
    for a, b in ((load_run(run).model, load_run(pulled).model),):
        torch.testing.assert_close(a.encode(x).mode(), b.encode(x).mode(), atol=0, rtol=0)
    kept = {path.name for path in pulled.path.iterdir()}
    assert kept <= {*RUN_FILES, layout.PULLED}, "no README, no code, no cache of the hub's"
    assert {path.name for path in tmp_path.iterdir()} == {"cats", "cats-2", "mine"}
    shown = vae_core("show", "cats", "--json", "--store", str(tmp_path)).stdout
    assert json.loads(shown)["pulled_from"]["repository"] == REPOSITORY
    again = vae_core("pull", REPOSITORY, "--as", "third", "--store", str(tmp_path))
    assert again.returncode == 0 and "Run third in" in again.stdout


def test_what_is_no_run_is_refused_before_it_is_downloaded(filled: Hub, tmp_path: Path) -> None:
    store = Store(tmp_path)
    filled.sizes[layout.CONFIG] = 10**9
    with pytest.raises(UserError, match=r"config.json of someone/cats is not down.*at most"):
        pull(store, REPOSITORY)
    filled.sizes.clear()
    filled.sizes[layout.WEIGHTS] = 15 * 10**9
    free = shutil.disk_usage
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "vae_core.hub.shutil.disk_usage", lambda path: free(path)._replace(free=10**9)
        )
        with pytest.raises(UserError, match="has 15000 MB, and 1000 are free"):
            pull(store, REPOSITORY)
    filled.sizes.clear()
    del filled.files[REPOSITORY][layout.WEIGHTS]
    with pytest.raises(UserError, match=r"holds no run.* it has no model.safetensors"):
        pull(store, REPOSITORY)
    assert not any("resolve" in line for line in filled.asked)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        (layout.WEIGHTS, b"\x80\x05cos\nsystem\n.", "damaged"),
        (layout.CONFIG, b'{"family": "no-such"}', "damaged|no-such"),
        (layout.DATA_CARD, b"[" * 100_000, "damaged"),
    ],
)
def test_a_damaged_or_hostile_one_leaves_nothing(
    filled: Hub, tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    filled.files[REPOSITORY][name] = data
    with pytest.raises(UserError, match=says):
        pull(Store(tmp_path), REPOSITORY)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_had_is_told_in_a_sentence(filled: Hub, tmp_path: Path) -> None:
    store = Store(tmp_path)
    for wrong in ("cats", "../../etc/passwd", "a/b/c", "someone/", "https://hub/a"):
        with pytest.raises(UserError, match="names no repository"):
            pull(store, wrong)
    with pytest.raises(UserError, match=r"no-such was not pulled: it does not exist, or is priv"):
        pull(store, "someone/no-such")
    with pytest.raises(UserError, match="no such revision"):
        pull(store, REPOSITORY, revision="v9")
    with pytest.raises(UserError, match="is no run name"):
        pull(store, REPOSITORY, name="../out")


def test_a_hub_that_is_not_there_is_told_in_a_sentence(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"someone/cats was not pulled: .*\.$") as refused:
        pull(Store(tmp_path), REPOSITORY)
    assert "\n" not in str(refused.value)
