"""Which routes are worth moving, from spans that any OpenTelemetry set-up writes."""

from __future__ import annotations

import itertools
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ..cli import app
from ..errors import SpansError
from ..spans import Span, read_spans
from ..survey import Interval, Survey, erlang_c, survey
from ..survey_plot import plot

SVG = "{http://www.w3.org/2000/svg}"
_ids = itertools.count(1)


def span(
    kind: str,
    name: str,
    start: float,
    seconds: float,
    parent: Span | None = None,
    *,
    service: str = "shop",
    **facts: Any,
) -> Span:
    number = f"{next(_ids):016x}"
    trace = parent.trace_id if parent else f"{int(number, 16):032x}"
    attributes = {key.replace("__", "."): value for key, value in facts.items()}
    return Span(
        service, name, kind, trace, number, parent.span_id if parent else "", start, start + seconds, attributes
    )


def request(route: str, start: float, seconds: float, calls: list[tuple[float, float, str]] = []) -> list[Span]:  # noqa: B006
    """A request and its outgoing calls: after how long, how long, to whom."""
    server = span("SERVER", f"GET {route}", start, seconds, http__route=route, http__request__method="GET")
    out = [span("CLIENT", "POST", start + at, lasts, server, server__address=whom) for at, lasts, whom in calls]
    return [server, *out]


def test_a_route_that_waits_comes_before_one_that_computes_however_busy_the_latter_is() -> None:
    minute: list[Span] = []
    for number in range(30):  # 110 worker-seconds of a minute of eight workers, nearly all of it waiting
        minute += request("/summarise", number * 2, 3.67, [(0.03, 3.6, "llm")])
    for number in range(14):
        minute += request("/ask", number * 4, 3.0, [(0.1, 2.8, "llm")])
    for number in range(8):
        minute += request("/report", number * 7, 5.0, [(0.0, 0.15, "llm")])
    for number in range(850):
        minute += request("/items", number * 0.07, 0.011)

    found = survey(minute)

    assert [each.route for each in found.routes] == ["/summarise", "/ask", "/report", "/items"]
    first = found.routes[0]
    assert first.waiting / first.busy == pytest.approx(0.98, abs=0.01)
    assert first.busy / found.seconds / 8 == pytest.approx(0.23, abs=0.02)


def test_calls_that_overlap_or_wrap_each_other_are_waited_for_once() -> None:
    server = span("SERVER", "POST /ask", 0, 10, http__route="/ask")
    chat = span("CLIENT", "chat small", 1, 4, server, gen_ai__provider__name="openai")
    wrapped = span("CLIENT", "POST", 1, 1, chat, server__address="api.example", server__port=443)
    beside = span("CLIENT", "POST", 3, 4, server, server__address="vectors")

    found = survey([server, chat, wrapped, beside]).routes[0]

    assert found.waiting == pytest.approx(6)
    assert found.on_whom == pytest.approx({"api.example:443": 4, "vectors": 4})


def test_time_in_the_database_is_told_apart_and_not_counted_twice() -> None:
    server = span("SERVER", "GET /a", 0, 10, http__route="/a")
    call = span("CLIENT", "POST", 2, 2, server, server__address="llm")
    beside_it = span("CLIENT", "SELECT", 3, 3, server, db__system__name="postgresql", server__address="db")
    old_name = span("CLIENT", "SELECT", 7, 1, server, db__system="postgresql")

    found = survey([server, call, beside_it, old_name]).routes[0]

    assert (found.waiting, found.database, found.own) == pytest.approx((2, 3, 5))
    assert list(found.on_whom) == ["llm"]


def test_a_stream_whose_span_ends_at_once_lasts_until_its_last_call() -> None:
    server = span("SERVER", "POST /reply", 0, 0.0, http__route="/reply")
    chat = span("CLIENT", "chat", 0, 3, server)

    found = survey([server, chat]).routes[0]

    assert found.busy == pytest.approx(3)
    assert found.extended == 1


def test_calls_that_belong_to_no_request_are_reported() -> None:
    lost = span("CLIENT", "chat", 0, 3)

    found = survey([*request("/a", 0, 1), lost])

    assert found.lost_calls == 1
    assert found.lost_seconds == pytest.approx(3)


def test_the_route_is_djangos_even_where_only_the_inner_span_knows_it() -> None:
    server = span("SERVER", "HTTP POST", 0, 1, http__method="POST")
    inner = span("INTERNAL", "POST api/tickets/<int:pk>", 0, 1, server, http__route="api/tickets/<int:pk>")

    found = survey([server, inner]).routes[0]

    assert (found.method, found.route) == ("POST", "/api/tickets/<int:pk>")


@pytest.mark.parametrize(
    "attributes",
    [
        {"http.url": "http://user:secret@llm.example:8443/v1/chat?key=x"},
        {"url.full": "https://llm.example:8443/v1"},
        {"server.address": "llm.example", "server.port": 8443},
        {"net.peer.name": "llm.example", "net.peer.port": 8443},
    ],
)
def test_whom_a_call_waits_for_is_told_in_the_words_of_any_convention(attributes: dict[str, Any]) -> None:
    """What `opentelemetry-instrumentation-requests` writes by default has an address and nothing else."""
    server = span("SERVER", "POST api/ask", 0, 1)

    [ask] = survey([server, span("CLIENT", "POST", 0.1, 0.8, server, **attributes)]).routes

    assert list(ask.on_whom) == ["llm.example:8443"]


@pytest.mark.parametrize("name", ["GET", "HTTP GET"])
def test_a_request_that_no_route_answered_is_not_named_by_its_method_twice(name: str) -> None:
    [nobody] = survey([span("SERVER", name, 0, 1, http__method="GET")]).routes

    assert (nobody.method, nobody.route) == ("GET", "(no route)")


def test_a_request_to_another_service_is_waited_for_and_what_happens_there_is_not_looked_at() -> None:
    server = span("SERVER", "GET /a", 0, 4, http__route="/a")
    call = span("CLIENT", "GET", 0, 3, server, server__address="other")
    there = span("SERVER", "GET /b", 0, 3, call, service="other", http__route="/b")
    deeper = span("CLIENT", "GET", 1, 1, there, service="other", server__address="third")

    found = survey([server, call, there, deeper], "shop")

    assert [each.route for each in found.routes] == ["/a"]
    assert found.routes[0].on_whom == {"other": pytest.approx(3)}


def test_several_services_that_answer_make_the_reader_choose_one() -> None:
    spans = [*request("/a", 0, 1), span("SERVER", "GET /b", 0, 1, service="router")]

    with pytest.raises(SpansError, match="say which with --service: router, shop"):
        survey(spans)
    with pytest.raises(SpansError, match='no request of "shopp" is among these spans; there are those of router, shop'):
        survey(spans, "shopp")
    assert survey(spans, "router").routes[0].route == "/b"


def test_the_share_of_the_pool_and_the_chance_to_wait_fall_when_a_route_moves() -> None:
    spans = [each for number in range(9) for each in request("/ask", number, 2.0, [(0, 2.0, "llm")])]
    spans += request("/quick", 0, 0.1)

    found = survey(spans)

    assert found.occupancy(2) == pytest.approx(18.1 / 10 / 2)
    assert found.occupancy(2, found.routes[0]) == pytest.approx(0.1 / 10 / 2)
    assert found.has_to_wait(2) > 0.8 > 0.001 > found.has_to_wait(2, found.routes[0])


@pytest.mark.parametrize(
    ("workers", "offered", "chance"),
    [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (10, 8.0, 0.4092), (3, 3.0, 1.0), (2, 7.0, 1.0), (4, 0.0, 0.0)],
)
def test_the_chance_to_wait_is_erlangs(workers: int, offered: float, chance: float) -> None:
    assert erlang_c(workers, offered) == pytest.approx(chance, abs=5e-5)


def lines(spans: list[Span]) -> str:
    """As `traces_file.py` writes them."""
    return "".join(
        json.dumps(
            {
                "service": each.service,
                "name": each.name,
                "kind": each.kind,
                "trace_id": each.trace_id,
                "span_id": each.span_id,
                "parent_id": each.parent_id or None,
                "start": round(each.start * 1e9),
                "end": round(each.end * 1e9),
                "attributes": each.attributes,
            }
        )
        + "\n"
        for each in spans
    )


def otlp(spans: list[Span]) -> dict[str, Any]:
    kinds = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3}
    written = [
        {
            "traceId": each.trace_id,
            "spanId": each.span_id,
            "parentSpanId": each.parent_id,
            "name": each.name,
            "kind": kinds[each.kind],
            "startTimeUnixNano": str(round(each.start * 1e9)),
            "endTimeUnixNano": str(round(each.end * 1e9)),
            "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in each.attributes.items()],
        }
        for each in spans
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": written}]}]}


def test_the_local_file_and_otlp_json_are_read_alike_on_one_line_many_lines_or_one_document_a_line() -> None:
    spans = [*request("/a", 1, 2, [(0, 1, "llm")]), *request("/b", 2, 1)]

    assert read_spans(lines(spans), "x") == spans
    assert read_spans(json.dumps(otlp(spans)), "x") == spans
    assert read_spans(json.dumps(otlp(spans), indent=2), "x") == spans
    assert read_spans(f"{json.dumps(otlp(spans[:2]))}\n\n{json.dumps(otlp(spans[2:]))}\n", "x") == spans


@pytest.mark.parametrize(
    ("text", "place"),
    [("hello", "line 1"), ('{"name": "x"}', "spans.json: "), ('{"resourceSpans": [{"scopeSpans": 3}]}', "")],
)
def test_what_is_no_span_is_refused_in_one_sentence(text: str, place: str) -> None:
    with pytest.raises(SpansError, match="this is no span: give a file that TRACES_FILE wrote") as refused:
        read_spans(text, "spans.json")

    assert "spans.json" in str(refused.value)
    assert place in str(refused.value)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["survey", *arguments])


def file_of(folder: Path, spans: list[Span]) -> str:
    file = folder / "traces.jsonl"
    file.write_text(lines(spans))
    return str(file)


def test_the_command_says_what_to_move_first_and_what_it_brings(tmp_path: Path) -> None:
    spans = [each for number in range(9) for each in request("/ask", number, 2.0, [(0.1, 1.9, "llm")])]

    told = run(file_of(tmp_path, [*spans, *request("/quick", 0, 0.1)]), "--workers", "2")

    assert told.exit_code == 0
    assert (
        "Move first: GET /ask. It holds 99% of all worker time and spends 95% of that waiting on others." in told.output
    )
    assert "Without it the pool is 1% busy instead of 90%" in told.output


def test_the_command_does_not_recommend_a_move_that_gains_little(tmp_path: Path) -> None:
    told = run(file_of(tmp_path, request("/report", 0, 5.0, [(0, 0.2, "llm")])))

    assert "No route spends most of its time waiting on others: moving one would gain little." in told.output


def test_json_and_plot_hold_the_same_routes(tmp_path: Path) -> None:
    file = file_of(tmp_path, [*request("/ask", 0, 2.0, [(0, 1.5, "llm")]), *request("/a<b", 0, 1.0)])

    told = run(file, "--json", "--workers", "4", "--plot", str(tmp_path / "survey.svg"))

    document = json.loads(told.output)
    assert [row["route"] for row in document["routes"]] == ["/ask", "/a<b"]
    assert document["routes"][0]["waiting"] == pytest.approx(1.5)
    assert document["pool"]["workers"] == 4
    drawn = ElementTree.parse(tmp_path / "survey.svg").getroot()  # noqa: S314  (our own)
    words = "".join(drawn.itertext())
    assert "GET /ask" in words
    assert "GET /a<b" in words


def test_a_plot_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    told = run(file_of(tmp_path, request("/ask", 0, 5.0)), "--plot", str(tmp_path))

    assert told.exit_code == 2
    assert "cannot be written: Is a directory" in " ".join(told.output.replace("│", " ").split())


def test_the_words_beside_the_longest_bar_are_inside_the_plot() -> None:
    drawn = ElementTree.fromstring(plot(survey(request("/ask", 0, 12_345.0, [(0, 12_345.0, "llm")]))))  # noqa: S314

    [words] = [each for each in drawn.iter(f"{SVG}text") if "% waiting" in (each.text or "")]

    assert words.text == "12,345.0 s, 100% waiting"
    assert float(words.attrib["x"]) + 7.5 * len(words.text) <= float(drawn.attrib["width"])


def test_without_a_request_among_the_spans_the_command_says_so_and_fails(tmp_path: Path) -> None:
    told = run(file_of(tmp_path, []))

    assert told.exit_code == 2
    assert "there is no SERVER span among these" in told.stderr


def test_time_is_never_negative_however_clocks_disagree() -> None:
    server = span("SERVER", "GET /a", 10, 1, http__route="/a")
    early = span("CLIENT", "GET", 5, 2, server, server__address="llm")

    found: Survey = survey([server, early])

    assert found.routes[0].waiting == 0
    assert found.routes[0].busy == pytest.approx(1)
    assert Interval(1, 2) < Interval(2, 1)
