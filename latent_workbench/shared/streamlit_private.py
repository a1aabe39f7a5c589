"""All that is used of Streamlit beyond what it documents, in one place.

The live routes let in whom Streamlit's own socket lets in, so they read the same signed cookie and
the same options, for which there is no public way. requirements.txt keeps Streamlit below the first
version that this was not tried with; `tests/test_private.py` says what has moved.
"""
# ruff: noqa: F401

from __future__ import annotations

from streamlit import config, runtime
from streamlit.auth_util import (
    get_cookie_with_chunks,
    get_origin_from_redirect_uri,
    get_secrets_auth_section,
)
from streamlit.errors import StreamlitAPIException
from streamlit.logger import get_logger
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.runtime_util import get_max_widget_state_size_bytes
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.secrets import secrets_singleton
from streamlit.url_util import get_hostname
from streamlit.web.server.server_util import (
    allow_all_cross_origin_requests,
    allowlisted_origins,
    get_cookie_secret,
)
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME
from streamlit.web.server.starlette.starlette_websocket import gather_user_info, is_host_allowed
