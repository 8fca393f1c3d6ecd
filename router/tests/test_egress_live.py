"""Live calls of shadows reach the provider as long as the budget lasts, all processes together, and not one more."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from .evidence import skip_without_sqlalchemy
from .wire import always

skip_without_sqlalchemy()

from ..config import Live, Price  # noqa: E402
from ..egress.budget import Usage, estimate  # noqa: E402
from ..evidence.database import open_for_reading  # noqa: E402
from ..evidence.spending import Used  # noqa: E402
from .egressing import ONE, between, never_the_same, plain, question  # noqa: E402

pytestmark = pytest.mark.anyio

LIVE = "strangler.role=shadow,strangler.effects=live"
USAGE = plain(b'{"usage": {"prompt_tokens": 10, "completion_tokens": 5}}')


def budget(**given: float) -> str:
    said = {"calls_per_minute": 1000, "tokens_per_day": 1_000_000, "money_per_day": 1000} | given
    lines = "\n".join(f"{name} = {value}" for name, value in said.items())
    return f"[egress.live]\n{lines}\n[egress.live.prices]\nlarge = {{ input = 2.0, output = 10.0 }}"


async def test_a_live_call_is_sent_and_told_as_an_effect(tmp_path: Path) -> None:
    async with between(never_the_same(), tmp_path, budget()) as egress:
        answer = await egress.ask(ONE, LIVE)

        assert (answer.status, answer.body, len(egress.provider.asked)) == (200, b'{"answer": 1}', 1)
        assert egress.provider.asked[0].values(b"baggage") == []
        (effect,) = await egress.effects(ONE, "shadow")
        assert (effect.status, effect.is_on_tape, effect.is_whole) == (200, True, True)


async def test_without_a_budget_no_live_call_is_sent(tmp_path: Path) -> None:
    async with between(never_the_same(), tmp_path) as egress:
        answer = await egress.ask(ONE, LIVE)

        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (599, "over_budget")
        assert egress.provider.asked == []


@pytest.mark.parametrize(
    ("given", "sent", "sentence"),
    [
        ({"calls_per_minute": 3}, 3, "live.calls_per_minute is 3"),
        ({"tokens_per_day": 175}, 3, "live.tokens_per_day is 175"),
        ({"money_per_day": 0.001250}, 3, "live.money_per_day is 0.00125"),
        ({"calls_per_minute": 0}, 0, "live.calls_per_minute is 0"),
    ],
)
async def test_the_budget_is_a_hard_stop(tmp_path: Path, given: dict[str, float], sent: int, sentence: str) -> None:
    # Each call is reserved at about 41 + 100 tokens and settled at 15; 0.00007 of money.
    async with between(always(USAGE), tmp_path, budget(**given)) as egress:
        answers = []
        for _ in range(5):
            answers.append(await egress.ask(ONE, LIVE, question(max_tokens=100)))
            await egress.written()

        assert [each.status for each in answers] == [200] * sent + [599] * (5 - sent)
        assert sentence in json.loads(answers[-1].body)["error"]["message"]
        assert len(egress.provider.asked) == sent
        refused = [each for each in await egress.effects(ONE, "shadow") if not each.is_whole]
        assert len(refused) == 5 - sent
        counted = await egress.counted()
        assert counted["egress: live: over the budget"] == 5 - sent


async def test_calls_at_the_same_time_do_not_overdraw_the_budget(tmp_path: Path) -> None:
    async with between(always(USAGE), tmp_path, budget(calls_per_minute=5)) as egress:
        answers = await asyncio.gather(*(egress.ask(ONE, LIVE) for _ in range(20)))

        assert sorted(each.status for each in answers) == [200] * 5 + [599] * 15
        assert len(egress.provider.asked) == 5


async def test_a_model_without_a_price_is_refused(tmp_path: Path) -> None:
    async with between(always(USAGE), tmp_path, budget()) as egress:
        answer = await egress.ask(ONE, LIVE, {"model": "huge", "messages": []})

        assert "live.prices has no price for the model 'huge'" in json.loads(answer.body)["error"]["message"]
        assert egress.provider.asked == []


async def test_what_cannot_be_counted_is_not_spent(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.write_text("no folder")
    async with between(always(USAGE), tmp_path, budget(), f"sqlite:///{folder}/evidence.db") as egress:
        assert (await egress.ask(ONE, LIVE)).status == 599
        assert egress.provider.asked == []


async def test_what_was_used_replaces_what_was_reserved(tmp_path: Path) -> None:
    async with between(always(USAGE), tmp_path, budget()) as egress:
        await egress.ask(ONE, LIVE)
        await egress.written()

        with open_for_reading(egress.url).connect() as connection:
            ((tokens, money),) = connection.exec_driver_sql("SELECT tokens, money FROM tape_spending").all()
        assert (tokens, money) == (15, pytest.approx((10 * 2 + 5 * 10) / 1_000_000))


@pytest.mark.parametrize(
    ("answer", "used"),
    [
        (b'{"usage": {"prompt_tokens": 7, "total_tokens": 7}}', Used(7, 0)),
        (b'data: {"usage": null}\n\ndata: {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}\n\n', Used(1, 2)),
        (b"data: {}\n\ndata: [DONE]\n\n", None),
        (b"<html>", None),
        (b'{"usage": {"prompt_tokens": "many"}}', Used(0, 0)),
    ],
)
def test_usage_is_read_from_plain_answers_and_streams(answer: bytes, used: Used | None) -> None:
    usage = Usage()

    usage.piece(answer[:20])
    usage.piece(answer[20:])

    assert usage.used() == used


@pytest.mark.parametrize(
    ("asked", "model", "output"),
    [
        ({"model": "a", "messages": [], "max_tokens": 9}, "a", 9),
        ({"model": "a", "messages": [], "max_completion_tokens": 8, "n": 2}, "a", 16),
        ({"model": "a", "messages": []}, "a", 50),
        ({"model": "a", "input": "words"}, "a", 0),
        ([], "", 50),
    ],
)
def test_an_estimate_is_what_a_call_may_come_to(asked: object, model: str, output: int) -> None:
    body = json.dumps(asked).encode()
    live = Live(
        calls_per_minute=1,
        tokens_per_day=1,
        money_per_day=1,
        answer_tokens=50,
        prices={"a": Price(input=1, output=1)},
    )

    found, used = estimate(body, live)

    assert (found, used.output) == (model, output)
    assert used.input >= len(body) / 4
