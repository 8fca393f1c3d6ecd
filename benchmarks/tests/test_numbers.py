"""What the README says of speed and memory is what the kept results say, to the letter."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from ..numbers import BEGIN, END, README, numbers, plots, with_numbers
from ..plot import Bar, bars
from ..results import RESULTS


def test_the_readme_has_the_numbers_of_the_kept_results() -> None:
    text = README.read_text("utf-8")

    assert text == with_numbers(text), "run: python -m benchmarks.numbers"


def test_every_plot_is_drawn_from_the_kept_results() -> None:
    drawn = {file.name: file.read_text("utf-8") for file in RESULTS.glob("*.svg")}

    assert drawn == plots(), "run: python -m benchmarks.numbers"


def test_a_changed_number_is_noticed() -> None:
    text = README.read_text("utf-8")
    changed = text.replace(" KiB each |", " KiB more each |", 1)

    assert changed != text
    assert with_numbers(changed) == text


def test_a_missed_claim_is_told() -> None:
    assert "claims" in numbers()


def test_a_readme_without_the_markers_is_refused() -> None:
    for text in ("nothing", f"{END} … {BEGIN}"):
        with pytest.raises(ValueError, match="needs a line"):
            with_numbers(text)


def test_the_longest_bar_has_all_the_room_and_words_are_escaped() -> None:
    drawing = ElementTree.fromstring(bars("a < b", [Bar("x & y", 10, "10"), Bar("z", 5, "5", True)]))  # noqa: S314

    widths = [float(rect.attrib["width"]) for rect in drawing.iter("{http://www.w3.org/2000/svg}rect")]
    texts = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert widths[0] == 2 * widths[1]
    assert texts == ["a < b", "x & y", "10", "z", "5"]
