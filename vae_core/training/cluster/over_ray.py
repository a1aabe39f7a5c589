"""Places as actors of Ray.

Each place is a detached actor with a name: it lives as long as the cluster, whoever asked for it,
and takes its share of a machine. Ray's processes talk to each other in pickles; whoever connects to
a cluster trusts it for that. No file of a run is unpickled, on either side.

https://docs.ray.io/en/latest/ray-core/actors/named-actors.html
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from vae_core.errors import UserError
from vae_core.extras import extra
from vae_core.locations import PACKAGES
from vae_core.runs.schemas import Placement
from vae_core.training.cluster.mirror import Away, Gone, Tick
from vae_core.training.cluster.place import Place

NAMESPACE = "latent-workbench"
"""Of the names of places, which all who use one cluster share."""

TICK_S = 0.5
LOOK_EVERY_S = 10.0
CONNECT_S = 30

_connecting = threading.Lock()


class KeptPlace(Place):
    """A place that is a process of its own, and ends it when it is forgotten."""

    def __init__(self, name: str, gpus: float) -> None:
        super().__init__(name, gpus)
        threading.Thread(target=self._keep_watch, name="forgotten", daemon=True).start()

    def _keep_watch(self) -> None:
        while not self.is_forgotten():
            time.sleep(LOOK_EVERY_S)
        self.end()
        os._exit(0)  # which gives its share of the machine back


class RayCluster:
    """A cluster of Ray that this process is connected to, see `Cluster`."""

    def __init__(self, address: str | None) -> None:
        """`address`: such as ray://host:10001; None takes that of RAY_ADDRESS, else the cluster
        that this machine is part of, else begins one with this machine alone, which ends with this
        process. A UserError where none answers."""
        self._address = address
        if address is not None and "ray" not in sys.modules:  # which reads this once
            _show_token()
        self._ray = extra("ray", "cluster", "Training on a cluster")
        self._shared: dict[str, Any] = {}
        self._connect()

    def find(self, name: str) -> RayPlace | None:
        with _telling(self._ray):
            try:
                return RayPlace(self._ray, self._ray.get_actor(name, namespace=NAMESPACE))
            except ValueError:
                return None

    def begin(self, name: str, placement: Placement) -> RayPlace:
        with _telling(self._ray):
            actor = self._ray.remote(KeptPlace).options(
                name=name,
                namespace=NAMESPACE,
                lifetime="detached",
                num_cpus=placement.cpus,
                num_gpus=placement.gpus,
                max_restarts=0,
            )
            run_id = name.rpartition("-")[0]
            return RayPlace(self._ray, actor.remote(run_id, placement.gpus))

    def shared(self, key: str, piece: bytes) -> Any:
        with _telling(self._ray):
            if key not in self._shared:
                self._shared[key] = self._ray.put(piece)
            return self._shared[key]

    def waits_for(self, placement: Placement) -> str:
        with _telling(self._ray):
            machines = [each["Resources"] for each in self._ray.nodes() if each["Alive"]]
            free = self._ray.available_resources()
        asked = {"CPU": placement.cpus, "GPU": placement.gpus}
        if not any(_has(machine, asked) for machine in machines):
            return f"no machine in it has {_listed(asked)}"
        total = sum(machine.get("CPU", 0.0) for machine in machines)
        said = f"{free.get('CPU', 0.0):g} of {total:g} CPUs are free"
        if placement.gpus:
            gpus = sum(machine.get("GPU", 0.0) for machine in machines)
            said += f", {free.get('GPU', 0.0):g} of {gpus:g} GPUs"
        return said

    def room(self, cpus: float, gpus: float) -> int:
        """For how many places of such a share the machines are large enough, those that are taken
        counted. An `Away`."""
        with _telling(self._ray):
            machines = [each["Resources"] for each in self._ray.nodes() if each["Alive"]]
        asked = {"CPU": cpus, "GPU": gpus}
        return sum(
            int(min(machine.get(name, 0.0) / most for name, most in asked.items() if most) + 1e-6)
            for machine in machines
        )

    def reconnect(self) -> None:
        with _connecting:
            with suppress(Away), _telling(self._ray):
                if self._ray.is_initialized() and self._ray.nodes():
                    return
            self._ray.shutdown()
            self._shared.clear()
        try:
            self._connect()
        except UserError as error:
            raise Away(str(error)) from None

    def leave(self) -> None:
        with _connecting:
            self._ray.shutdown()

    def _connect(self) -> None:
        with _connecting:
            if self._ray.is_initialized():
                return
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            try:
                _in_lasting_thread(self._initialize)
            except (ConnectionError, OSError, RuntimeError, ValueError) as error:
                reason = str(error).strip().splitlines()[0].rstrip(".")
                where = self._address or os.environ.get("RAY_ADDRESS") or "this machine"
                raise UserError(
                    f"No cluster answers at {where} ({reason}). See to it that it is up, that it "
                    "runs the versions of Ray and Python that this machine has, and that both have "
                    "the same token."
                ) from error

    def _initialize(self) -> None:
        self._ray.init(
            address=self._address,
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level="ERROR",
            # The code that trains is that of whoever asks, on all machines.
            runtime_env={
                "py_modules": [str(PACKAGES / "vae_core")],
                "excludes": ["__pycache__"],
            },
        )


class RayPlace:
    """One actor, see `Remote`."""

    def __init__(self, ray: ModuleType, actor: Any) -> None:
        self._ray, self._actor = ray, actor

    def ask(self, method: str, *arguments: Any, tick: Tick) -> Any:
        errors = self._ray.exceptions
        # A place may be lost, which is told soon. Or an answer is, and the place goes on: seen
        # under a load of forty. What a place is asked may be asked twice.
        lost = (errors.ActorUnavailableError, errors.ObjectLostError)
        with _telling(self._ray):
            answer = getattr(self._actor, method).remote(*arguments)
            while True:
                try:
                    return self._ray.get(answer, timeout=TICK_S)
                except errors.GetTimeoutError:
                    pass
                except lost:
                    time.sleep(TICK_S)
                    answer = getattr(self._actor, method).remote(*arguments)
                tick()

    def end(self) -> None:
        errors = self._ray.exceptions
        with suppress(errors.RayError, ConnectionError):
            self._ray.get(self._actor.end.remote(), timeout=2 * TICK_S)
        with suppress(errors.RayError, ConnectionError, ValueError):
            self._ray.kill(self._actor, no_restart=True)


def _show_token() -> None:
    """Where there is a token of Ray's on this machine, let Ray's client show it to the cluster. A
    cluster asks for it from 2.59 on where its machines have one; the client, unlike a driver on one
    of them, knows nothing of that before 2.61.

    https://docs.ray.io/en/latest/ray-security/token-auth.html
    """
    known = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    if known or (Path.home() / ".ray" / "auth_token").is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _in_lasting_thread(work: Callable[[], None]) -> None:
    """Do it in a thread that ends with this process, and raise what it raises.

    In the main thread Ray would take SIGTERM for itself; and the processes of a cluster that is
    begun here are killed by the kernel when the thread ends that began them.
    """
    errors: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
            return
        finally:
            done.set()
        threading.Event().wait()

    threading.Thread(target=run, name="ray", daemon=True).start()
    done.wait()
    if errors:
        raise errors[0]


@contextmanager
def _telling(ray: ModuleType) -> Iterator[None]:
    """Ray's errors as those of a `Cluster`."""
    errors = ray.exceptions
    try:
        yield
    except errors.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise UserError(str(error.cause)) from error
        raise UserError(f"On a machine of the cluster this failed: {error.cause!r}.") from error
    except errors.RuntimeEnvSetupError as error:
        raise UserError(f"A machine of the cluster cannot be prepared: {_first(error)}.") from error
    except errors.RayActorError as error:
        raise Gone(_first(error)) from error
    except (errors.RaySystemError, errors.RpcError, ConnectionError) as error:
        raise Away(_first(error)) from error
    except errors.RayError as error:  # what it was about to answer is lost with its machine, say
        raise Gone(_first(error)) from error


def _first(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:300]


def _has(machine: dict[str, float], asked: dict[str, float]) -> bool:
    return all(machine.get(name, 0.0) >= most for name, most in asked.items())


def _listed(asked: dict[str, float]) -> str:
    return " and ".join(f"{most:g} {name}s" for name, most in asked.items() if most)
