"""An agent of the helpdesk with their own cookies, and what they got, in a form that two sides can be compared in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from contract_tests.loopback import client

PASSWORD = "helpdesk"  # noqa: S105  (of the seeded sandbox)
COMPARED = (
    "allow",
    "cache-control",
    "content-type",
    "cross-origin-opener-policy",
    "location",
    "referrer-policy",
    "retry-after",
    "vary",
    "www-authenticate",
    "x-accel-buffering",
    "x-content-type-options",
    "x-frame-options",
)
"""The headers that callers may rely on. The rest belongs to the server, or to one answer alone."""


@dataclass(frozen=True)
class Got:
    """One answer: what callers may rely on, and who gave it."""

    status: int
    headers: dict[str, list[str]]
    body: bytes
    answered_by: str
    set_cookies: tuple[str, ...]

    @classmethod
    def of(cls, answer: httpx.Response) -> Self:
        headers = {name: answer.headers.get_list(name) for name in COMPARED if name in answer.headers}
        cookies = tuple(sorted(line.partition("=")[0] for line in answer.headers.get_list("set-cookie")))
        return cls(answer.status_code, headers, answer.content, answer.headers.get("x-answered-by", ""), cookies)

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[tuple[str, Any]]:
        """The events of a stream, as (name, data)."""
        return [_event(block) for block in self.body.decode().split("\n\n") if block]


def _event(block: str) -> tuple[str, Any]:
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    return fields["event"], json.loads(fields["data"])


class Agent:
    """Logs in through the page's own form, as a browser does."""

    def __init__(self, site: str, username: str | None) -> None:
        self._client = client(base_url=site)
        if username is not None:
            self._client.get("/login/").raise_for_status()
            form = {"username": username, "password": PASSWORD, "csrfmiddlewaretoken": self.csrf_token}
            answer = self._client.post("/login/", data=form)
            if answer.status_code != httpx.codes.FOUND:
                raise ValueError(f"{username} could not log in: {answer.status_code}")

    @property
    def csrf_token(self) -> str:
        return self._client.cookies.get("csrftoken") or ""

    @property
    def cookies(self) -> httpx.Cookies:
        return self._client.cookies

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Got:
        """With the CSRF token, unless `headers` say otherwise; an empty value there leaves the header out.

        The path goes out as it is written: httpx would tidy it up.
        """
        sent = {"X-CSRFToken": self.csrf_token} | (headers or {})
        sent = {name: value for name, value in sent.items() if value}
        target = {"target": path.encode("ascii")}
        return Got.of(self._client.request(method, "/", content=body, headers=sent, extensions=target))

    def get(self, path: str) -> Any:
        answer = self._client.get(path)
        answer.raise_for_status()
        return answer.json()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
