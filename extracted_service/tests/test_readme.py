"""The README names every setting, every code and every endpoint."""

from pathlib import Path

import pytest

from extracted_service import app, errors
from extracted_service.errors import Refusal
from extracted_service.settings import Settings

README = (Path(__file__).parents[1] / "README.md").read_text()


def codes(kind: type[Refusal]) -> list[str]:
    own = [f"| `{kind.code}` | {kind.status} |"] if hasattr(kind, "code") else []
    return own + [code for child in kind.__subclasses__() for code in codes(child)]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_in_the_readme(name: str) -> None:
    assert f"| `{name.upper()}` |" in README


@pytest.mark.parametrize("code", codes(Refusal))
def test_a_code_is_in_the_readme_with_its_status(code: str) -> None:
    assert code in README


@pytest.mark.parametrize("code", codes(Refusal))
def test_a_code_is_in_the_tree_of_errors_with_its_status(code: str) -> None:
    _, name, _, status, *_ = code.replace("`", "").split()

    assert f"{status} {name}" in (errors.__doc__ or "")


def test_an_endpoint_is_in_the_readme(jwks_file: Path) -> None:
    for path in app.create_app(Settings(identity_jwks_file=jwks_file)).openapi()["paths"]:
        assert path in README
