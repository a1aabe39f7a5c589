"""The socket `/live/progress/{run_id}` that tells a browser what is new in a run, its preview
pictures, and the plotting library that draws the rest.

The server only reads the run folder, so any number of tabs may watch, and a restarted server goes
on where the old one stopped.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from importlib.resources import files
from typing import Any, Literal
from weakref import WeakValueDictionary

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from latent_workbench.live.columns import Limits
from latent_workbench.live.guard import POLICY_VIOLATION
from latent_workbench.live.history import Cursor, History
from latent_workbench.live.images import read_png
from latent_workbench.shared.errors import redact
from vae_core.errors import UserError
from vae_core.runs import ACTIVE, Run, Store, layout
from vae_core.settings import Settings, is_open

LOGGER = logging.getLogger(__name__)

INTERVAL = 0.3
"""Seconds between two looks at a run that trains; one that does not is looked at every second."""

NO_SUCH_RUN = 4004
"""Tells the client not to come back."""

_PREVIEW = re.compile(r"originals|corrupted|[0-9]{8,12}-(reconstructions|samples)")


class Ask(Settings):
    """What a client may ask for: its curves afresh, with most points between `low` and `high`."""

    want: Literal["series"]
    axis: Literal["step", "time"] = "step"
    low: float | None = None
    high: float | None = None

    def limits(self) -> Limits | None:
        """The stretch looked at, None for all of it."""
        if self.low is None or self.high is None:
            return None
        return (self.axis, self.low, self.high)


class ProgressServer:
    """What the connections share: one history for each run that is being watched."""

    def __init__(self, interval: float = INTERVAL) -> None:
        self.interval = interval
        self._histories: WeakValueDictionary[str, History] = WeakValueDictionary()

    def routes(self) -> list[BaseRoute]:
        """The routes of the live charts."""
        return [
            WebSocketRoute("/progress/{run_id}", self.endpoint),
            Route("/preview/{run_id}/{name}.png", preview),
            Route("/plotly.min.js", plotly_script),
        ]

    async def endpoint(self, websocket: WebSocket) -> None:
        """Serve one connection until the client leaves or the run is gone."""
        await websocket.accept()
        try:
            try:
                await self._watch(websocket, Store().get(websocket.path_params["run_id"]))
            except UserError as error:
                await _send(websocket, {"kind": "error", "message": redact(error)})
                await websocket.close(NO_SUCH_RUN)
        except WebSocketDisconnect:  # the tab was closed; nothing depends on it
            return

    def history(self, run: Run) -> History:
        """The history of `run` that all its connections share."""
        return self._histories.setdefault(str(run.path), History(run))

    async def _watch(self, websocket: WebSocket, run: Run) -> None:
        watcher = Watcher(run, self.history(run))
        asked = asyncio.ensure_future(websocket.receive())
        try:
            while True:
                message = await asyncio.to_thread(watcher.news)
                if message:
                    await _send(websocket, message)
                pause = self.interval if watcher.state in ACTIVE else max(1.0, self.interval)
                done, _ = await asyncio.wait({asked}, timeout=pause)
                if done:
                    if asked.result()["type"] == "websocket.disconnect":
                        return
                    try:
                        text = asked.result().get("text") or ""
                        watcher.ask(Ask.model_validate_json(text[:1000]))
                    except ValidationError:
                        await websocket.close(POLICY_VIOLATION)
                        return
                    asked = asyncio.ensure_future(websocket.receive())
        finally:
            asked.cancel()


class Watcher:
    """One client's place in one run: `news` is what it has not been told yet."""

    def __init__(self, run: Run, history: History) -> None:
        self.state = ""
        self._run = run
        self._history = history
        self._cursor = Cursor()
        self._sent: dict[str, Any] = {}
        self._limits: Limits | None = None
        self._asked = False

    def ask(self, ask: Ask) -> None:
        """Answer `ask` with the next news; what it looks at holds until it asks again."""
        self._limits, self._asked = ask.limits(), True

    def news(self) -> dict[str, Any]:
        """The next message, {} when nothing has changed.

        Raises:
            UserError: when the run has been deleted.
        """
        if not self._run.path.is_dir():
            raise UserError(f"Run {self._run.id!r} has been deleted.")
        facts = {"status": _status(self._run), "run": _about(self._run)}
        # The status is read before the history: whoever reads "finished" has every record.
        self._history.refresh()
        cursor = Cursor() if self._asked else self._cursor  # an empty cursor lacks everything
        series, self._cursor = self._history.since(cursor, self._limits)
        self._asked = False
        new = {key: value for key, value in facts.items() if value != self._sent.get(key)}
        self._sent |= new
        self.state = facts["status"]["state"]
        return {"kind": "news", **new, **series} if new or series else {}


def _status(run: Run) -> dict[str, Any]:
    try:
        status = run.status().model_dump(exclude={"updated"}) | {"host": run.remote_host()}
    except UserError as error:
        return {"state": "damaged", "message": redact(error)}
    return status | {"message": redact(status["message"])}


def _about(run: Run) -> dict[str, Any]:
    """What a page needs to label the numbers; what is not written yet is absent."""
    about: dict[str, Any] = {"originals": run.has(layout.ORIGINALS)}
    if run.has(layout.CORRUPTED):
        about["corrupted"] = True
    try:
        train, total = run.config().train, run.status().total_steps
        about["epochs"] = None if is_open(train.epochs) else train.epochs
        card = run.data_card()
        about["image_shape"] = card.image_shape
        if total:  # it may have ended before the last one
            about["epochs"] = round(total / train.steps_per_epoch(card.n_train))
    except UserError:  # the worker has not written it yet, or the status says what is damaged
        return about
    return about


async def _send(websocket: WebSocket, message: dict[str, Any]) -> None:
    await websocket.send_text(json.dumps(message, separators=(",", ":"), allow_nan=False))


# --- pictures and the plotting library --------------------------------------------------------


def preview(request: Request) -> Response:
    """One preview strip of a run as PNG; 404 for a run or a name that is none."""
    name = request.path_params["name"]
    if not _PREVIEW.fullmatch(name):
        raise HTTPException(404)
    try:
        png = read_png(Store().get(request.path_params["run_id"]), f"{layout.PREVIEWS}/{name}.png")
    except (UserError, OSError):
        raise HTTPException(404) from None
    # A resumed run may draw the same step again: the browser has to ask each time.
    return Response(png, media_type="image/png", headers={"Cache-Control": "no-cache"})


def plotly_script(request: Request) -> Response:
    """plotly.min.js out of the installed package; the address carries its version."""
    path = files("plotly") / "package_data" / "plotly.min.js"
    forever = {"Cache-Control": "public, max-age=31536000, immutable"}
    return FileResponse(str(path), media_type="text/javascript", headers=forever)
