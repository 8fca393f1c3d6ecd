"""The live routes.toml is edited in place: comments stay, addresses and stages change, nobody sees half a file."""

import tomllib
from pathlib import Path

import pytest

from sandbox.routes_file import RoutesBroken, copy_with_urls, has_egress, set_stage

ROUTES = """# who answers
[upstreams]
legacy = "http://127.0.0.1:8001"   # the monolith
assistant = { url = "http://127.0.0.1:8002", connections = 5 }
other = "http://10.0.0.1:1"

[[routes]]
name = "ticket-summary"   # moves first
path = "/api/tickets/{id}/summary"
stage = "legacy"
split = { percent = 10, by = "cookie:sessionid" }

[[routes]]
name = "search"
path = "/api/search"
stage = "legacy"
"""


def test_a_copy_has_this_runs_addresses_and_the_original_stays(tmp_path: Path) -> None:
    source, copy = tmp_path / "routes.toml", tmp_path / "copy.toml"
    source.write_text(ROUTES)

    copy_with_urls(source, copy, {"legacy": "http://127.0.0.1:1", "assistant": "http://127.0.0.1:2", "x": "y"})

    upstreams = tomllib.loads(copy.read_text())["upstreams"]
    assert upstreams["legacy"] == "http://127.0.0.1:1"
    assert upstreams["assistant"] == {"url": "http://127.0.0.1:2", "connections": 5}
    assert upstreams["other"] == "http://10.0.0.1:1"
    assert source.read_text() == ROUTES


def test_provider_and_evidence_of_a_copy_are_this_runs_if_the_file_has_them(tmp_path: Path) -> None:
    source, copy = tmp_path / "routes.toml", tmp_path / "copy.toml"
    source.write_text(ROUTES + '[egress]\nprovider = "http://x"\npace = "at once"\n[evidence]\nkeep_days = 3\n')

    copy_with_urls(source, copy, {"egress": "http://127.0.0.1:3", "evidence": "sqlite:///e.db"})

    document = tomllib.loads(copy.read_text())
    assert document["egress"] == {"provider": "http://127.0.0.1:3", "pace": "at once"}
    assert document["evidence"] == {"keep_days": 3, "url": "sqlite:///e.db"}
    assert (has_egress(copy), has_egress(write(tmp_path / "other.toml", ROUTES))) == (True, False)


def write(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


def test_a_move_changes_the_stage_and_the_percentage_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "routes.toml"
    file.write_text(ROUTES)

    set_stage(file, ("ticket-summary",), "split", 50)

    assert file.read_text() == ROUTES.replace('stage = "legacy"', 'stage = "split"', 1).replace("10, by", "50, by")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(("text", "why"), [("[upstreams", "is not valid TOML"), ("", "has no \\[upstreams\\]")])
def test_a_broken_file_is_one_sentence(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "routes.toml"
    file.write_text(text)

    with pytest.raises(RoutesBroken, match=why):
        set_stage(file, ("ticket-summary",), "split")
