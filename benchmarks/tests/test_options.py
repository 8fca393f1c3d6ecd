"""What a benchmark is told and cannot measure is said in a sentence, before anything is started."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks import contract, genai, proxy


@pytest.mark.parametrize(
    ("main", "arguments", "says"),
    [
        (contract.main, ["--repetitions", "0"], "--repetitions: 0 is too few: say 1 or more"),
        (genai.main, ["--only", "Rails"], "no row is called Rails; there are: Django, 2 sync workers; "),
        (proxy.main, ["--only", "squid"], "squid is not here; here are: router"),
        (proxy.main, ["--peers", "/nowhere"], "/nowhere is no virtual environment: leave out --peers, or make one"),
    ],
)
def test_what_cannot_be_measured_is_said(
    main: Callable[[list[str]], int], arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert says in capsys.readouterr().err
