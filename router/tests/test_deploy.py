"""The files in deploy/ can be read, and start the router with words that it knows and times that fit together."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from ..admin import admin_app
from ..cli import app
from ..reading import parse
from ..workers import MERCY_SECONDS

DEPLOY = Path(__file__).parents[1] / "deploy"


def served(words: list[str]) -> dict[str, Any]:
    """What `serve` understands of a command line. Raises click's errors for what it does not know."""
    assert words[0].endswith("python")
    assert [words[1], words[3]] == ["-m", "serve"]
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    params: dict[str, Any] = command.make_context("serve", words[4:]).params
    return params


def stop_seconds(options: dict[str, Any]) -> float:
    return float(options["close_after"] + options["drain_seconds"] + MERCY_SECONDS)


@pytest.fixture
def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / "router.service", "utf-8")
    return parser


@pytest.fixture
def manifest() -> dict[str, Any]:
    documents = list(yaml.safe_load_all((DEPLOY / "router.yaml").read_text("utf-8")))
    return {document["kind"]: document for document in documents}


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    [found] = manifest["Deployment"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_the_unit_starts_the_router_and_gives_it_the_time_to_stop(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]

    options = served(shlex.split(service["ExecStart"]))

    assert options["workers"] == 2
    assert int(service["TimeoutStopSec"]) >= stop_seconds(options)
    assert service["KillMode"] == "mixed"
    assert "-HUP" in service["ExecReload"]


def test_the_manifest_starts_the_router_and_gives_it_the_time_to_stop(manifest: dict[str, Any]) -> None:
    pod = manifest["Deployment"]["spec"]["template"]["spec"]
    each = container(manifest)

    options = served(each["command"] + each["args"])

    assert pod["terminationGracePeriodSeconds"] >= stop_seconds(options)
    assert [port["containerPort"] for port in each["ports"]] == [
        options["port"],
        int(options["admin"].rpartition(":")[2]),
    ]


def test_the_manifests_probes_ask_what_operators_can_ask(manifest: dict[str, Any]) -> None:
    async def nobody() -> list[Any]:
        return []

    paths = {getattr(route, "path", "") for route in admin_app(nobody, Path("routes.toml")).routes}
    each = container(manifest)

    asked = [each[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]

    assert {probe["path"] for probe in asked} <= paths
    assert {probe["port"] for probe in asked} <= {port["name"] for port in each["ports"]}


def test_the_manifests_routes_are_right_and_mounted_where_the_router_looks(manifest: dict[str, Any]) -> None:
    [(name, text)] = manifest["ConfigMap"]["data"].items()
    each = container(manifest)
    mounts = {mount["mountPath"]: mount for mount in each["volumeMounts"]}

    file = served(each["command"] + each["args"])["file"]

    assert parse(text).routes[0].stage == "legacy"
    assert file == Path("/etc/router") / name
    assert "subPath" not in mounts["/etc/router"]


def test_the_service_leads_to_callers_port_alone(manifest: dict[str, Any]) -> None:
    assert [port["targetPort"] for port in manifest["Service"]["spec"]["ports"]] == ["http"]
    labels = manifest["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert manifest["Service"]["spec"]["selector"] == labels
