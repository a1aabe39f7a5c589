"""The app as a part of another one, with its lifespan: `uvicorn tests.browser.mounted:app`."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from streamlit_app import app as workbench


async def home(request: Request) -> PlainTextResponse:
    """What the other app is there for."""
    return PlainTextResponse("Another app")


app = Starlette(
    routes=[Route("/", home), Mount("/st", workbench)],
    lifespan=workbench.lifespan(),
)
