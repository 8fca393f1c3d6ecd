"""What the egress's README says is so: its programs run, and it names every code and every count."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

EGRESS = Path(__file__).parents[1] / "egress"
README = (EGRESS / "README.md").read_text("utf-8")
SOURCE = "".join(file.read_text("utf-8") for file in EGRESS.glob("*.py"))


class Client:
    """Any of the clients that the README uses: keeps the headers that it is given."""

    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []
        self.chat = SimpleNamespace(completions=self)

    def post(self, _: str, *, json: Any, headers: dict[str, str]) -> None:
        self.sent.append(headers)

    def create(self, *, model: str, messages: Any, extra_headers: dict[str, str]) -> None:
        self.sent.append(extra_headers)


def test_the_lines_for_an_application_without_opentelemetry_pass_trace_and_role_on() -> None:
    middleware, asking = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    client = Client()
    said = {"traceparent": "00-1-2-01", "baggage": "strangler.role=shadow"}
    names: dict[str, Any] = {"requests": client, "httpx": client, "client": client}
    names |= {"url": "http://127.0.0.1:8010/v1", "body": {}, "model": "large", "messages": []}
    exec(middleware, names)  # noqa: S102  (the README's own words)
    respond = names["exchange_middleware"](lambda _: exec(asking, names))  # noqa: S102

    respond(SimpleNamespace(headers=said | {"cookie": "mine"}))
    respond(SimpleNamespace(headers={}))

    assert client.sent == [said] * 3 + [{}] * 3


@pytest.mark.parametrize("code", sorted(set(re.findall(r'not_sent\(\s*"(\w+)"', SOURCE))))
def test_every_code_is_in_the_readme(code: str) -> None:
    assert f"`{code}`" in README


@pytest.mark.parametrize("name", sorted(set(re.findall(r'_count\("([^"]+)"', SOURCE))))
def test_every_count_is_in_the_readme(name: str) -> None:
    assert f"`egress: {name}`" in README


@pytest.mark.parametrize("file", sorted(file.name for file in EGRESS.glob("*.py") if file.name != "__init__.py"))
def test_every_file_is_in_the_readme(file: str) -> None:
    assert f"`{file}`" in README
