"""A person of an organisation with a real session, a key, and the way the router asks."""

import json
from dataclasses import dataclass, field

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from joserfc.jwk import OKPKey

SECRET = "between-router-and-monolith"
HOST = "help.example.com"


@pytest.fixture
def key(tmp_path, settings):
    key = OKPKey.generate_key("Ed25519", {"kid": "2026-01"})
    write_key(tmp_path / "key.json", key)
    settings.IDENTITY_PRIVATE_KEY_FILE = str(tmp_path / "key.json")
    settings.IDENTITY_SECRET = SECRET
    settings.ALLOWED_HOSTS = [HOST]
    # As gunicorn does for a trusted proxy; Django's test client has no proxy in front.
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    return key


def write_key(path, key):
    path.write_text(json.dumps(key.as_dict(private=True)))


@pytest.fixture
def maya(lumen):
    """An agent who also has a permission of an app that no service needs to know of."""
    lumen.agent.user_permissions.add(Permission.objects.get(codename="add_user"))
    return lumen.agent


@dataclass
class Browser:
    """A caller's cookies and headers, as the router passes them on in the identity exchange."""

    client: Client = field(default_factory=lambda: Client(enforce_csrf_checks=True))
    csrf_token: str = "c" * 32

    def log_in(self, user):
        self.client.force_login(user)
        self.client.cookies["csrftoken"] = self.csrf_token
        return self

    def exchange(self, method="GET", *, secret=SECRET, via="post", **headers):
        sent = {"Host": HOST, "X-Identity-Audience": "assistant", "X-Original-Method": method}
        if secret is not None:
            sent["X-Identity-Secret"] = secret
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in sent.items() if value is not None}
        return getattr(self.client, via)("/internal/identity", headers=sent)


@pytest.fixture
def browser(key):
    return Browser()
