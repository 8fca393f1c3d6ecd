"""What a person can put right is told in one sentence, on the command line and by the server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

ROOT = Path(__file__).parents[3]
MANAGE = [sys.executable, str(ROOT / "legacy_app" / "manage.py")]
WRITE = "Write sqlite:///var/helpdesk.sqlite3 or postgresql://user:password@host:5432/name."
SERVE = [sys.executable, "-c", "import legacy_app.wsgi"]


def run(command, tmp_path, **environment):
    """In an environment of its own; only what finds Python and its packages is handed on."""
    inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return subprocess.run(
        command,
        cwd=tmp_path,
        env=inherited | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (
            {"DATABASE_URL": "mysql://user:hush@host/name"},
            f"DATABASE_URL begins with 'mysql', which is not supported. {WRITE}",
        ),
        (
            {"DATABASE_URL": "postgresql://user:hush@host:port/name"},
            f"DATABASE_URL cannot be read. {WRITE}",
        ),
        (
            {"DATABASE_URL": "postgresql://user:hush@host"},
            f"DATABASE_URL names no database. {WRITE}",
        ),
        ({"DEBUG": "perhaps"}, "DEBUG is 'perhaps': write 1 or 0."),
        (
            {"LLM_TIMEOUT_SECONDS": "long"},
            "LLM_TIMEOUT_SECONDS is 'long': write a number of seconds above 0, like 60.",
        ),
        (
            {"LLM_DAILY_TOKENS": "-1"},
            "LLM_DAILY_TOKENS is '-1': write a whole number from 0, like 2000000.",
        ),
        (
            {"ASSISTANT_URL": "user:hush@127.0.0.1:8002"},
            "ASSISTANT_URL must be an address like http://127.0.0.1:8002, or empty.",
        ),
        (
            {"LLM_BASE_URL": "http://user:hush@[127.0.0.1/v1"},
            "LLM_BASE_URL must be an address like http://127.0.0.1:8002, or empty.",
        ),
        (
            {"LLM_API_KEY": "a\nb"},
            "LLM_API_KEY must be visible ASCII characters: it travels in a header.",
        ),
        (
            {"IDENTITY_SECRET": "schlüssel"},
            "IDENTITY_SECRET must be visible ASCII characters: it travels in a header.",
        ),
        (
            {"CSRF_TRUSTED_ORIGINS": "https://helpdesk.example, helpdesk.test"},
            "CSRF_TRUSTED_ORIGINS holds 'helpdesk.test': write origins like https://helpdesk.example.",
        ),
        (
            {"ASSISTANT_URL": "http://127.0.0.1:8002"},
            "ASSISTANT_URL needs IDENTITY_PRIVATE_KEY_FILE: the service believes only identities signed with that key.",
        ),
    ],
)
@pytest.mark.parametrize("command", [[*MANAGE, "check"], SERVE], ids=["manage", "serve"])
def test_a_wrong_setting_is_one_sentence(tmp_path, command, environment, sentence):
    ended = run(command, tmp_path, **environment)

    assert ended.returncode != 0
    assert ended.stderr.strip() == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(None, "cannot be read: No such file or directory."), ("{}", "must hold one private Ed25519 key as a JWK")],
)
def test_a_key_that_cannot_sign_is_one_sentence_at_the_start(tmp_path, text, sentence):
    file = tmp_path / "key.json"
    if text is not None:
        file.write_text(text)

    ended = run(SERVE, tmp_path, DEBUG="1", IDENTITY_PRIVATE_KEY_FILE=str(file))

    assert ended.returncode == 3
    assert ended.stderr.startswith(f"IDENTITY_PRIVATE_KEY_FILE {file} {sentence}")


def test_a_database_without_tables_says_what_to_run(tmp_path):
    ended = run([*MANAGE, "seed"], tmp_path)

    assert ended.returncode == 1
    assert ended.stderr.strip() == (
        "The database var/helpdesk.sqlite3 has no such table yet (no such table: accounts_organisation). "
        "Run: python legacy_app/manage.py migrate"
    )


def test_a_database_that_is_away_is_one_sentence_without_its_password(tmp_path):
    ended = run([*MANAGE, "migrate"], tmp_path, DATABASE_URL="postgresql://user:hush@127.0.0.1:1/name")

    assert ended.returncode == 1
    assert ended.stderr.startswith("The database name on 127.0.0.1 cannot be used: ")
    assert ended.stderr.strip().endswith("Look at DATABASE_URL.")
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "hush" not in ended.stderr


def test_nobody_is_served_with_the_key_that_everybody_can_read(tmp_path):
    ended = run(SERVE, tmp_path)

    assert ended.returncode == 3  # gunicorn's word for: do not start another worker
    assert ended.stderr.strip() == (
        "SECRET_KEY is not set: set it to a long random text, or set DEBUG=1 on your own machine."
    )


@pytest.mark.parametrize("environment", [{"DEBUG": "1"}, {"SECRET_KEY": "a key of one's own"}])
def test_the_server_starts_and_warns_of_a_database_without_tables(tmp_path, environment):
    ended = run(SERVE, tmp_path, **environment)

    assert ended.returncode == 0
    assert "has no tables yet. Run: python legacy_app/manage.py migrate" in ended.stderr


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["summarise", "--limit", "-1"], "'-1' is no number of tickets: write a whole number from 1"),
        (["jobs", "--every", "0"], "'0' is no number of seconds above 0, like 1"),
        (["jobs", "--every", "soon"], "'soon' is no number of seconds above 0, like 1"),
    ],
)
def test_an_option_that_cannot_be_is_one_sentence(command, sentence):
    with pytest.raises(CommandError, match=re.escape(sentence)):
        call_command(*command)
