"""What the demo claims, judged by what it measured: one row per claim, no figure that was not measured."""

from dataclasses import dataclass

from rich.table import Table

from .wire import Json

STARVED_TIMES = 5.0  # "reads starve": the median read takes at least so many times as long
RELIEVED_TIMES = 5.0  # "reads are fast again": at most so much of the starved time
CALL_OVERHEAD_SECONDS = 0.5  # what an assistant call may take beyond the provider itself
SWITCH_SECONDS = 1.0  # the router's promise


@dataclass(frozen=True)
class Claim:
    """One row: what was measured on both sides, and whether what we say about it is true."""

    what: str
    before: str
    after: str
    says: str
    held: bool


def claims(measured: Json) -> list[Claim]:
    alone, starved, relieved = measured["alone"], measured["on_legacy"], measured["on_extracted"]
    move, switch = measured["move"], measured["switch"]
    return [
        *_copied(measured["shadow"]),
        _starved("a page, median", alone, starved, "p50"),
        _starved("a page, p95", alone, starved, "p95"),
        _relieved("… and once it is extracted, median", starved, relieved, "p50"),
        _relieved("… and once it is extracted, p95", starved, relieved, "p95"),
        _call(starved, relieved),
        _first_event(starved, relieved),
        Claim(
            "assistant calls per minute",
            f"{starved['assistant_per_minute']:.0f}",
            f"{relieved['assistant_per_minute']:.0f}",
            "more calls, same callers",
            relieved["assistant_per_minute"] > starved["assistant_per_minute"],
        ),
        _shares(move),
        _sticky(move),
        _switched("rolled back", switch["back"]),
        _switched("moved again", switch["forward"]),
        _unfailing(measured),
    ]


def faulty_claims(measured: Json) -> list[Claim]:
    """Of the demo with a faulty candidate: it is found out, fault by fault, and again for nothing."""
    shadow = measured["shadow"]
    named = [
        Claim(
            f["says"], f["name"], f"{f['place'] or '–'} {f['kind']}", f"named, in {f['count']} copies", f["count"] > 0
        )
        for f in shadow["faults"]
    ]
    all_no = all(each["verdict"] == "no-go" for each in shadow["verdicts"].values())
    return [*named, *_free(shadow), Claim("verdict", "", _verdicts(shadow), "no-go", all_no), _unfailing(measured)]


def table(rows: list[Claim]) -> Table:
    shown = Table(title="Measured just now, on this machine", title_style="bold", header_style="bold")
    for heading, justify in (("what", "left"), ("before", "right"), ("after", "right")):
        shown.add_column(heading, justify=justify, no_wrap=heading != "what")  # type: ignore[arg-type]
    shown.add_column("claim")
    shown.add_column("held", justify="center")
    for row in rows:
        shown.add_row(row.what, row.before, row.after, row.says, "[green]yes[/]" if row.held else "[red]NO[/]")
    return shown


def milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:,.0f} ms"


def _copied(shadow: Json) -> list[Claim]:
    differing, compared, calls = shadow["mismatches"], shadow["compared"], shadow["calls"]
    watched = all(each["verdict"] != "no-go" for each in shadow["verdicts"].values())
    return [
        Claim(
            "copies answered differently",
            "",
            f"{differing} of {compared:,}",
            "not one",
            compared >= calls > differing == 0,
        ),
        *_free(shadow),
        Claim("verdict", "", _verdicts(shadow), "go, or keep watching", watched),
    ]


def _free(shadow: Json) -> list[Claim]:
    """Of a real provider nobody knows who called it."""
    asked = shadow["provider_calls_of_copies"]
    return [] if asked is None else [Claim("provider calls of copies", "", str(asked), "not one", asked == 0)]


def _verdicts(shadow: Json) -> str:
    return ", ".join(
        f"{route.removeprefix('ticket-')}: {each['verdict']}" for route, each in shadow["verdicts"].items()
    )


def _starved(what: str, alone: Json, starved: Json, rank: str) -> Claim:
    before, after = alone["reads"][rank], starved["reads"][rank]
    held = before is not None and after is not None and after >= STARVED_TIMES * before
    return Claim(
        f"{what}: alone → beside the assistant",
        milliseconds(before),
        milliseconds(after),
        f"starves: ≥ {STARVED_TIMES:g} × as long",
        held,
    )


def _relieved(what: str, starved: Json, relieved: Json, rank: str) -> Claim:
    before, after = starved["reads"][rank], relieved["reads"][rank]
    held = before is not None and after is not None and after * RELIEVED_TIMES <= before
    return Claim(
        what,
        milliseconds(before),
        milliseconds(after),
        f"fast again: ≤ 1/{RELIEVED_TIMES:g}",
        held,
    )


def _call(starved: Json, relieved: Json) -> Claim:
    own = relieved["provider"]["p50"]
    after = relieved["assistant"]["p50"]
    if own is None:  # a real provider keeps no ledger for us
        held = after is not None and after <= (starved["assistant"]["p50"] or 0)
        says = "no longer than on legacy"
    else:
        held = after is not None and after <= own + CALL_OVERHEAD_SECONDS
        says = f"no queue: model's own {milliseconds(own)} + ≤ {milliseconds(CALL_OVERHEAD_SECONDS)}"
    return Claim(
        "an assistant call, median",
        milliseconds(starved["assistant"]["p50"]),
        milliseconds(after),
        says,
        held,
    )


def _first_event(starved: Json, relieved: Json) -> Claim:
    before, after = starved["first_event"]["p50"], relieved["first_event"]["p50"]
    held = before is not None and after is not None and after < before
    return Claim(
        "a reply's first words, median",
        milliseconds(before),
        milliseconds(after),
        "sooner",
        held,
    )


def _shares(move: Json) -> Claim:
    shares = [step["by_extracted"] for step in move["steps"]]
    known = all(share is not None for share in shares)
    held = known and shares[0] == 0.0 and shares[-1] == 1.0 and shares == sorted(shares)
    steps = " → ".join(step["stage"] for step in move["steps"])
    shown = " → ".join("–" if share is None else f"{share:.0%}" for share in shares)
    return Claim(f"share of extracted: {steps}", "", shown, "grows from none to all", held)


def _sticky(move: Json) -> Claim:
    wavering, back = move["callers_that_changed_sides_within_a_step"], move["callers_that_went_back"]
    return Claim(
        "callers who changed sides unasked",
        "",
        str(wavering + back),
        "none: a split is sticky",
        wavering == back == 0,
    )


def _switched(what: str, switch: Json) -> Claim:
    seconds, old, started = switch["last_to_old_side_seconds"], switch["old_side"], switch["started"]
    return Claim(
        f"{what}: last new call to the old side",
        "",
        f"{seconds:.2f} s ({old} of {started})" if old else f"none of {started}",
        f"effective within {SWITCH_SECONDS:g} s",
        seconds <= SWITCH_SECONDS and started > old,
    )


def _unfailing(measured: Json) -> Claim:
    acts = [act for act in measured.values() if isinstance(act, dict) and "failed" in act]
    failed, requests = sum(act["failed"] for act in acts), sum(act["requests"] for act in acts)
    return Claim("failed requests", "", f"{failed} of {requests:,}", "not one", failed == 0)
