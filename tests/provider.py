"""A small OpenID Connect provider in the process of a test, in whose name people log in."""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "workbench", "a-secret-between-the-two"


class Provider:
    """Who is to log in is chosen on its page; codes are good once, tokens are signed with RS256."""

    def __init__(self, people: tuple[str, ...] = ("ann@example.org", "bob@example.org")) -> None:
        self.url = ""
        self.people = people
        self.asked: list[str] = []
        self._key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self._codes: dict[str, dict[str, str]] = {}

    def routes(self) -> list[Route]:
        return [
            Route("/.well-known/openid-configuration", self.discovery),
            Route("/authorize", self.authorize),
            Route("/token", self.token, methods=["POST"]),
            Route("/keys", self.keys),
            Route("/end", self.end),
        ]

    def secrets(self, app: str, more: str = "") -> str:
        """The app's secrets.toml, for an app at `app`."""
        return f"""
[auth]
redirect_uri = "{app}/oauth2callback"
cookie_secret = "{secrets.token_hex(32)}"
client_id = "{CLIENT}"
client_secret = "{SECRET}"
server_metadata_url = "{self.url}/.well-known/openid-configuration"
{more}"""

    async def discovery(self, request: Request) -> Response:
        self.asked.append("discovery")
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "end_session_endpoint": f"{self.url}/end",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def authorize(self, request: Request) -> Response:
        """The page on which a person says who they are."""
        asked = request.query_params
        assert asked["client_id"] == CLIENT and asked["code_challenge_method"] == "S256"
        links = []
        for person in self.people:
            code = secrets.token_urlsafe(16)
            self._codes[code] = {"email": person, "nonce": asked.get("nonce", "")}
            back = urlencode({"code": code, "state": asked["state"]})
            links.append(f'<a href="{asked["redirect_uri"]}?{back}">{person}</a>')
        self.asked.append("authorize")
        return HTMLResponse("<br>".join(links))

    async def token(self, request: Request) -> Response:
        form = dict(pair.split("=", 1) for pair in (await request.body()).decode().split("&"))
        given = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        known = self._codes.pop(form["code"], None)
        if known is None or given != f"{CLIENT}:{SECRET}":
            return JSONResponse({"error": "invalid_grant"}, 400)
        self.asked.append(f"token for {known['email']}")
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 600, **known}
        claims |= {"sub": known["email"], "name": known["email"].split("@")[0].title()}
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self._key)
        return JSONResponse(
            {"access_token": "unused", "token_type": "Bearer", "id_token": signed, "expires_in": 60}
        )

    async def keys(self, request: Request) -> Response:
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    async def end(self, request: Request) -> Response:
        self.asked.append("end of session")
        return RedirectResponse(request.query_params["post_logout_redirect_uri"])


@contextmanager
def providing() -> Iterator[Provider]:
    """A provider at an address of its own."""
    provider = Provider()
    config = uvicorn.Config(Starlette(routes=provider.routes()), port=0, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    provider.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join(10)
