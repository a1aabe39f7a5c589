"""What is shipped for serving the app says the same everywhere, and its small programs work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from vae_core.locations import SHIPPED
from vae_core.runs.folder import SHIPPED_LIST

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def test_the_path_and_the_port_are_the_same_in_every_file() -> None:
    location = (DEPLOY / "nginx" / "app.inc").read_text(encoding="utf-8")
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (compose,) = documents(ROOT / "compose.yaml")
    claim, deployment, service, ingress = documents(DEPLOY / "kubernetes.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    base = environment["STREAMLIT_SERVER_BASE_URL_PATH"]
    assert compose["services"]["app"]["environment"]["STREAMLIT_SERVER_BASE_URL_PATH"] == base
    assert f"location /{base}/ {{" in location and "http://app:8501;" in location
    assert "EXPOSE 8501" in image and container["ports"][0]["containerPort"] == 8501
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] == f"/{base}/_stcore/health"
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert path["path"] == f"/{base}" and rule["host"] in ingress["spec"]["tls"][0]["hosts"]
    assert environment["STREAMLIT_BROWSER_SERVER_ADDRESS"] == rule["host"]
    assert path["backend"]["service"]["name"] == service["metadata"]["name"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == labels == deployment["spec"]["selector"]["matchLabels"]
    (work,) = [each for each in pod["volumes"] if each["name"] == "work"]
    assert work["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_nothing_runs_as_root_or_writes_beside_its_volume() -> None:
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (user,) = re.findall(r"^USER (\d+)$", image, re.MULTILINE)
    (compose,) = documents(ROOT / "compose.yaml")
    app = compose["services"]["app"]
    assert app["read_only"] and app["cap_drop"] == ["ALL"] and "ports" not in app
    assert app["volumes"] == ["work:/data"]
    pod = documents(DEPLOY / "kubernetes.yaml")[1]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == int(user)
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert {each["mountPath"] for each in container["volumeMounts"]} == {"/data", "/tmp"}
    written = re.findall(r"VAE_\w+=(\S+)", image)
    assert len(written) == 3 and all(path.startswith("/data/") for path in written)


def test_what_the_image_needs_is_let_into_it() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line[1:].rstrip("/") for line in lines if line.startswith("!")}
    assert "*" in lines and all((ROOT / name).exists() for name in let_in)
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"][
        "build"
    ]["targets"]["wheel"]
    packed = {*wheel["only-include"], *wheel["force-include"]} - {"trained_models"}
    assert packed | {"pyproject.toml", "requirements.txt", "README.md", "LICENSE"} <= let_in
    assert {name for name in let_in if name.startswith("trained_models/")} == {
        f"trained_models/{name}"
        for name in (SHIPPED_LIST, *(SHIPPED / SHIPPED_LIST).read_text().split())
    }


class Health(BaseHTTPRequestHandler):
    """Answers below /lab only."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/lab/_stcore/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(5)


@pytest.mark.parametrize(("base", "healthy"), [("/lab/", True), ("lab", True), ("", False)])
def test_the_health_check_asks_below_the_base_path(port: int, base: str, healthy: bool) -> None:
    environment = {"STREAMLIT_SERVER_PORT": str(port), "STREAMLIT_SERVER_BASE_URL_PATH": base}
    environment |= {"http_proxy": "http://127.0.0.1:1"}  # never for a call to oneself
    command = [sys.executable, "deploy/healthy.py"]
    ended = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True)
    assert (ended.returncode == 0) == healthy


def test_a_cluster_lets_nobody_in_but_the_app() -> None:
    cluster, policy = documents(DEPLOY / "kuberay.yaml")
    assert (
        cluster["apiVersion"] == "ray.io/v1" and cluster["spec"]["authOptions"]["mode"] == "token"
    )
    head = cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    (workers,) = cluster["spec"]["workerGroupSpecs"]
    (worker,) = workers["template"]["spec"]["containers"]
    assert head["image"] == worker["image"]  # one version of Ray and Python
    assert {port["containerPort"] for port in head["ports"]} == {6379, 10001}
    own, app = policy["spec"]["ingress"]
    assert policy["spec"]["podSelector"]["matchLabels"] == {"ray.io/cluster": "training"}
    assert own["from"][0]["podSelector"] == policy["spec"]["podSelector"]
    deployment = documents(DEPLOY / "kubernetes.yaml")[1]
    assert app["from"][0]["podSelector"] == deployment["spec"]["selector"]
    assert app["ports"] == [{"port": 10001}]
