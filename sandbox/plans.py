"""The processes of the stack: how each is started, with which environment, and how one knows that it is ready."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .keys import Keys
from .processes import Plan
from .provider import Settings

HOST = "127.0.0.1"
TRACES = "traces.jsonl"
EVIDENCE = "evidence.db"
LLM_NAMES = ("LLM_BASE_URL", "LLM_API_KEY", "LLM_MODEL", "LLM_EMBEDDING_MODEL", "LLM_DAILY_TOKENS")
DAILY_TOKENS = 1_000_000_000  # per organisation: load is what the stage is for, and its tokens cost nothing
SERVICE_ROLE = "assistant_service"
SCHEMA_CONTRACT = "contract_tests/contract/extracted_service.schema.json"
LEGACY_WORKERS = 2  # synchronous ones: the point of the whole story


@dataclass(frozen=True)
class Layout:
    """What one run of the stack consists of."""

    root: Path  # the repository
    data: Path
    ports: Mapping[str, int]
    keys: Keys
    database_url: str
    routes_file: Path
    settings: Settings  # of the simulated provider
    real_provider: bool  # LLM_BASE_URL names one; the simulated one is not started
    own_postgres: bool = False  # the database is a PostgreSQL that the stack starts
    has_egress: bool = False  # the routes describe one: it is started, and both applications ask it
    fault: str | None = None  # the faulty candidate stands around the service; with this fault, or "none" for now

    def url(self, process: str) -> str:
        return f"http://{HOST}:{self.ports[process]}"

    @property
    def urls(self) -> dict[str, str]:
        return {process: self.url(process) for process in self.ports}

    @property
    def service_database_url(self) -> str:
        """A PostgreSQL of our own has a role for the service, which may do no more than its schema contract says."""
        return (
            self.database_url.replace("//postgres@", f"//{SERVICE_ROLE}@", 1)
            if self.own_postgres
            else self.database_url
        )

    @property
    def upstream_urls(self) -> dict[str, str]:
        """The addresses under the names that routes.toml has for them, whether they are upstreams or tables."""
        return {
            "legacy": self.url("legacy"),
            "identity": self.url("identity"),
            "assistant": self.url("extracted" if self.fault is None else "candidate"),
            "egress": self.provider_url.removesuffix(urlsplit(self.provider_url).path),
            "evidence": self.database_url if self.own_postgres else f"sqlite:///{self.data / EVIDENCE}",
        }

    @property
    def provider_url(self) -> str:
        """The base URL of whoever speaks for the models."""
        return os.environ["LLM_BASE_URL"] if self.real_provider else f"{self.url('provider')}/v1"

    @property
    def llm_base_url(self) -> str:
        """What the applications take for the provider."""
        return self.url("egress") + urlsplit(self.provider_url).path if self.has_egress else self.provider_url


def provider_plan(layout: Layout) -> Plan:
    settings = layout.settings
    command = (
        *_python("-m", "sandbox", "provider", "--port", str(layout.ports["provider"])),
        *("--latency-seconds", str(settings.latency_seconds)),
        *("--tokens-per-second", str(settings.tokens_per_second)),
        *("--embedding-latency-seconds", str(settings.embedding_latency_seconds)),
    )
    return Plan("provider", command, {}, f"{layout.url('provider')}/v1/models")


def egress_plan(layout: Layout) -> Plan:
    command = _python("-m", "router", "egress", str(layout.routes_file), "--host", HOST)
    return Plan("egress", (*command, "--port", str(layout.ports["egress"])), {}, f"{layout.llm_base_url}/models")


def server_plans(layout: Layout) -> list[Plan]:
    """Everything that serves, in the order of the start; the router last, as the door opens last."""
    monolith = _monolith(layout)
    service = {
        **_common(layout),
        "DATABASE_URL": layout.service_database_url,
        "IDENTITY_JWKS_FILE": str(layout.keys.jwks_file),
        "LEGACY_URL": layout.url("identity"),
    }
    candidate = []
    if layout.fault is not None:
        service["LLM_BASE_URL"] = layout.url("candidate") + urlsplit(layout.llm_base_url).path
        candidate = [candidate_plan(layout)]
    identity = {**monolith, "OTEL_SERVICE_NAME": "identity"}
    router = {"IDENTITY_SECRET": layout.keys.identity_secret, **_traces(layout)}
    port, admin = str(layout.ports["router"]), f"{HOST}:{layout.ports['admin']}"
    return [
        Plan("legacy", _gunicorn(layout.ports["legacy"], LEGACY_WORKERS), monolith, f"{layout.url('legacy')}/login/"),
        Plan("identity", _gunicorn(layout.ports["identity"], 1), identity, f"{layout.url('identity')}/login/"),
        Plan(
            "extracted",
            _python("-m", "extracted_service", "--port", str(layout.ports["extracted"])),
            service,
            f"{layout.url('extracted')}/api/search",
        ),
        *candidate,
        Plan(
            "router",
            _python(
                *("-m", "router", "serve", str(layout.routes_file)),
                *("--host", HOST, "--port", port, "--admin", admin),
            ),
            router,
            f"{layout.url('router')}/login/",
        ),
    ]


def candidate_plan(layout: Layout) -> Plan:
    """In front of the service and behind it, so that what it answers and what it asks can both be spoiled."""
    provider = layout.llm_base_url.removesuffix(urlsplit(layout.llm_base_url).path)
    command = _python(
        *("-m", "sandbox", "candidate", "--port", str(layout.ports["candidate"])),
        *("--service", layout.url("extracted"), "--provider", provider, "--fault", str(layout.fault)),
    )
    return Plan("candidate", command, {}, f"{layout.url('candidate')}/sandbox/fault")


def jobs_plan(layout: Layout) -> Plan:
    """The worker of the background jobs: nobody waits for it, so it starts when the others are ready."""
    return Plan("jobs", manage("jobs"), _monolith(layout))


def database_plans(layout: Layout, *, fresh: bool) -> list[Plan]:
    """What fills an empty database."""
    env = _monolith(layout)
    seed = ("seed", "--fresh") if fresh else ("seed",)
    grant = Plan("grant", manage("grant_service_role", SERVICE_ROLE, SCHEMA_CONTRACT), env)
    # Elsewhere the service makes its own tables when it starts; here its role may not.
    own_tables = Plan("own-tables", _python("-m", "extracted_service.migrate", "--role", SERVICE_ROLE), env)
    return [
        Plan("migrate", manage("migrate", "--verbosity", "0"), env),
        *([grant, own_tables] if layout.own_postgres else []),
        # Of no exchange: the egress would warn that nobody can compare these calls.
        Plan("seed", manage(*seed), {**env, "LLM_BASE_URL": layout.provider_url}),
    ]


def manage(*arguments: str) -> tuple[str, ...]:
    return _python("legacy_app/manage.py", *arguments)


def _common(layout: Layout) -> dict[str, str]:
    given = {name: os.environ[name] for name in LLM_NAMES if os.environ.get(name)}
    provider = {"LLM_BASE_URL": layout.llm_base_url}
    limit = {} if layout.real_provider else {"LLM_DAILY_TOKENS": str(DAILY_TOKENS)}
    return {"DATABASE_URL": layout.database_url, **limit, **given, **provider, **_traces(layout)}


def _traces(layout: Layout) -> dict[str, str]:
    return {"TRACES_FILE": str(layout.data / TRACES)}


def _monolith(layout: Layout) -> dict[str, str]:
    return {
        **_common(layout),
        "SECRET_KEY": layout.keys.django_secret,
        "CSRF_TRUSTED_ORIGINS": layout.url("router"),
        "IDENTITY_SECRET": layout.keys.identity_secret,
        "IDENTITY_PRIVATE_KEY_FILE": str(layout.keys.private_file),
    }


def _gunicorn(port: int, workers: int) -> tuple[str, ...]:
    return _python(
        *("-m", "gunicorn", "legacy_app.wsgi:application", "--config", "legacy_app/gunicorn.conf.py"),
        *("--workers", str(workers), "--bind", f"{HOST}:{port}", "--log-level", "warning"),
    )


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, *arguments)
