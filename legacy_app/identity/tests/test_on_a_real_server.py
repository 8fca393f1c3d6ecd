"""The exchange over a socket, as the router makes it: gunicorn decides on the scheme, Django on the rest."""

import http.client
import json

import pytest
from django.db import connection
from joserfc.jwk import OKPKey

from legacy_app.assistant.tests import servers
from legacy_app.identity.tests.conftest import HOST, SECRET, write_key

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="copies the test database as a file"),
]

SECRET_KEY = "for the process of this test only, " * 2


@pytest.fixture
def exchange(lumen, sign_in, settings, tmp_path):
    """`exchange(**headers)` as the signed-in agent; returns the response and its body."""
    settings.SECRET_KEY = SECRET_KEY
    session = sign_in(lumen.agent).cookies["sessionid"].value
    write_key(tmp_path / "key.json", OKPKey.generate_key("Ed25519", {"kid": "2026-01"}))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(tmp_path / "helpdesk.sqlite3")])
    environment = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/helpdesk.sqlite3",
        "SECRET_KEY": SECRET_KEY,
        "ALLOWED_HOSTS": HOST,
        "IDENTITY_SECRET": SECRET,
        "IDENTITY_PRIVATE_KEY_FILE": str(tmp_path / "key.json"),
    }
    standing = {
        "Host": HOST,
        "Cookie": f"sessionid={session}; csrftoken={'c' * 32}",
        "X-Identity-Secret": SECRET,
        "X-Identity-Audience": "assistant",
    }
    with servers.gunicorn(environment) as port:

        def exchange(**headers):
            router = http.client.HTTPConnection("127.0.0.1", port, timeout=servers.DEADLINE_SECONDS)
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            router.request("POST", "/internal/identity", headers=standing | sent)
            response = router.getresponse()
            return response, response.read()

        yield exchange


def test_a_write_over_https_needs_the_callers_origin_and_token(exchange):
    https = {"X_Original_Method": "POST", "X_Forwarded_Proto": "https", "X_CSRFToken": "c" * 32}

    _, without_origin = exchange(**https)
    _, plain_origin = exchange(**https, Origin=f"http://{HOST}")
    granted, body = exchange(**https, Origin=f"https://{HOST}")

    assert json.loads(without_origin)["detail"] == "CSRF Failed: Referer checking failed - no Referer."
    assert "Origin checking failed" in json.loads(plain_origin)["detail"]
    assert granted.status == 200
    assert set(json.loads(body)) == {"token", "expires_in"}
