"""Optuna's study and the database it lies in: opened, and its errors told in a sentence.

The study is Optuna's, so its samplers choose, its database shares, and its tools read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vae_core.errors import UserError
from vae_core.extras import extra
from vae_core.sweeps.spec import SamplerName, SweepSpec

if TYPE_CHECKING:
    from optuna import Study

SPEC = "sweep"
"""Under this name the study keeps the specification, for machines that join."""

PATIENCE_S = 30
"""How long SQLite waits for another writer."""

CONNECT_S = 10
"""How long a server may take to answer at all."""


class StorageError(UserError):
    """The study's database cannot be reached; what was not told can be told later."""


@contextmanager
def reaching(where: str) -> Iterator[None]:
    """Turn what databases raise into one sentence.

    Raises:
        StorageError: naming the storage, without its password.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    try:
        yield
    except (ArgumentError, NoSuchModuleError):
        raise _no_url(where) from None  # its words may hold what was written
    except ImportError as error:
        missing = error.__cause__ or error  # Optuna's own words name no module
        raise StorageError(
            f"Python has no driver for {shown(where)}: {missing}. Install the package that has it, "
            "or name another driver in the URL."
        ) from error
    except (SQLAlchemyError, StorageInternalError, OSError) as error:
        # Optuna wraps what SQLAlchemy raised, which wraps what the driver raised.
        cause = error.__cause__ if isinstance(error.__cause__, SQLAlchemyError) else error
        reason = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0].rstrip(".")
        reason = _without_secrets(reason, where)
        raise StorageError(f"The study in {shown(where)} cannot be reached: {reason}.") from error


def _no_url(text: str) -> StorageError:
    return StorageError(
        f"{shown(text)} is no database URL; write one such as "
        "postgresql://user@host/database or sqlite:////folder/study.db."
    )


def shown(url: str) -> str:
    """A database URL without its password, and without its options, which may hold one. Of what is
    no URL only its beginning is shown: a password may stand anywhere in it."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        begins = re.split("[:/@?]", url)[0]
        return repr(begins if begins == url else f"{begins}…")
    host = (address.host or "").rpartition("@")[2]  # before it: the rest of a password with an @
    return address.set(query={}, host=host or None).render_as_string(hide_password=True)


def _without_secrets(reason: str, url: str) -> str:
    """A driver's words without what it was told beside the host and the name of the database."""
    from sqlalchemy.engine import make_url

    address = make_url(url)
    rest, at, _ = (address.host or "").rpartition("@")
    options = [value for name, value in address.query.items() if name != "user"]
    for secret in (address.password, rest + at, *options):
        if secret:
            reason = reason.replace(str(secret), "***")
    return reason


def open_study(url: str, name: str, sampler: SamplerName = "grid", seed: int = 0) -> Study:
    """The study called `name`; made where there is none.

    Raises:
        StorageError: when the storage cannot be reached.
    """
    import optuna

    from vae_core.sweeps.samplers import sampler as made

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with reaching(url):
        return optuna.create_study(
            storage=_storage(url),
            study_name=name,
            sampler=made(sampler, seed),
            direction="maximize",
            load_if_exists=True,
        )


def _storage(url: str) -> Any:
    from optuna.storages import RDBStorage
    from sqlalchemy.engine import make_url

    try:
        address = make_url(url)
    except ValueError:  # a port that is no number
        raise _no_url(url) from None
    # One driver, whichever of them is the default of the installed SQLAlchemy.
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    if address.drivername == "postgresql+psycopg":
        extra("psycopg", "postgresql", "A study in PostgreSQL")
    options = ENGINES.get(address.get_backend_name(), {"pool_pre_ping": True})
    return RDBStorage(address.render_as_string(hide_password=False), engine_kwargs=options)


ENGINES: dict[str, dict[str, Any]] = {
    "sqlite": {"connect_args": {"timeout": PATIENCE_S}},
    "postgresql": {"pool_pre_ping": True, "connect_args": {"connect_timeout": CONNECT_S}},
}
"""What SQLAlchemy is told of a database. A pinged connection outlives a restart of its server."""


def shared_spec(study: Study, url: str) -> SweepSpec | None:
    """What the study is for, as the machine that began it wrote down; None in a new study."""
    with reaching(url):
        text = study.user_attrs.get(SPEC)
    return None if text is None else SweepSpec.model_validate_json(text)


def share_spec(study: Study, spec: SweepSpec, url: str) -> None:
    """Write down what the study is for; not where it is kept, which may hold a password."""
    with reaching(url):
        text = spec.model_copy(update={"storage": None}).model_dump_json()
        study.set_user_attr(SPEC, text)
