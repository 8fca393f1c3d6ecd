"""Every picture is taken by the command, shown by a page, described for those who do not see it, and small."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from migrations_guide.bars import page_of_bars
from migrations_guide.beginning import ROOT
from migrations_guide.pages import all_pages
from migrations_guide.pictures import PICTURES, TAKEN, Studio, demo, of_two_routes, opened

CHROMIUM = shutil.which("chromium")
MOST_BYTES = 150_000
SHOWN = [found for page in all_pages() for found in re.findall(r"!\[([^\]]*)\]\(pictures/([^)]+)\)", page.text)]


def test_what_is_shown_is_what_the_command_takes_and_what_is_there() -> None:
    there = sorted(file.name for file in PICTURES.iterdir())

    assert sorted(name for _, name in SHOWN) == sorted(TAKEN) == there


@pytest.mark.parametrize(("alt", "name"), SHOWN, ids=[name for _, name in SHOWN])
def test_a_picture_is_described_and_small(alt: str, name: str) -> None:
    assert len(alt.split()) >= 6
    assert 0 < (PICTURES / name).stat().st_size < MOST_BYTES


def test_no_picture_says_where_it_was_taken() -> None:
    for name in TAKEN:
        if name.endswith(".svg"):
            assert not re.search(r"127\.0\.0\.1|/tmp|root", (PICTURES / name).read_text("utf-8"))


def test_without_a_browser_the_command_says_so_in_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "migrations_guide.pictures"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)},
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "There is no browser to take the pictures with: install Debian's package chromium.\n"


def test_the_longest_bar_has_all_the_room_and_the_others_their_share() -> None:
    page = page_of_bars("Reading", [("alone", 10.0), ("beside <them>", 1000.0), ("half", 500.0)])

    assert re.findall(r"width:([\d.]+)%", page) == ["0.8", "75.0", "37.5"]
    assert "beside &lt;them&gt;" in page
    assert ">1,000</span>" in page


@pytest.mark.skipif(CHROMIUM is None, reason="no browser: install Debian's chromium to take a picture")
def test_the_picture_of_the_demo_is_drawn_from_what_it_measured(tmp_path: Path) -> None:
    acts = ("alone", "on_legacy", "on_extracted")
    file = tmp_path / "demo" / "measured.json"
    file.parent.mkdir()
    file.write_text(json.dumps({act: {"reads": {"p50": 0.01 * 9**n}} for n, act in enumerate(acts)}), "utf-8")

    with opened(str(CHROMIUM)) as page:
        demo(Studio(page, "", "", tmp_path, tmp_path, tmp_path), tmp_path / "demo.png")
        shown = page.locator("main").inner_text()

    assert [line for line in shown.splitlines() if line.isdecimal()] == ["10", "90", "810"]
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_the_report_is_of_two_routes_and_the_first_excuses_nothing() -> None:
    routes = tomllib.loads(of_two_routes((ROOT / "routes.toml").read_text("utf-8")))["routes"]

    assert [(route["name"], route["shadow"]) for route in routes] == [
        ("ticket-summary", {"effects": "tape"}),
        ("ticket-reply", {"effects": "tape"}),
    ]
