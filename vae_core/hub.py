"""The Hugging Face hub: a repository's folder is uploaded to it, and a run is pulled from it.

Who pulls gets a folder of a stranger's. Only files of a run are taken, none larger than its kind
may be, and nothing in them can execute (`vae_core/runs/reader.py`); the model is built once before
the run has its name. Tokens are looked for where the hub's own tools keep them, and neither shown
nor kept.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from types import ModuleType

from vae_core.errors import UserError
from vae_core.extras import extra, installed
from vae_core.loading import load_run
from vae_core.progress import Progress, no_progress
from vae_core.runs import WEIGHTS, Run, Store, layout
from vae_core.runs.schemas import Pulled
from vae_core.runs.store import plain_name

LIBRARY = "latent-workbench"
"""What made it, as the hub shows it."""

RUN_FILES = (
    layout.CONFIG, layout.CHOICES, layout.DATA_CARD, layout.PARTS, layout.ENVIRONMENT,
    layout.STATUS, layout.HISTORY, WEIGHTS, layout.ENCODINGS, layout.THUMBNAILS, layout.THUMBNAIL,
    layout.SUMMARY, layout.SAVED_DIRECTIONS, layout.BROUGHT,
)  # fmt: skip
"""The files of a run that a repository may have; who pulls it takes no others."""

NEEDED = (layout.CONFIG, layout.DATA_CARD, WEIGHTS)

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


def publish(folder: Path, wish: str) -> str:
    """Upload a repository's folder, where there is a token; what was done, in a sentence.

    A repository that is new is private: it may show images of a person's own.

    Args:
        wish: USER/NAME, or a name alone for one's own.

    Raises:
        UserError: when the hub refuses it, or cannot be reached.
    """
    how = f"upload it with: hf upload USER/{PurePath(wish).name} {folder}"
    if not installed("huggingface_hub"):
        return f"Not uploaded, as huggingface_hub is not installed. Install it, log in, and {how}"
    hub = _library("Uploading")
    if hub.get_token() is None:
        return f"Not uploaded, as there is no token. Log in with: hf auth login. Then {how}"
    api = hub.HfApi(library_name=LIBRARY)
    with _explained(hub, wish, f"{folder} was not uploaded"):
        repository = wish if "/" in wish else f"{api.whoami()['name']}/{wish}"
        api.create_repo(repository, private=True, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository, folder_path=folder, commit_message=f"Upload {folder.name}"
        )
    return f"Uploaded to {commit.repo_url}, which is private if it is new."


def pull(
    store: Store,
    repository: str,
    revision: str | None = None,
    name: str | None = None,
    progress: Progress = no_progress,
) -> Run:
    """Make a run of a repository of the hub, under `name`, else a free one after the repository's.

    The commit that `revision`, a branch, a tag or a commit itself, stands for now is kept in it.

    Raises:
        UserError: when there is no such repository, or it is private; the hub cannot be reached;
            it holds no run, or a damaged or unsafe one; or nothing can be written.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise UserError(f"{repository!r} names no repository of the hub; write USER/NAME.")
    chosen = name or store.free_name(plain_name(repository.partition("/")[2]) or "pulled")
    if problem := store.refusal(chosen):
        raise UserError(problem)
    hub, failed = _library("Pulling"), f"{repository} was not pulled"
    progress(f"Asking for {repository}", None)
    api = hub.HfApi(library_name=LIBRARY)
    with _explained(hub, repository, failed):
        commit = str(api.model_info(repository, revision=revision).sha)
        files = api.list_repo_tree(repository, revision=commit)
        sizes = {file.path: file.size for file in files if hasattr(file, "size")}
    wanted = _wanted(sizes, repository, store.path)
    try:
        with tempfile.TemporaryDirectory(prefix=".pulling-", dir=store.path) as folder:
            arrived = Run(Path(folder) / chosen)
            for done, file in enumerate(wanted):
                progress(f"Downloading {repository}: {file}", done / len(wanted))
                with _explained(hub, repository, failed):
                    hub.snapshot_download(
                        repository,
                        revision=commit,
                        local_dir=arrived.path,
                        allow_patterns=[file],
                        library_name=LIBRARY,
                    )
            shutil.rmtree(arrived.path / ".cache", ignore_errors=True)  # what was downloaded when
            progress("Building the model", None)
            arrived.check()
            load_run(arrived).sound()
            arrived.write_json(layout.PULLED, Pulled(repository=repository, revision=commit))
            os.rename(arrived.path, store.path / chosen)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{repository} cannot be kept in {store.path}: {reason}.") from None
    return store.get(chosen)


def _library(doing: str) -> ModuleType:
    hub, _, utils = (
        extra(f"huggingface_hub{part}", "hub", doing) for part in ("", ".errors", ".utils")
    )
    utils.disable_progress_bars()  # ours says what goes on
    return hub


def _wanted(sizes: Mapping[str, int], repository: str, store: Path) -> list[str]:
    """The files of a run among those of a repository; looked at before anything is downloaded."""
    wanted = [file for file in RUN_FILES if file in sizes]
    if missing := [file for file in NEEDED if file not in sizes]:
        lacks = " and no ".join(missing)
        raise UserError(f"{repository} holds no run of the latent workbench: it has no {lacks}.")
    for file in wanted:
        try:
            layout.require_within(file, sizes[file])
        except OSError as error:
            raise UserError(f"{file} of {repository} is not downloaded: {error}.") from None
    try:
        store.mkdir(parents=True, exist_ok=True)
        needed, free = sum(sizes[file] for file in wanted), shutil.disk_usage(store).free
    except OSError as error:
        raise UserError(f"{store} cannot be written: {error.strerror or error}.") from None
    if needed > free:
        raise UserError(
            f"{repository} has {needed / 1e6:.0f} MB, and {free / 1e6:.0f} are free in {store}."
        )
    return wanted


@contextmanager
def _explained(hub: ModuleType, repository: str, failed: str) -> Iterator[None]:
    """What goes wrong between here and the hub, in one sentence."""
    errors = hub.errors
    try:
        yield
    except errors.RepositoryNotFoundError:  # which does not tell the two apart
        reason = "it does not exist, or is private and you are not logged in as who may see it"
    except errors.RevisionNotFoundError:
        reason = "it has no such revision"
    except Exception as error:  # of the hub, the network, and whatever lies between
        reason = _reason(error)
    else:
        return
    raise UserError(f"{failed}: {reason}.")


def _reason(error: Exception) -> str:
    """What the hub's library says, in a line; it may say nothing but where it asked."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300].rstrip(".")
