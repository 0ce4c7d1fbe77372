"""What deploys shoal by other means than docker-compose: rendered and judged by the tools it is made for.

The Helm chart is linted and rendered by Helm's own engine (`pip install helm-python-sdk`), and each manifest
held against the schemas of the oldest Kubernetes it is for and of a new one (`kubernetes-validate`). Compose
and stack file are read by docker-compose, Prometheus' files by its promtool, units by systemd. None of it
runs here.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from node.config.directives import TABLE
from proxy.config import parse
from tests.harness.servers import ROOT

CHART = ROOT / "deploy" / "helm" / "shoal"
UNITS = ROOT / "deploy" / "systemd"
KUBERNETES = ("1.25", "1.34")
VALUES: dict[str, dict[str, Any]] = {
    "plain": {},
    "all": {
        "password": "pa55word",
        "backup": {"enabled": True, "keep": 3},
        "worker": {"primaries": 5, "replicas": 2, "synchronousReplicas": 1, "antiAffinity": "preferred"},
        "proxy": {"options": {"read-from": "same-zone", "auth-by-workers": ""}},
    },
    "little": {
        "worker": {"replicas": 0, "antiAffinity": "", "zone": "a"},
        "proxy": {"count": 0},
        "tender": {"enabled": False},
        "metrics": {"enabled": False},
    },
}
Manifest = dict[str, Any]


@functools.cache
def rendered(name: str) -> dict[tuple[str, str], Manifest]:
    """By kind and name."""
    with helm_python.Chart.load(str(CHART)) as chart:
        chart.validate_schema(VALUES[name])
        files = chart.render(VALUES[name], name="demo", namespace="prod")
    texts = [text for file, text in files.items() if file.endswith(".yaml")]
    manifests = [manifest for text in texts for manifest in yaml.safe_load_all(text) if manifest]
    return {(each["kind"], each["metadata"]["name"]): each for each in manifests}


def worker(name: str) -> Manifest:
    return rendered(name)["StatefulSet", "demo-shoal-worker"]


def container(manifest: Manifest) -> Manifest:
    return dict(manifest["spec"]["template"]["spec"]["containers"][0])


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def test_helm_finds_nothing_wrong_with_the_chart() -> None:
    found = helm_python.lint(str(CHART))
    assert not found["errors"]
    assert {message["error"] for message in found["messages"]} <= {"icon is recommended"}


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", VALUES)
def test_kubernetes_knows_every_field(name: str, version: str) -> None:
    for manifest in rendered(name).values():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_workers_are_as_many_as_the_cluster_expects() -> None:
    for name, pods in (("plain", 6), ("all", 15), ("little", 3)):
        assert worker(name)["spec"]["replicas"] == pods
        arguments = container(worker(name))["args"]
        assert option(arguments, "--cluster-expected-size") == str(pods)
        service, port = option(arguments, "--cluster-seeds").split(":")
        assert service == f"{worker(name)['spec']['serviceName']}.prod.svc"
        headless = rendered(name)["Service", "demo-shoal-workers"]["spec"]
        assert headless["clusterIP"] == "None" and headless["publishNotReadyAddresses"]
        assert int(port) in [each["port"] for each in headless["ports"]]


def test_workers_and_proxies_are_told_their_zone() -> None:
    for manifest in (worker("all"), rendered("all")["Deployment", "demo-shoal-proxy"]):
        assert container(manifest)["args"].count("$(ZONE)") == 1
        [zone] = [each for each in container(manifest)["env"] if each["name"] == "ZONE"]
        assert zone["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['topology.kubernetes.io/zone']"
    assert {"name": "ZONE", "value": "a"} in container(worker("little"))["env"]


def test_what_selects_pods_finds_them() -> None:
    for name in VALUES:
        found = rendered(name)
        pods = [each["spec"]["template"] for each in found.values() if "template" in each.get("spec", {})]
        for (kind, _), manifest in found.items():
            selector = manifest.get("spec", {}).get("selector")
            if selector and kind in ("Service", "PodDisruptionBudget", "Deployment", "StatefulSet"):
                wanted = selector.get("matchLabels", selector).items()
                assert sum(wanted <= pod["metadata"]["labels"].items() for pod in pods) == 1, manifest


def test_a_worker_hands_over_before_it_goes() -> None:
    for name in VALUES:
        worker_container = container(worker(name))
        hook = worker_container["lifecycle"]["preStop"]["exec"]["command"]
        assert "shoal failover" in hook[-1]
        assert option(worker_container["args"], "--shutdown-on-sigterm") == "failover"
        assert worker(name)["spec"]["updateStrategy"] == {"type": "RollingUpdate"}
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= worker_container.keys()
        budget = rendered(name)["PodDisruptionBudget", "demo-shoal-worker"]
        assert budget["spec"]["maxUnavailable"] == 1


def test_passwords_are_in_secrets_only() -> None:
    password = VALUES["all"]["password"]
    assert [kind for (kind, _), each in rendered("all").items() if password in json.dumps(each)] == ["Secret"]
    assert not any(kind == "Secret" for kind, _ in rendered("plain"))


def test_more_synchronous_replicas_than_there_are_is_refused() -> None:
    with (
        helm_python.Chart.load(str(CHART)) as chart,
        pytest.raises(helm_python.HelmError, match="no write would be accepted"),
    ):
        chart.render({"worker": {"synchronousReplicas": 2}}, name="demo", namespace="prod")


def test_every_directive_and_option_exists() -> None:
    """Of workers and proxies, in all files."""
    for name in VALUES:
        for word in container(worker(name))["args"]:
            assert not word.startswith("--") or word[2:] in TABLE, word
    options = container(rendered("plain")["Deployment", "demo-shoal-proxy"])["args"]
    assert parse(options[1:]).port == 6379


# --- containers


@functools.cache
def compose(*arguments: str) -> dict[str, Any]:
    """What docker-compose understands of a file."""
    done = subprocess.run(
        ["docker-compose", *arguments, "config"],
        cwd=ROOT,
        env=os.environ | {"SHOAL_IMAGE": "shoal"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return dict(yaml.safe_load(done.stdout))


def test_profiles_bring_up_what_they_should() -> None:
    services = compose()["services"]
    always = {name for name, service in services.items() if not service.get("profiles")}
    assert always == {"worker-1", "worker-2", "worker-3", "worker", "tender", "proxy"}
    full = {name for name, service in services.items() if service.get("profiles") == ["full"]}
    assert full == {"worker-4", "worker-5", "worker-6", "proxy-2", "load", "prometheus", "grafana"}
    assert services.keys() == always | full
    for service in services.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), "nobody is asked for a password, so for this machine only"
        for volume in service.get("volumes", []):
            if volume.startswith("/"):
                assert Path(volume.split(":")[0]).exists(), volume


def test_grafana_finds_its_dashboards() -> None:
    grafana = compose()["services"]["grafana"]
    mounted = dict(volume.split(":")[1::-1] for volume in grafana["volumes"])
    [provider] = yaml.safe_load((ROOT / "deploy/grafana/dashboards/shoal.yml").read_text())["providers"]
    dashboards = sorted(Path(mounted[provider["options"]["path"]]).glob("*.json"))
    assert dashboards
    assert all(json.loads(dashboard.read_text())["panels"] for dashboard in dashboards)


def test_the_stack_file_is_read() -> None:
    services = compose("--file", "deploy/swarm/stack.yml")["services"]
    assert services["worker"]["deploy"]["replicas"] == 6
    assert option(services["worker"]["command"], "--cluster-expected-size") == "6"
    assert services["worker"]["environment"] == {"ZONE": "{{.Node.Hostname}}"}


def test_prometheus_takes_its_files() -> None:
    metrics = ROOT / "deploy" / "metrics"
    done = subprocess.run(
        ["promtool", "check", "config", str(metrics / "prometheus.yml")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- units


def test_systemd_knows_every_setting_of_the_units(tmp_path: Path) -> None:
    """It also asks whether the programs are there, so another that is stands for ours."""
    names = ["shoal-node@7001.service", "shoal-proxy@6379.service"]
    for name in names:
        text = (UNITS / re.sub(r"@\d+", "@", name)).read_text()
        assert "ExecStart=/opt/shoal/bin/shoal " in text
        (tmp_path / name).write_text(text.replace("/opt/shoal/bin/shoal", shutil.which("true") or ""))
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in names)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
