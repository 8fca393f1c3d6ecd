"""The nightly job beside a real extracted service, both on the same database; then the service is gone."""

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager

import pytest
from django.db import connection
from joserfc.jwk import KeySet, OKPKey

from legacy_app.assistant.tests import servers
from legacy_app.assistant.tests.conftest import completed

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="copies the test database as a file"),
    pytest.mark.skipif(not (servers.PROJECT / "extracted_service").exists(), reason="the service is not here"),
]

ADDRESS = r"http://127\.0\.0\.1:[1-9]\d*"


@pytest.fixture
def environment(lumen, parcelo, tmp_path):
    """The same data and keys for both; the monolith holds the private one."""
    key = OKPKey.generate_key("Ed25519", {"kid": "2026-01"})
    (tmp_path / "key.json").write_text(json.dumps(key.as_dict(private=True)))
    (tmp_path / "jwks.json").write_text(json.dumps(KeySet([key]).as_dict(private=False)))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(tmp_path / "helpdesk.sqlite3")])
    return {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'helpdesk.sqlite3'}",
        "SECRET_KEY": "for the processes of this test only, " * 2,
        "IDENTITY_PRIVATE_KEY_FILE": str(tmp_path / "key.json"),
        "IDENTITY_JWKS_FILE": str(tmp_path / "jwks.json"),
    }


def answer(connection):
    body = completed("From a real provider.").content
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@contextmanager
def service(environment, log):
    """The service on a port of its own choosing, which it tells in its log. Yields the address."""
    command = ["-m", "extracted_service", "--port", "0", "--access-log"]
    with log.open("w") as out, servers.process(command, environment, stdout=out, stderr=out):
        servers.eventually(lambda: re.search(ADDRESS, log.read_text()))
        yield re.search(ADDRESS, log.read_text())[0]


def summarise(environment, url):
    return subprocess.run(
        [sys.executable, "legacy_app/manage.py", "summarise"],
        cwd=servers.PROJECT,
        env={**os.environ, **environment, "ASSISTANT_URL": url},
        capture_output=True,
        text=True,
        timeout=servers.DEADLINE_SECONDS,
        check=True,
    )


def stored(environment):
    database = environment["DATABASE_URL"].removeprefix("sqlite:///")
    query = "select organisation_id, kind, outcome from assistant_call order by id"
    return servers.rows(database, "select text from assistant_summary"), servers.rows(database, query)


def test_the_service_summarises_and_the_monolith_can_do_without_it(environment, lumen, parcelo, tmp_path):
    ids, log = [parcelo.organisation.pk, lumen.organisation.pk], tmp_path / "service.log"
    with servers.provider(answer) as provider:
        environment |= {"LLM_BASE_URL": provider.url}
        with service(environment, log) as url:
            first = summarise(environment, url)
        summaries, calls = stored(environment)

        assert first.stderr == ""
        assert summaries == [("From a real provider.",)] * 2
        assert calls == [(organisation, "summary", "ok") for organisation in ids]
        assert log.read_text().count('/summary HTTP/1.1" 200') == 2

        servers.change(environment["DATABASE_URL"].removeprefix("sqlite:///"), "delete from assistant_summary")
        second = summarise(environment, url)

    assert second.stderr.count("cannot be reached") == 2
    assert second.stdout == first.stdout
    summaries, calls = stored(environment)
    assert (len(summaries), len(calls)) == (2, 4)
