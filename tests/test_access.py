"""Who may see the app, who may change something, and what of the computer may be named."""

from __future__ import annotations

import ast
import json
import os
import sys
import time
from pathlib import Path

import pytest
import streamlit as st
from itsdangerous.timed import TimestampSigner
from starlette.datastructures import Headers
from streamlit.auth_util import set_cookie_with_chunks
from streamlit.testing.v1 import AppTest
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from latent_workbench.shared import access
from tests.configured import AUTH, ORIGIN, options, secrets, signed
from tests.pages import PAGES, ROOT, open_page
from vae_core.errors import UserError
from vae_core.runs import Run

KNOWN = {"origin": ORIGIN, "is_logged_in": True, "email": "ann@example.org"}
NOBODY = Headers({"host": "lab.example.org"})


def cookies(**claims: object) -> dict[str, str]:
    """The cookie of somebody who has logged in."""
    return {USER_COOKIE_NAME: signed(USER_COOKIE_NAME, json.dumps(KNOWN | claims))}


# --- who comes ------------------------------------------------------------------------------------


def test_nobody_has_to_log_in_where_nothing_says_so(tmp_path: Path) -> None:
    assert access.visitor_of(NOBODY, {}) == {}
    with secrets(tmp_path, "[access]\n"):
        assert access.visitor_of(NOBODY, {}) == {} and not access.needs_login()


def test_a_cookie_counts_as_it_does_for_streamlit(tmp_path: Path) -> None:
    with secrets(tmp_path, AUTH):
        assert access.visitor_of(NOBODY, {}) is None
        known = access.visitor_of(NOBODY, cookies())
        assert known is not None and known["email"] == "ann@example.org"
        for wrong in (
            {"is_logged_in": False},
            {"origin": "https://else.example"},
            {"origin": None},
        ):
            assert access.visitor_of(NOBODY, cookies(**wrong)) is None
        other = Headers({"host": "lab.example.org", "origin": "https://else.example"})
        assert access.visitor_of(other, cookies()) is None
        for text in ("[1]", "null", '"x"', "{", "chunks-3"):
            strange = {USER_COOKIE_NAME: signed(USER_COOKIE_NAME, text)}
            assert access.visitor_of(NOBODY, strange) is None


def test_a_cookie_runs_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = 24 * 3600
    with secrets(tmp_path, AUTH):
        for age, let_in in ((29 * day, True), (32 * day, False), (400 * day, False)):
            with monkeypatch.context() as past:
                then = int(time.time()) - age
                past.setattr(TimestampSigner, "get_timestamp", lambda self, then=then: then)
                made = cookies()
            assert (access.visitor_of(NOBODY, made) is not None) is let_in, age


def test_a_cookie_in_pieces_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    with secrets(tmp_path, AUTH):
        pieces: dict[str, str] = {}
        large = KNOWN | {"groups": os.urandom(4000).hex()}
        set_cookie_with_chunks(
            lambda name, value: pieces.update({name: signed(name, value)}),
            lambda name, value: signed(name, value).encode(),
            USER_COOKIE_NAME,
            large,
            cookie_attr_size=100,
        )
        assert len(pieces) > 2
        assert access.visitor_of(NOBODY, pieces) == large
        for name in pieces:
            less = {other: value for other, value in pieces.items() if other != name}
            assert access.visitor_of(NOBODY, less) is None


def test_headers_that_a_proxy_vouches_for_count(tmp_path: Path) -> None:
    headers = Headers({"host": "lab.example.org", "x-email": "ann@example.org"})
    with options(server_trustedUserHeaders={"X-Email": "email"}):
        assert access.visitor_of(headers, {}) == {"email": "ann@example.org"}
        with secrets(tmp_path, AUTH):  # who has to log in has to, whatever a header says
            assert access.visitor_of(headers, {}) is None
    assert access.visitor_of(headers, {}) == {}


# --- what is misconfigured lets nobody in ---------------------------------------------------------


@pytest.mark.parametrize(
    "text, said",
    [
        ("[auth\n", "cannot be read"),
        ("[access]\nreadonly = true\n", "readonly"),
        ("[access]\ntrainers = 5\n", "trainers"),
        ('[access]\nread_only = "perhaps"\n', "read_only"),
        ("access = 5\n", "access"),
        ('[auth]\nclient_id = "x"\n', "redirect_uri"),
        ('[auth]\nredirect_uri = "http://localhost/oauth2callback"\n', "cookie_secret"),
    ],
)
def test_secrets_that_say_nothing_sure_stop_the_start(tmp_path: Path, text: str, said: str) -> None:
    with secrets(tmp_path, text), pytest.raises(access.Misconfigured, match=said):
        access.check()


def test_a_file_that_is_broken_while_the_app_runs_lets_nobody_in(tmp_path: Path) -> None:
    with secrets(tmp_path, "[auth\n"), pytest.raises(access.Misconfigured):
        access.visitor_of(NOBODY, {})


def test_an_argument_with_a_slip_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["streamlit_app.py", "--readonly"])
    with pytest.raises(access.Misconfigured, match="--readonly"):
        access.check()
    monkeypatch.setattr(sys, "argv", ["streamlit_app.py", "--read-only"])
    access.check()
    assert "nobody trains" in access.read_only_reason_of({})


# --- who may change something ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, reads",
    [
        ("", {None: False, "ann@example.org": False}),
        ("read_only = true", {None: True, "ann@example.org": True}),
        ('trainers = ["Ann@example.org"]',
         {None: True, "ann@example.org": False, "ANN@EXAMPLE.ORG": False, "bob@example.org": True,
          "ann@example.org.evil": True, "": True}),
        ("trainers = []", {None: True, "": True, "ann@example.org": True}),
        ('trainers = [""]', {None: True, "": True}),
        ('trainers = ["ann@example.org"]\nread_only = true', {"ann@example.org": True}),
    ],
)  # fmt: skip
def test_roles(tmp_path: Path, text: str, reads: dict[str | None, bool]) -> None:
    with secrets(tmp_path, f"[access]\n{text}\n"):
        for email, only in reads.items():
            visitor = {} if email is None else {"email": email}
            assert bool(access.read_only_reason_of(visitor)) is only, email


def test_an_address_that_nobody_has_verified_trains_nothing(tmp_path: Path) -> None:
    with secrets(tmp_path, '[access]\ntrainers = ["ann@example.org"]\n'):
        ann = {"email": "ann@example.org"}
        assert access.read_only_reason_of(ann | {"email_verified": False})
        assert not access.read_only_reason_of(ann | {"email_verified": True})


@pytest.mark.parametrize("value, reads", [("1", True), ("yes", True), ("0", False), ("", False)])
def test_the_environment_says_so_too(monkeypatch, value: str, reads: bool) -> None:
    monkeypatch.setenv(access.READ_ONLY_VARIABLE, value)
    assert bool(access.read_only_reason_of({})) is reads


LOOKING = {
    "Explore", "Open", "Open in Explore", "Draw again", "Measure purity", "Look through them",
    "Find more like it", "Zip", "Show", "Hide", "Looks right", "Draw one", "The picture in Explore",
    "Open the nearest in Explore",
    "Make the file", "HTML file", "Fit here", "Open its mean", "Keep as A", "Keep as B",
    "Go to Train",
    "Try again", "Use them", "", "±1", "±2", "±3", "Log grid", "See it in your run",
    "Begin", "Back", "Next",
}  # fmt: skip
"""Buttons that change nothing of the store."""


def everything(store: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in store.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", PAGES)
def test_a_reader_finds_every_control_off_and_what_acts_refused(
    name: str, tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(access.READ_ONLY_VARIABLE, "1")
    page = open_page(name, run="tiny")
    assert not page.error
    on = {button.label for button in page.button if not button.disabled}
    assert on <= LOOKING, on - LOOKING
    acting = [button.key for button in page.button if button.disabled]
    if name == "gallery":
        assert acting == ["weights-tiny", "delete-tiny"]
    # A browser presses no button that is off; who presses it all the same is refused.
    monkeypatch.setattr(access, "widget_options", lambda help=None, disabled=False: {"help": help})
    before = everything(tiny_run.path.parent)
    for key in acting:
        page = open_page(name, run="tiny")
        page.button(key=key).click().run()
        assert "nobody trains" in page.error[0].value, key
    assert everything(tiny_run.path.parent) == before


def test_who_may_act_finds_the_same_controls_on(tiny_run: Run) -> None:
    page = open_page("train", run="tiny")
    assert page.button(key="start-training") is not None
    assert not page.info


def test_a_sentence_that_no_page_shows_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from latent_workbench.shared.errors import on_script_error

    shown: list[str] = []
    monkeypatch.setattr(st, "error", shown.append)
    assert on_script_error(access.ReadOnly("You may look.")) and shown == ["You may look."]
    assert not on_script_error(ZeroDivisionError()) and len(shown) == 1


CHANGES = {"start", "resume", "send", "launch", "create_sweep", "delete", "save_direction",
           "forget_direction", "clear_disk", "score"}  # fmt: skip
"""What of vae_core changes the store, by name; `x.start` counts as well."""

THREADS = {"threading.Thread(target=self._run, daemon=True).start"}


def unchecked(path: Path) -> list[str]:
    """Calls of `CHANGES`, and references that a widget would call, outside `authorized(…)`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checked: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "access.authorized":
            checked |= {id(each) for argument in node.args for each in ast.walk(argument)}
    found = []
    for node in ast.walk(tree):
        each = node.func if isinstance(node, ast.Call) else None
        if isinstance(node, ast.keyword) and (node.arg or "").startswith("on_"):
            each = node.value
        name = getattr(each, "attr", getattr(each, "id", ""))
        if each is not None and name in CHANGES and id(each) not in checked:
            found.append((each.lineno, ast.unparse(each)))
    return [f"{path.name}:{line} {text}" for line, text in sorted(found) if text not in THREADS]


@pytest.mark.parametrize(
    "path",
    [
        path
        for folder in ("latent_workbench", "pages")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "live" not in path.parts
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_whatever_changes_the_store_asks_first(path: Path) -> None:
    assert unchecked(path) == []


def test_the_check_sees_what_does_not_ask(tmp_path: Path) -> None:
    file = tmp_path / "page.py"
    file.write_text(
        "run.delete()\njobs.start(a)\nst.button('x', on_click=sweep.send)\nscore(run)\n"
        "access.authorized(run.delete)()\nst.button('x', on_click=access.authorized(sweep.send))\n"
    )
    assert [each.split()[1] for each in unchecked(file)] == [
        "run.delete", "jobs.start", "sweep.send", "score",
    ]  # fmt: skip


CALLBACKS = {"'ignore'", "st.login", "st.logout", "_use_grid", "_course_plot", "clicked"}
"""What a click may leave to a callback: it takes nothing down, or fills in a field."""


def test_no_action_hangs_on_a_callback() -> None:
    """A page that outlived its server clicks in a session that knows of no callback (Stop, Pause,
    Cancel, Resume, Remove); the script itself hears such a click."""
    left = set()
    for folder in ("latent_workbench", "pages"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.keyword) and node.arg == "on_click":
                    left.add(ast.unparse(node.value))
    assert left == CALLBACKS


# --- what of the computer may be named ------------------------------------------------------------

FIELDS = ("train-path", "sweep-storage")


def own_images_page() -> AppTest:
    page = open_page("train")
    page.selectbox(key="train-dataset").set_value("folder").run()
    assert not page.exception
    return page


def labels(page: AppTest) -> list[str]:
    return [field.label for field in page.text_input]


def test_a_path_may_be_named_is_local_visitor_alone() -> None:
    assert any("this computer" in label for label in labels(own_images_page()))
    with options(server_address="0.0.0.0"):
        shown = labels(own_images_page())
    assert not any("path" in label or "Data folder" in label for label in shown)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"server_address": "0.0.0.0"},
        {"server_address": None},
        {"server_address": "192.168.1.5"},
        {"server_address": "::"},
        {"server_allowedHosts": ["lab.example.org"]},
        {"browser_serverAddress": "lab.example.org"},
    ],
)
def test_a_server_that_others_reach_is_nobodys_computer(elsewhere: dict[str, object]) -> None:
    assert access.is_local_visitor()
    with options(**elsewhere):
        assert not access.is_local_visitor()


HERE = {"Host": "localhost:8501", "Origin": "http://localhost:8501"}


@pytest.mark.parametrize(
    "headers, address, here",
    [
        (HERE, None, True),
        ({"Host": "127.0.0.1:1", "Origin": "http://127.0.0.1:1"}, None, True),
        (HERE, "192.168.1.7", False),
        (HERE | {"Host": "192.168.1.5:8501"}, None, False),
        (HERE | {"Host": "lab.example.org"}, None, False),
        (HERE | {"Origin": "https://lab.example.org"}, None, False),
        (HERE | {"Origin": "null"}, None, False),
        (HERE | {"X-Forwarded-For": "1.2.3.4"}, None, False),
        (HERE | {"Forwarded": "for=1.2.3.4"}, None, False),
        (HERE | {"X-Real-IP": "1.2.3.4"}, None, False),
        (HERE | {"Via": "1.1 proxy"}, None, False),
    ],
)
def test_who_sits_is_local_visitor(monkeypatch, headers, address, here: bool) -> None:
    class Context:
        ip_address = address

    Context.headers = Headers(headers)  # type: ignore[attr-defined]
    monkeypatch.setattr(st, "context", Context())
    assert access.is_local_visitor() is here


def test_only_listed_folders_may_be_named_from_elsewhere(tmp_path: Path) -> None:
    allowed = tmp_path / "shared pictures"
    (allowed / "cats").mkdir(parents=True)
    (tmp_path / "shared pictures of mine").mkdir()
    (allowed / "out").symlink_to("/etc")
    listed = f"[access]\nfolders = [{json.dumps(str(allowed))}]\n"
    with secrets(tmp_path, listed), options(server_address="0.0.0.0"):
        assert any("on the server" in label for label in labels(own_images_page()))
        assert access.folder_allowed(str(allowed / "cats")) == str(allowed / "cats")
        beside = [f"{allowed}/../secret", f"{allowed}/out", f"{allowed} of mine", str(tmp_path)]
        for outside in ("/etc", "/dev/zero", "/", "", "~", "/proc/self/root/etc", *beside):
            with pytest.raises(UserError, match="Only folders that this app was given"):
                access.folder_allowed(outside)


def test_what_may_not_be_named_is_said_and_not_opened(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    listed = f"[access]\nfolders = [{json.dumps(str(tmp_path / 'given'))}]\n"
    with secrets(tmp_path, listed), options(server_address="0.0.0.0"):
        page = own_images_page()
        page.text_input(key="train-path").set_value("/etc").run()
    assert "Only folders that this app was given" in page.error[0].value
    assert page.button(key="start-training").disabled


def test_a_database_is_named_is_local_visitor_alone(tiny_run: Run) -> None:
    def storage(**wished: object) -> bool:
        with options(**wished):
            page = open_page("tune_beta", run="tiny", **{"tune-tab": "Sweep"})
        return any(field.key == "sweep-storage" for field in page.text_input)

    assert storage()
    assert not storage(server_address="0.0.0.0")
