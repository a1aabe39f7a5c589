"""What a visitor reads of an error: names, and neither this server's paths nor a password."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from latent_workbench.shared.errors import redact
from tests.pages import ROOT
from vae_core.errors import UserError
from vae_core.runs import Run, Store


@pytest.mark.parametrize(
    "text, shown",
    [
        ("There is no folder or .zip at /etc/shadow; check the path.",
         "There is no folder or .zip at shadow; check the path."),
        ("There is no folder at /etc.", "There is no folder at etc."),
        ("'/srv/my pictures/cat 1.png' cannot be read.", "'cat 1.png' cannot be read."),
        ("Train again (/srv/a/b.json): no.", "Train again (b.json): no."),
        ('  File "/opt/app/vae_core/x.py", line 3, in y', '  File "x.py", line 3, in y'),
        ("a=/srv/a.b,/srv/c", "a=a.b,c"),
        ("postgresql://me:secret@db.example/lab is away", "postgresql://db.example/lab is away"),
        ("It makes 400 images/s, 3/4 of them; see https://example.org/a/b and a/b.",
         "It makes 400 images/s, 3/4 of them; see https://example.org/a/b and a/b."),
        ("1 / 2 and σ² / (2σ²·L)", "1 / 2 and σ² / (2σ²·L)"),
        ("1 was skipped: 🐱/torn.png; ❤️/a.png, été/b.png and 🐱 /srv/secret/c.png.",
         "1 was skipped: 🐱/torn.png; ❤️/a.png, été/b.png and 🐱 c.png."),
        ("“/srv/a/b.png and →/srv/a/c.png", "“b.png and →c.png"),
        ("25% is cut; let data.resize pad, or leave data.image_size empty.",
         "25% is cut; let “Resize” pad, or leave “Image size” empty."),
        ("model.latent_dim: too many.", "“Latent dimensions”: too many."),
        ("data.npz, config.data.resize, /srv/data.resize and data.nothing are no settings.",
         "data.npz, config.data.resize, data.resize and data.nothing are no settings."),
        ("", ""),
        ("/", "/"),
    ],
)  # fmt: skip
def test_paths_become_names(text: str, shown: str) -> None:
    assert redact(UserError(text)) == shown


def test_what_lies_in_the_store_keeps_its_place_there(tmp_path: Path, monkeypatch) -> None:
    store = tmp_path / "my runs of 2026"
    store.mkdir()
    monkeypatch.setenv("VAE_STORE", str(store))
    assert redact(f"{store}/a-run/config.json: gone") == "a-run/config.json: gone"
    with pytest.raises(UserError) as missing:
        Store().get("nobody")
    assert redact(missing.value) == "There is no run called 'nobody' in my runs of 2026."


def test_a_worker_that_failed_tells_no_paths(tiny_run: Run) -> None:
    from tests.pages import open_page, texts
    from vae_core.runs import Status

    where = tiny_run.path / "model.safetensors"
    tiny_run.set_status(Status(state="failed", step=1, total_steps=2, message=f"{where} is gone."))
    tiny_run.write_bytes("log.txt", f'  File "{ROOT}/vae_core/x.py", line 1\n{where}\n'.encode())
    page = open_page("train", run="tiny")
    shown = texts(page) + "".join(each.value for each in [*page.code, *page.error])
    assert "tiny/model.safetensors" in shown and 'File "vae_core/x.py"' in shown
    assert str(ROOT) not in shown and str(tiny_run.path.parent) not in shown


def spelled_out(path: Path) -> list[int]:
    """Lines where the text of a caught error goes somewhere as it is."""
    found = []
    for handler in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(handler, ast.ExceptHandler) or not handler.name:
            continue
        for node in ast.walk(handler):
            inner: list[ast.expr] = []
            if isinstance(node, ast.Call) and ast.unparse(node.func) != "redact":
                inner = [*node.args] if ast.unparse(node.func) in ("str", "repr") else []
            elif isinstance(node, ast.FormattedValue):
                inner = [node.value]
            found += [
                each.lineno for each in inner if ast.unparse(each) in (handler.name, "error.args")
            ]
    return found


DEEPER = {
    "latent_workbench/__main__.py",
    "latent_workbench/shared/tasks.py",
    "latent_workbench/shared/access.py",
    "latent_workbench/train/timing.py",
}
"""Their sentences are shown by others, which take the paths out, or go to a shell."""


@pytest.mark.parametrize(
    "path",
    [p for folder in ("latent_workbench", "pages") for p in sorted((ROOT / folder).rglob("*.py"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_page_and_no_route_shows_an_error_as_it_is(path: Path) -> None:
    if str(path.relative_to(ROOT)) not in DEEPER:
        assert spelled_out(path) == []


def test_the_check_sees_an_error_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "page.py"
    file.write_text(
        "try:\n    x()\nexcept E as error:\n    st.error(str(error))\n    a(f'{error}')\n"
        "    st.error(redact(error))\n"
    )
    assert spelled_out(file) == [4, 5]


def test_a_defect_shows_no_traceback() -> None:
    def page() -> None:
        raise RuntimeError("/srv/somebody/secret.txt")

    app = AppTest.from_function(page).run()
    shown = app.exception[0].proto
    assert "/srv" not in str(shown) and not shown.stack_trace
