"""The engine and the image, once for all tests here; a composition for each module, made of nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import docker
import pytest

from tests.deploy.engine import IMAGE, Composition, engine, ensure_base_image
from tests.harness.ports import lease_port, release_port


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[docker.DockerClient]:
    with engine() as client:
        yield client


@pytest.fixture(scope="session")
def image(docker_engine: docker.DockerClient) -> str:
    """Built; its name."""
    ensure_base_image(docker_engine)
    Composition(docker_engine, "shoaltestimage", []).run("build", "worker-1")
    return IMAGE


@pytest.fixture(scope="module")
def composition(docker_engine: docker.DockerClient, image: str) -> Iterator[Composition]:
    """Not yet brought up."""
    with ExitStack() as stack:
        ports = [lease_port() for _ in range(8)]
        for port in ports:
            stack.callback(release_port, port)
        made = Composition(docker_engine, f"shoaltest{ports[0]}", ports)
        stack.callback(made.run, "--profile", "full", "down", "--volumes", "--timeout", "5")
        yield made
