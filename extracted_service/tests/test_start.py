"""The service starts with what its environment says, or says in one sentence each what is wrong there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from extracted_service.errors import SettingsError
from extracted_service.settings import read_settings

ROOT = Path(__file__).parents[2]
NAMES = ("DATABASE_URL", "LLM_BASE_URL", "LLM_API_KEY", "LLM_TIMEOUT_SECONDS", "LEGACY_URL", "IDENTITY_JWKS_FILE")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, jwks_file: Path) -> pytest.MonkeyPatch:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IDENTITY_JWKS_FILE", str(jwks_file))
    return monkeypatch


def test_only_the_key_file_has_no_default() -> None:
    settings = read_settings()

    assert settings.database_url == "sqlite:///var/helpdesk.sqlite3"
    assert settings.llm_base_url == "http://127.0.0.1:8020/v1"
    assert settings.llm_timeout_seconds == 60


def test_an_empty_variable_is_one_that_is_not_set(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LLM_TIMEOUT_SECONDS", "")

    assert read_settings().llm_timeout_seconds == 60


def test_every_problem_is_named_at_once_and_no_value_is_repeated(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_URL", "mysql://user:sesame@host/name")
    environment.setenv("LLM_BASE_URL", "127.0.0.1:8020")
    environment.setenv("LLM_TIMEOUT_SECONDS", "soon")
    environment.delenv("IDENTITY_JWKS_FILE")

    with pytest.raises(SettingsError) as error:
        read_settings()

    assert str(error.value).split("\n") == [
        "DATABASE_URL must start with sqlite:/// (a file), postgresql:// or postgres://.",
        "LLM_BASE_URL must be an address like http://127.0.0.1:8020/v1.",
        "LLM_TIMEOUT_SECONDS input should be a valid number, unable to parse string as a number.",
        "IDENTITY_JWKS_FILE is not set: name the file with the public keys of the monolith's identities.",
    ]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("LLM_BASE_URL", "http://sesame:x@host:99999/v1", "must be an address like http://127.0.0.1:8020/v1."),
        ("LLM_BASE_URL", "http://[sesame/v1", "must be an address like http://127.0.0.1:8020/v1."),
        ("LEGACY_URL", "http://ses ame/", "must be an address like http://127.0.0.1:8020/v1."),
        ("LLM_API_KEY", "sésame", "must be visible ASCII characters: it travels in a header."),
        ("LLM_API_KEY", "sesame\nX-Other: 1", "must be visible ASCII characters: it travels in a header."),
        (
            "DATABASE_URL",
            "postgresql://user:sesame@host:port/name",
            "cannot be read; its form is postgresql://user:password@host:5432/name.",
        ),
        ("DATABASE_URL", "postgresql://user:sesame@host", "names no database."),
        ("DATABASE_URL", "sqlite:///", "names no database."),
    ],
)
def test_what_could_never_work_is_said_at_the_start(
    environment: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    environment.setenv(name, value)

    with pytest.raises(SettingsError) as error:
        read_settings()

    assert str(error.value) == f"{name} {sentence}"


def test_a_part_cannot_last_longer_than_the_whole(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LLM_TIMEOUT_SECONDS", "3")

    with pytest.raises(SettingsError, match="LLM_CONNECT_SECONDS is longer than LLM_TIMEOUT_SECONDS"):
        read_settings()


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "extracted_service", "--port", "0"],
        ["-m", "uvicorn", "extracted_service.app:create_app", "--factory", "--port", "0"],
    ],
    ids=["itself", "uvicorn"],
)
@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("", "IDENTITY_JWKS_FILE is not set: name the file with the public keys of the monolith's identities."),
        ("nowhere.json", "IDENTITY_JWKS_FILE nowhere.json cannot be read: No such file or directory."),
    ],
)
def test_a_service_that_cannot_start_says_why_in_one_sentence(command: list[str], file: str, sentence: str) -> None:
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"IDENTITY_JWKS_FILE": file},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 1
    assert ended.stderr == f"The assistant service cannot start.\n{sentence}\n"
