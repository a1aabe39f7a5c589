"""The whole app wherever it is served: under a path, mounted in another app, by uvicorn alone, and
behind nginx with the configuration that `deploy/` ships, plain and with TLS."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from grp import getgrgid
from pathlib import Path
from pwd import getpwuid

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Response, WebSocket, expect
from websockets.sync.client import connect

from benchmarks.app import ROOT, answering, free_port
from tests.live import ask, request
from vae_core.runs import Store

from .conftest import PATIENCE_MS
from .test_explore import open_explorer, picture, slider, thumb, wait_for_change
from .test_explore_space import named

pytestmark = pytest.mark.browser

expect.set_options(timeout=PATIENCE_MS)

HOST = "lab.localhost"
"""A name that browsers take for this machine and that the app does not know by itself."""

LIVE_PART = re.compile(r"/live/(decode|progress|preview|thumbnails|images|encode|animation|plotly)")
TOLD = re.compile(r"/train/_stcore/(health|host-config)$|/live/images/")
"""What a page asks for and may be told is not there: Streamlit looks for its server below a deep
link before it looks beside it, and images of a part come once the page has opened the data set."""

WRAPPER = """
user {user};
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include http.conf;
    include https.conf;
    include stripping.conf;
}}
"""

STRIPPING = """
server {{
    listen 127.0.0.1:{port};
    location /deep/inside/ {{
        proxy_pass {app}/;
        proxy_set_header Host $http_host;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $http_connection;
    }}
    location /impatient/ {{
        proxy_pass {app}/;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $http_connection;
        proxy_read_timeout 2s;
    }}
}}
"""
"""A proxy that takes its prefix away, so that the server never learns of it; and one that cuts
whatever is silent for two seconds."""


def shipped(name: str, **changes: str) -> str:
    """A file of deploy/nginx, with words replaced that all have to be there."""
    text = (ROOT / "deploy" / "nginx" / name).read_text(encoding="utf-8")
    for word, other in changes.items():
        assert word in text
        text = text.replace(word, other)
    return text


def me() -> str:
    """User and group of this process, for nginx: its workers write where the test does."""
    return f"{getpwuid(os.getuid()).pw_name} {getgrgid(os.getgid()).gr_name}"


@contextmanager
def nginx(folder: Path, app: str, alone: str) -> Iterator[dict[str, str]]:
    """Debian's nginx before the app at `app` and the one at `alone`: where each way begins."""
    plain, sent_on, tls, stripping = (free_port() for _ in range(4))
    certs = folder / "certs"
    certs.mkdir()
    openssl = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    openssl += ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    openssl += ["-keyout", str(certs / "key.pem"), "-out", str(certs / "certificate.pem")]
    subprocess.run(openssl, check=True, capture_output=True)
    to_app = {"http://app:8501": app}
    files = {
        "nginx.conf": WRAPPER.format(folder=folder, user=me()),
        "app.inc": shipped("app.inc", **to_app),
        "rewriting.inc": shipped("app.inc", **to_app, **{"$http_host": "$proxy_host"}),
        "http.conf": shipped("http.conf", **{"listen 80": f"listen 127.0.0.1:{plain}"}),
        "https.conf": shipped(
            "https.conf",
            **{"listen 80": f"listen 127.0.0.1:{sent_on}", "listen 443": f"listen 127.0.0.1:{tls}"},
            **{"app.inc": "rewriting.inc"},
        ),
        "stripping.conf": STRIPPING.format(port=stripping, app=alone),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    command = [shutil.which("nginx") or "/usr/sbin/nginx", "-p", folder, "-c", "nginx.conf"]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield {
            "nginx": f"http://127.0.0.1:{plain}/lab",
            "tls": f"https://{HOST}:{tls}/lab",
            "stripping": f"http://127.0.0.1:{stripping}/deep/inside",
            "impatient": f"http://127.0.0.1:{stripping}/impatient",
        }
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def ways(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where the app begins, without a slash at the end, for each way of serving it."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    ports = {name: free_port() for name in ("path", "uvicorn", "mounted")}
    uvicorn = [sys.executable, "-m", "uvicorn", "--app-dir", str(ROOT), "--log-level", "error"]
    uvicorn += ["--ws-ping-interval", "0.5"]
    streamlit = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py"]
    streamlit += ["--server.baseUrlPath", "lab", "--browser.serverAddress", HOST]
    commands = {
        "path": ([*streamlit, "--server.port", str(ports["path"])], ROOT),
        "uvicorn": ([*uvicorn, "--port", str(ports["uvicorn"]), "streamlit_app:app"], ROOT),
        "mounted": (
            [*uvicorn, "--port", str(ports["mounted"]), "tests.browser.mounted:app"],
            elsewhere,
        ),
    }
    below = {"path": "/lab", "uvicorn": "", "mounted": "/st"}
    urls = {name: f"http://127.0.0.1:{port}{below[name]}" for name, port in ports.items()}
    with ExitStack() as stack, ThreadPoolExecutor() as pool:

        def start(name: str) -> None:
            command, cwd = commands[name]
            stack.enter_context(answering(command, urls[name], store, cwd))

        list(pool.map(start, commands))  # together: each imports for some seconds
        apps = [urls[name].removesuffix(below[name]) for name in ("path", "uvicorn")]
        proxy = nginx(tmp_path_factory.mktemp("nginx"), *apps)
        yield urls | stack.enter_context(proxy)


class Watched:
    """What a page asks for: its live parts, and whatever went wrong."""

    def __init__(self, page: Page, root: str) -> None:
        self.root, self.wrong = root, list[str]()
        self.parts = set[str]()
        page.on("response", self._response)
        page.on("requestfailed", lambda request: self._asked(request.url))
        page.on("websocket", self._socket)

    def _response(self, response: Response) -> None:
        self._asked(response.url)
        if response.status >= 400 and not (response.status == 404 and TOLD.search(response.url)):
            self.wrong.append(f"{response.status} {response.url}")

    def _socket(self, socket: WebSocket) -> None:
        self._asked("http" + socket.url.removeprefix("ws"))
        socket.on("socketerror", lambda error: self.wrong.append(f"{error} {socket.url}"))

    def _asked(self, url: str) -> None:
        if found := LIVE_PART.search(url):
            self.parts.add(found[1])
        if url != self.root and not url.startswith((self.root + "/", "blob:", "data:")):
            self.wrong.append(f"outside {self.root}: {url}")


def no_picture_is_broken(page: Page) -> None:
    page.wait_for_function("() => [...document.images].every(image => image.complete)")
    broken = "() => [...document.images].filter(i => !i.naturalWidth).map(i => i.src)"
    assert page.evaluate(broken) == []


def gallery(page: Page, root: str, folder: Path) -> None:
    """Cards have their pictures, and the first sliders lead to Explore."""
    open_explorer(page, root)
    page.locator(".st-key-card-tiny img").wait_for()
    no_picture_is_broken(page)
    named(page, "Open in Explore").click()
    page.wait_for_url(f"{root}/explore?run=tiny")


def explore(page: Page, root: str, folder: Path) -> None:
    """Drag, start from what the run keeps and from a file, and take an animation home."""
    slider(page, 3).wait_for()
    x, y = thumb(page)
    before = picture(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=4)
    wait_for_change(page, before)  # the button is still down: by the socket
    page.mouse.up()
    named(page, "Start from an image of the data").click()
    page.locator("dialog.images .cells:not(.few) canvas.drawn").first.wait_for()
    before = picture(page)
    named(page, "Start from hold-out image 4").click()
    wait_for_change(page, before)
    before = picture(page)
    page.get_by_test_id("image-upload").set_input_files(folder / "0.png")
    wait_for_change(page, before)
    named(page, "Save the picture").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the swing").first.click()
    with Image.open(download.value.path()) as image:
        assert image.format == "GIF" and image.n_frames > 10
    page.keyboard.press("Escape")


def encodings(page: Page, root: str, folder: Path) -> None:
    """Points have pictures: those that the run keeps, and those of a whole part."""
    page.get_by_role("link", name="Encodings").click()
    page.wait_for_url(f"{root}/encodings?run=tiny")
    page.get_by_text("300 images", exact=True).wait_for()
    page.get_by_role("combobox", name="Images").click()
    page.get_by_role("option", name=re.compile("^All .* validation images")).click()
    scatter = page.locator('canvas[aria-label$=" encodings"]:not([aria-label^="300 "])')
    scatter.wait_for()
    scatter.focus()
    box = scatter.bounding_box()
    assert box is not None
    shown = page.locator(".hover.shown canvas.drawn")
    for step in range(60):  # somewhere along a line there is a point
        page.mouse.move(box["x"] + box["width"] * step / 60, box["y"] + box["height"] / 2)
        if page.locator(".hover.shown").count():
            break
    shown.wait_for()


def grids(page: Page, root: str, folder: Path) -> None:
    """A file made by a script run is taken home."""
    page.get_by_role("link", name="Grids").click()
    page.locator(".sheet-picture img").wait_for()
    with page.expect_download() as download:
        named(page, "PNG").click()
    with Image.open(download.value.path()) as image:
        assert image.size == (9 * 16, 9 * 16)


def monitor(page: Page, root: str, folder: Path) -> None:
    """A deep link: curves, previews, and images of one's own that arrive."""
    page.goto(f"{root}/train?run=tiny")
    page.wait_for_function(
        "() => document.querySelector('[data-testid=live-chart]')?.dataset.points > 0"
    )
    page.locator("[data-testid=live-chart] .main-svg").first.wait_for()
    page.locator("canvas[data-name=samples][data-shown]").wait_for()
    page.get_by_role("combobox", name="Data").click()
    page.get_by_role("option", name="Your images").click()
    page.locator("input[type=file]").first.set_input_files(sorted(folder.glob("*.png")))
    expect(page.locator(".samples img").first).to_be_visible()
    no_picture_is_broken(page)


JOURNEY: tuple[Callable[[Page, str, Path], None], ...] = (
    gallery,
    explore,
    encodings,
    grids,
    monitor,
)
EVERY_PART = {"decode", "progress", "preview", "thumbnails", "images", "encode", "animation"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images to upload."""
    folder = tmp_path_factory.mktemp("pictures")
    for k in range(12):
        Image.radial_gradient("L").resize((16, 16)).rotate(30 * k).save(folder / f"{k}.png")
    return folder


@pytest.mark.parametrize("way", ["nginx", "tls", "stripping", "uvicorn", "mounted"])
def test_everything_works(browser: Browser, ways: dict[str, str], pictures: Path, way: str) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, ignore_https_errors=True, accept_downloads=True
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    watched = Watched(page, ways[way])
    for part in JOURNEY:
        began = time.monotonic()
        part(page, ways[way], pictures)
        print(f"{way} {part.__name__}: {time.monotonic() - began:.1f} s")
    context.close()
    assert watched.wrong == []
    assert watched.parts >= EVERY_PART


def test_a_silent_socket_outlives_the_patience_of_a_proxy(ways: dict[str, str]) -> None:
    url = f"ws{ways['impatient'].removeprefix('http')}/live/decode/tiny"
    with connect(url, ping_interval=None) as socket:
        time.sleep(4)
        sequence, pixels = ask(socket, request(7, np.zeros(4)))
    assert sequence == 7 and pixels.shape == (1, 16, 16, 1)
