"""The first page: hero, cards, filter, menu; damaged runs among good ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from latent_workbench.shared.catalog import age, catalog, facts_of
from vae_core.runs import Run, Status, Store
from vae_core.runs.migrations import to_store

APP = str(Path(__file__).resolve().parents[1] / "streamlit_app.py")


@pytest.fixture
def store(tmp_path: Path, finished: Run, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store of the test's own with copies of one finished run."""
    monkeypatch.setenv("VAE_STORE", str(tmp_path))
    for name in ("first", "second"):
        shutil.copytree(finished.path, tmp_path / name)
    return Store()


def gallery() -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60).run()
    assert not app.exception
    return app


def shown(app: AppTest) -> str:
    """All text of the page."""
    elements = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.title]
    return "\n".join(element.value for element in elements)


def buttons(app: AppTest) -> list[str]:
    return [button.key for button in app.button if button.key]


def test_an_empty_store_says_what_to_do_next() -> None:
    app = gallery()
    assert "Nothing is trained yet" in shown(app)
    assert [button.label for button in app.button] == ["Train a model"]


def test_cards_show_what_was_measured(store: Store) -> None:
    app = gallery()
    for run in store:
        assert f"**{run.id}**" in shown(app)
    assert "/4 active" in shown(app)
    assert "vae · digits · β\u00a01" in shown(app)
    assert "explore-first" in buttons(app) and "explore-second" in buttons(app)


def test_a_card_without_elbo_shows_the_reconstruction(store: Store) -> None:
    run = store.get("first")
    run.write_json("summary.json", run.summary() | {"elbo": None, "kl": None, "recon": 64.48})
    app = gallery()
    assert "Recon 64.5 nats" in shown(app) and "ELBO" in shown(app)


def test_a_card_shows_the_beta_that_its_weights_were_trained_with(store: Store) -> None:
    run = store.get("first")
    warming = {"objective": {"beta": 4.0, "schedule": "linear", "schedule_steps": 20}}
    run.write_json("config.json", to_store(run.config().updated(warming)))
    old = {name: value for name, value in run.summary().items() if name != "controls"}
    run.write_json("summary.json", old)  # as an early version left it
    assert facts_of(run).beta == pytest.approx(4.0 * 9 / 20)  # of ten steps, half way of twenty
    assert "vae · digits · β\u00a01.80" in shown(gallery())


def test_a_card_counts_active_units_of_all_latents(store: Store) -> None:
    run = store.get("first")
    run.write_json("summary.json", run.summary() | {"active_units": 200, "latent_dim": 256})
    assert "200/256 active" in shown(gallery())


def test_a_card_of_a_fixed_sigma_shows_what_can_be_compared(store: Store) -> None:
    run = store.get("first")
    measured = {"incomparable": "σ is fixed.", "elbo": -11491.0, "mse": 0.0123, "kl": 7.5}
    run.write_json("summary.json", run.summary() | measured)
    told = shown(gallery())
    assert "MSE 0.0123 a value · KL 7.5" in told and "491" not in told


def test_a_card_of_an_early_version_knows_that_its_sigma_was_fixed(store: Store) -> None:
    run = store.get("first")
    model = {"model": {"likelihood": "gaussian", "sigma": 0.5**0.5}}
    run.write_json("config.json", to_store(run.config().updated(model)))
    late = ("incomparable", "mse")
    run.write_json("summary.json", {k: v for k, v in run.summary().items() if k not in late})
    assert "σ is fixed at 0.707" in facts_of(run).incomparable
    assert "ELBO" not in shown(gallery()).split("**first**")[1].split("**second**")[0]


def test_the_filter_keeps_what_matches_every_word(store: Store) -> None:
    app = gallery()
    app.text_input(key="gallery-filter").input("digits SECOND").run()
    assert "explore-second" in buttons(app) and "explore-first" not in buttons(app)
    app.text_input(key="gallery-filter").input("cats").run()
    assert "No run matches" in shown(app)


@pytest.mark.parametrize("order, first", [("Name", "first"), ("Newest", "second")])
def test_sorting(store: Store, order: str, first: str) -> None:
    store.get("second").write_json("config.json", to_store(store.get("second").config()))
    app = gallery()
    app.selectbox(key="gallery-sort").select(order).run()
    cards = [key for key in buttons(app) if key.startswith("explore-")]
    assert cards[0] == f"explore-{first}"


@pytest.mark.parametrize(
    "name, content",
    [
        ("config.json", b"{"),
        ("config.json", b'{"famly": "vae"}'),
        ("data.json", b"[]"),
        ("status.json", b"\xff\xfe"),
        ("summary.json", b"nothing"),
    ],
)
def test_a_damaged_run_is_shown_with_its_reason_and_the_rest_stays_usable(
    store: Store, name: str, content: bytes
) -> None:
    store.get("first").file(name).write_bytes(content)
    facts = {each.id: each for each in catalog(store)}
    assert facts["first"].state == "damaged" and name.split(".")[0] in facts["first"].problem
    assert not facts["first"].usable and facts["second"].usable
    app = gallery()
    assert facts["first"].problem[:30] in shown(app)
    assert "explore-first" not in buttons(app) and "explore-second" in buttons(app)


def test_deleting_asks_first(store: Store) -> None:
    app = gallery()
    assert app.button(key="delete-first").disabled
    app.checkbox(key="sure-first").check().run()
    app.button(key="delete-first").click().run()
    assert not app.exception
    assert [run.id for run in store] == ["second"]
    assert "explore-first" not in buttons(app)


def test_a_killed_run_can_be_resumed(store: Store) -> None:
    run = store.get("first")
    run.set_status(Status(state="training", step=3, total_steps=10))
    facts = facts_of(run)
    assert facts.state == "interrupted" and facts.can_resume
    assert "resume-first" in buttons(gallery())
    assert not facts_of(store.get("second")).can_resume


def test_a_long_store_is_shown_in_pages(store: Store, tmp_path: Path) -> None:
    for number in range(30):
        shutil.copytree(tmp_path / "first", tmp_path / f"copy-{number}")
    app = gallery()
    cards = [key for key in buttons(app) if key.startswith("explore-")]
    assert len(cards) == 12
    assert app.selectbox(key="run-picker").options == [run.id for run in store]


def test_facts_follow_the_files(store: Store) -> None:
    run = store.get("first")
    before = facts_of(run)
    assert before.state == "finished" and before.elbo is not None
    assert before.elbo == pytest.approx(-(before.recon + before.kl))
    run.write_json("summary.json", {"elbo": -1.0})
    assert facts_of(run).elbo == -1.0
    run.file("model.safetensors").unlink()
    assert not facts_of(run).usable


@pytest.mark.parametrize(
    "seconds, words",
    [
        (5, "just now"),
        (90, "1 min ago"),
        (7200, "2 h ago"),
        (86_400, "1 day ago"),
        (2e5, "2 days ago"),
    ],
)
def test_age(seconds: float, words: str) -> None:
    assert age(1000.0, now=1000.0 + seconds) == words


@pytest.mark.parametrize("listed", [("first", "second"), ("second", "first"), ("gone", "first")])
def test_a_newcomer_meets_the_first_of_what_ships_whatever_is_newer(
    store: Store, listed: tuple[str, ...]
) -> None:
    shutil.copytree(store.get("first").path, store.path / "newest")
    (store.path / "shipped.txt").write_text("\n".join(listed))
    wanted = next(name for name in listed if name != "gone")
    app = gallery()
    assert app.selectbox(key="run-picker").value == wanted
    button = next(each for each in app.button if each.label == "Open in Explore")
    button.click().run()
    assert app.query_params["run"] in (wanted, [wanted])


def test_where_nothing_ships_the_newest_is_met(store: Store) -> None:
    assert store.first_met([]) is None
    names = [run.id for run in store]
    assert store.first_met(names) == names[0]
    assert store.first_met(dict.fromkeys(names)) == names[0]
