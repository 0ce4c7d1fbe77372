"""Every row of the matrix, in every mode and protocol it has: all that the program says must be right."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.matrix import CLIENTS, PROGRAMS, Client
from tests.harness.ports import lease_ports, release_port
from tests.harness.servers import ShoalNode
from tests.harness.shoal_up import RunningUp

pytestmark = pytest.mark.timeout(180)

CASES = [
    pytest.param(client, mode, protocol, id=f"{client.library}-{mode}-RESP{protocol}")
    for client in CLIENTS
    for mode in client.modes
    for protocol in client.protocols
]


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Where each mode's server is: a worker alone, a worker of a cluster, and that cluster's proxy."""
    cluster, proxy = lease_ports(2)
    up = RunningUp(tmp_path_factory.mktemp("up") / "data", cluster, proxy, "--workers", 3, "--replicas", 0)
    with ShoalNode() as worker:
        try:
            up.start(*up.first_port_options)
            yield {"worker": worker.port, "cluster": cluster, "proxy": proxy}
        finally:
            up.stop()
            for port in (cluster, proxy):
                release_port(port)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("build")


@pytest.fixture(scope="module")
def node_modules(build: Path) -> Path:
    """The clients of Node.js, installed for this run."""
    (build / "package.json").write_bytes((PROGRAMS / "node" / "package.json").read_bytes())
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=build, check=True)
    return build / "node_modules"


@pytest.fixture
def environment(build: Path, request: pytest.FixtureRequest) -> Callable[[Client], dict[str, str]]:
    def make(client: Client) -> dict[str, str]:
        own = {name: value.format(build=build) for name, value in client.environment.items()}
        if client.language == "Node.js":
            own["NODE_PATH"] = str(request.getfixturevalue("node_modules"))
        return {**os.environ, **own}

    return make


@pytest.mark.parametrize(("client", "mode", "protocol"), CASES)
def test_says_what_is_right(
    client: Client,
    mode: str,
    protocol: int,
    ports: dict[str, int],
    build: Path,
    environment: Callable[[Client], dict[str, str]],
) -> None:
    call = [word.format(build=build) for word in client.call]
    surroundings = environment(client)
    if client.make and not Path(call[0]).exists():
        made = [word.format(build=build) for word in client.make]
        subprocess.run(made, cwd=PROGRAMS, env=surroundings, check=True)
    prefix = f"{client.library}:{mode}:{protocol}".replace(" ", "")
    said = subprocess.run(
        [*call, mode, "127.0.0.1", str(ports[mode]), prefix, str(protocol)],
        cwd=PROGRAMS,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    lines = dict(line.split("=", 1) for line in said.stdout.splitlines() if "=" in line)
    assert {name: lines.get(name) for name in client.expected(mode)} == client.expected(mode), said.stderr


def test_every_language_of_the_field_has_a_row(report: Callable[[str], None]) -> None:
    languages = {client.language for client in CLIENTS}
    report(f"clients: {len(languages)} languages, {len(CLIENTS)} libraries, {len(CASES)} cases")
    assert languages >= {"Python", "Node.js", "Ruby", "PHP", "Perl", "Lua", "C", "C++", "Go", "Objective-C"}
