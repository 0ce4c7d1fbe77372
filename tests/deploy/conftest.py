"""The engine, the image and the composition, once for all tests here: they take turns with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import docker
import pytest

from tests.deploy.engine import Composition, engine, ensure_base_image
from tests.harness.ports import lease_port, release_port


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[docker.DockerClient]:
    with engine() as client:
        yield client


@pytest.fixture(scope="session")
def composition(docker_engine: docker.DockerClient) -> Iterator[Composition]:
    """Built, and not yet brought up."""
    with ExitStack() as stack:
        ports = [lease_port() for _ in range(8)]
        for port in ports:
            stack.callback(release_port, port)
        ensure_base_image(docker_engine)
        made = Composition(docker_engine, f"shoaltest{ports[0]}", ports)
        stack.callback(made.run, "--profile", "full", "down", "--volumes", "--timeout", "5")
        made.run("build", "worker-1")
        yield made
