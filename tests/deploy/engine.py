"""A Docker engine of the tests' own, and the images they need, where nothing can be pulled.

The engine that `DOCKER_HOST` or the default socket names is used if it answers; otherwise `dockerd` is
started with its data in a temporary directory, and stopped with everything it made. The base image is built
by debootstrap, which fetches Debian packages; it takes about a minute.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound

from tests.harness.servers import ROOT
from tests.harness.wait import eventually

BASE_IMAGE = "shoal-test-slim"
IMAGE = "shoal-test"
PACKAGES = "python3,python3-venv,ca-certificates"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BUILD_TIMEOUT = 1500


@contextlib.contextmanager
def engine() -> Iterator[docker.DockerClient]:
    """A client of a running engine; `DOCKER_HOST` names it to docker-compose meanwhile."""
    running = _running_engine()
    if running is not None:
        yield running
        return
    directory = Path(tempfile.mkdtemp(prefix="shoal-docker-"))
    address = f"unix://{directory}/docker.sock"
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "dockerd", "--host", address, "--data-root", f"{directory}/data",
                "--exec-root", f"{directory}/exec", "--pidfile", f"{directory}/pid",
                # Nothing that outlives the engine: no packet filter rules, no bridge of its own.
                "--iptables=false", "--bridge=none",
            ],
            stdout=log,
            stderr=log,
        )  # fmt: skip
    os.environ["DOCKER_HOST"] = address
    try:
        yield eventually(
            lambda: docker.DockerClient(address, timeout=120),
            lambda: f"dockerd answers; {(directory / 'log').read_text()[-2000:]}",
            timeout=60,
        )
    finally:
        del os.environ["DOCKER_HOST"]
        try:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        finally:
            process.kill()
            _remove(directory)


def _remove(directory: Path) -> None:
    """A directory in which something may still be mounted: an engine leaves a name space of the network so,
    and debootstrap, if it is interrupted, /proc."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in reversed(mounted):
        if Path(place).is_relative_to(directory):
            subprocess.run(["umount", "--lazy", place], check=True)
    shutil.rmtree(directory)


def _running_engine() -> docker.DockerClient | None:
    """The engine that the environment names, or the usual one, if it answers."""
    try:
        return docker.from_env()
    except DockerException:
        return None


def ensure_base_image(client: docker.DockerClient) -> None:
    """Make BASE_IMAGE: a minimal Debian with Python."""
    with contextlib.suppress(ImageNotFound):
        client.images.get(BASE_IMAGE)
        return
    directory = Path(tempfile.mkdtemp(prefix="shoal-base-"))
    try:
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(directory)],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=BUILD_TIMEOUT,
        )
        # pip must trust in the image whom it trusts on this machine.
        shutil.copy(CERTIFICATES, f"{directory}{CERTIFICATES}")
        with subprocess.Popen(["tar", "-C", str(directory), "-c", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(
                ["docker", "import", "-c", f"ENV PIP_CERT={CERTIFICATES}", "-", BASE_IMAGE],
                stdin=tar.stdout,
                check=True,
                stdout=subprocess.DEVNULL,
                timeout=BUILD_TIMEOUT,
            )
    finally:
        _remove(directory)


class Composition:
    """This project's docker-compose.yml, brought up under a name of its own, at ports of its own."""

    def __init__(self, client: docker.DockerClient, name: str, ports: list[int]) -> None:
        """`ports`: of two proxies and six workers; none if it is only built."""
        self.client = client
        self.name = name
        self.proxy_ports, self.worker_ports = ports[:2], ports[2:]
        self.environment = os.environ | {
            "SHOAL_BASE": BASE_IMAGE,
            "SHOAL_IMAGE": IMAGE,
            "SHOAL_BUILD_NETWORK": "host",
            "SHOAL_OPTIMIZATION": "-O0",
            "SHOAL_NODE_TIMEOUT": "2000",
            "SHOAL_HEALTH_INTERVAL": "3s",
            "SHOAL_PORT_STATUS": "0",  # any: `published` tells it
        }
        published = ["PORT", "PORT_PROXY_2", *(f"PORT_{number}" for number in range(1, 7))]
        self.environment |= {f"SHOAL_{name}": str(port) for name, port in zip(published, ports, strict=False)}

    def run(self, *arguments: str) -> str:
        """`docker-compose ARGUMENTS`; its output, or an AssertionError with it."""
        done = subprocess.run(
            ["docker-compose", "-p", self.name, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BUILD_TIMEOUT,
        )
        assert done.returncode == 0, f"docker-compose {' '.join(arguments)}:\n{done.stdout[-4000:]}"
        return done.stdout

    def container(self, service: str, number: int = 1) -> docker.models.containers.Container:
        labels = {"project": self.name, "service": service, "container-number": number}
        [found] = self.client.containers.list(
            all=True,
            filters={"label": [f"com.docker.compose.{name}={value}" for name, value in labels.items()]},
        )
        return found

    def published(self, service: str, port: int) -> int:
        """Where a port of a service's first container is found."""
        ports = self.container(service).attrs["NetworkSettings"]["Ports"]
        return int(ports[f"{port}/tcp"][0]["HostPort"])

    def inside(self, service: str, *command: str, number: int = 1) -> str:
        """Run a command in a service's container; its output, or an AssertionError with it."""
        code, output = self.container(service, number).exec_run(list(command))
        assert code == 0, f"{service}: {' '.join(command)}: {output.decode()[-2000:]}"
        return str(output.decode())

    def is_healthy(self, service: str, number: int = 1) -> bool:
        state = self.container(service, number).attrs["State"]
        return bool(state["Health"]["Status"] == "healthy")
