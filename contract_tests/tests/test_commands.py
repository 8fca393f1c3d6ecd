"""The commands serve somebody who has nothing of ours: two servers, a document, and a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
import yaml

from contract_tests.contractkit.learn import read_har
from contract_tests.contractkit.recording import recorder
from contract_tests.faults import until

SHELF = {
    "openapi": "3.1.0",
    "info": {"title": "Shelves", "version": "1"},
    "paths": {
        "/shelves/{shelf}/books": {
            "get": {
                "parameters": [
                    {"name": "shelf", "in": "path", "required": True, "schema": {"type": "integer", "examples": [7]}},
                    {"name": "most", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 9}},
                ],
                "responses": {
                    "200": {
                        "description": "The books on it.",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "required": ["books", "count"],
                                    "properties": {
                                        "books": {"type": "array", "items": {"type": "string"}},
                                        "count": {"type": "integer"},
                                    },
                                }
                            }
                        },
                    },
                    "400": {"description": "No such number.", "content": {"application/json": {"schema": {}}}},
                    "404": {"description": "No such shelf.", "content": {"application/json": {"schema": {}}}},
                },
            }
        }
    },
}
NEEDS = {
    "owner": "readers",
    "tolerates": ["other-statuses"],
    "operations": {
        "GET /shelves/{shelf}/books": {
            "reads": {"200": {"type": "object", "required": ["count"], "properties": {"count": {"type": "integer"}}}}
        }
    },
}


class Old(BaseHTTPRequestHandler):
    """Shelves, as they always were."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: the second would wait for an acknowledgement

    def do_GET(self) -> None:
        self.answer(*self.books())

    def books(self) -> tuple[int, Any]:
        path, _, query = self.path.partition("?")
        if not (path.startswith("/shelves/") and path.endswith("/books")) or path.split("/")[2] != "7":
            return 404, {"problem": "no such shelf"}
        most = query.partition("most=")[2].partition("&")[0]
        if most and (not most.isdecimal() or not 1 <= int(most) <= 9):
            return self.refused()
        return 200, self.found(["Emma", "Ulysses", "Walden"][: int(most or 9)])

    def refused(self) -> tuple[int, Any]:
        return 400, {"problem": "no such number"}

    def found(self, books: list[str]) -> Any:
        return {"books": books, "count": len(books)}

    def answer(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class New(Old):
    """Rewritten: a count that is a text, a status of another framework."""

    def refused(self) -> tuple[int, Any]:
        return 422, {"problem": "no such number"}

    def found(self, books: list[str]) -> Any:
        return {"books": books, "count": str(len(books))}


@contextmanager
def serving(kind: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def sites() -> Iterator[tuple[str, str]]:
    with ExitStack() as leaving:
        yield leaving.enter_context(serving(Old)), leaving.enter_context(serving(New))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home: Path = tmp_path_factory.mktemp("home")
    (home / "openapi.yaml").write_text(yaml.safe_dump(SHELF), "utf-8")
    (home / "swagger.json").write_text('{"swagger": "2.0"}', "utf-8")
    needs = home / "consumers" / "catalogue" / "needs.yaml"
    needs.parent.mkdir(parents=True)
    needs.write_text(yaml.safe_dump(NEEDS), "utf-8")
    return home


@pytest.fixture(scope="module")
def told(sites: tuple[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """What `diff` says of the two."""
    return run(folder, "diff", *both(sites), "--consumers", "consumers")


def both(sites: tuple[str, str]) -> list[str]:
    return [f"old={sites[0]}", f"new={sites[1]}", "--contract", "openapi.yaml", "--each", "8"]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "contract_tests", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def test_diff_finds_and_explains_the_differences_of_two_servers_that_are_nobodys(
    told: subprocess.CompletedProcess[str], sites: tuple[str, str], folder: Path
) -> None:
    assert told.returncode == 1, told.stderr
    assert "PARITY  GET /shelves/{shelf}/books: status" in told.stdout
    assert "PARITY  GET /shelves/{shelf}/books: body /count" in told.stdout
    assert "PROMISE  GET /shelves/{shelf}/books: body /count" in told.stdout
    assert "new breaks its promise: 422 was not promised, only 200, 400, 404" in told.stdout
    assert '    contract  {"type": "integer"}' in told.stdout
    assert "who notices  catalogue (reads /count)" in told.stdout
    assert f'curl -sS -i --path-as-is -X GET "{sites[1]}"/shelves/7/books' in told.stdout
    assert "accept it: python -m contract_tests accept " in told.stdout
    found = json.loads((folder / "contract-report.json").read_text("utf-8"))["findings"]
    assert f"requests to old, new; 1 operation; {len(found)} findings" in told.stderr


def test_a_server_does_not_differ_from_itself(sites: tuple[str, str], folder: Path) -> None:
    told = run(folder, "diff", sites[0], sites[0], "--contract", "openapi.yaml", "--each", "8", "--report", "same.json")

    assert (told.returncode, told.stdout.strip()) == (0, ""), told.stdout


def test_check_holds_one_server_to_the_promise(sites: tuple[str, str], folder: Path) -> None:
    kept = run(folder, "check", sites[0], "--contract", "openapi.yaml", "--each", "8", "--report", "one.json")
    broken = run(
        folder,
        "check",
        sites[1],
        "--contract",
        "openapi.yaml",
        "--consumers",
        "consumers",
        "--each",
        "8",
        "--report",
        "two.json",
    )

    assert kept.returncode == 0, kept.stdout
    assert broken.returncode == 1
    assert "PARITY" not in broken.stdout


def test_check_holds_a_document_to_the_promise_and_shows_a_value(folder: Path) -> None:
    """What drf-spectacular writes is OpenAPI 3.0; nobody is asked anything."""
    generated = of_version_3_0(SHELF)
    answer = generated["paths"]["/shelves/{shelf}/books"]["get"]["responses"]["200"]["content"]["application/json"]
    (folder / "generated.json").write_text(json.dumps(generated), "utf-8")
    answer["schema"]["properties"]["count"]["nullable"] = True
    generated["paths"]["/extra"] = {"get": {"responses": {"200": {"description": "x"}}}}
    (folder / "changed.yaml").write_text(yaml.safe_dump(generated), "utf-8")
    words = ["--contract", "openapi.yaml", "--consumers", "consumers", "--report", "document.json"]

    kept = run(folder, "check", "generated.json", *words)
    broken = run(folder, "check", "new=changed.yaml", *words)

    assert (kept.returncode, kept.stdout, kept.stderr) == (0, "", KEPT)
    assert broken.returncode == 1
    assert "DOCUMENT  GET /shelves/{shelf}/books: answer 200 body" in broken.stdout
    assert '    for example  {"books": [], "count": null}' in broken.stdout
    assert "who notices  catalogue (cannot take the example)" in broken.stdout
    assert "Described, and promised by nobody: GET /extra" in broken.stderr
    assert run(folder, "report", "document.json").stdout == broken.stdout


KEPT = "1 promised operation held against generated.json; 0 findings\n"


def test_a_document_of_which_nothing_was_compared_keeps_no_promise(folder: Path) -> None:
    words = ["--contract", "openapi.yaml", "--path", "/nowhere", "--report", "none.json"]

    told = run(folder, "check", "openapi.yaml", *words)

    assert told.returncode == 1
    assert "not one was compared, so nothing was shown" in told.stdout


def test_a_promise_may_be_written_in_openapi_3_0(sites: tuple[str, str], folder: Path) -> None:
    (folder / "older.yaml").write_text(yaml.safe_dump(of_version_3_0(SHELF)), "utf-8")
    words = ["--contract", "older.yaml", "--each", "8", "--report", "older.json"]

    kept = run(folder, "check", sites[0], *words)
    told = run(folder, "diff", *both(sites)[:2], *words)

    assert kept.returncode == 0, kept.stdout
    assert told.returncode == 1, told.stderr
    assert "PROMISE  GET /shelves/{shelf}/books: body /count" in told.stdout


def of_version_3_0(document: dict[str, Any]) -> dict[str, Any]:
    """The same promise: the one word of 3.1 in it is a list of examples."""
    older: dict[str, Any] = json.loads(json.dumps({**document, "openapi": "3.0.3"}))
    schema = older["paths"]["/shelves/{shelf}/books"]["get"]["parameters"][0]["schema"]
    [schema["example"]] = schema.pop("examples")
    return older


def test_an_accepted_difference_is_silent_until_it_ends_and_a_third_value_is_not(
    told: subprocess.CompletedProcess[str], sites: tuple[str, str], folder: Path
) -> None:
    assert told.returncode == 1
    found = json.loads((folder / "contract-report.json").read_text("utf-8"))["findings"]
    status = next(each for each in found if (each["kind"], each["place"]) == ("parity", "status"))
    words = ["--reason", "nobody branches on it", "--owner", "shelves", "--consumers", "catalogue"]
    today = datetime.now(UTC).date()

    first = run(folder, "diff", *both(sites), "--deviations", "deviations.yaml", "--report", "first.json")
    said = run(
        folder,
        "accept",
        status["case"],
        *words,
        "--expires",
        str(today + timedelta(days=90)),
        "--deviations",
        "deviations.yaml",
    )
    again = run(folder, "diff", *both(sites), "--deviations", "deviations.yaml", "--report", "again.json")
    late = run(folder, "accept", status["case"], *words, "--expires", f"{today.year + 2}-01-01", "--deviations",
               "deviations.yaml")  # fmt: skip

    assert "deviations.yaml is not there yet: nothing is accepted." in first.stderr
    assert "PARITY  GET /shelves/{shelf}/books: status" in first.stdout
    assert said.returncode == 0, said.stderr
    assert "PARITY  GET /shelves/{shelf}/books: status" not in again.stdout
    assert "PARITY  GET /shelves/{shelf}/books: body /count" in again.stdout
    assert late.returncode == 2
    assert len(yaml.safe_load((folder / "deviations.yaml").read_text("utf-8"))) == 1


def test_the_findings_come_as_json_junit_and_annotations_too(
    told: subprocess.CompletedProcess[str], folder: Path
) -> None:
    assert told.returncode == 1
    found = json.loads(run(folder, "report", "--format", "json").stdout)["findings"]

    suite = ElementTree.fromstring(run(folder, "report", "--format", "junit").stdout)  # noqa: S314
    annotations = run(folder, "report", "--format", "github").stdout.splitlines()

    assert suite.get("failures") == str(len(found))
    assert len(annotations) == len(found)
    assert all(line.startswith("::error title=") for line in annotations)


def test_a_line_for_each_finding_has_the_number_that_accepts_it(
    told: subprocess.CompletedProcess[str], folder: Path
) -> None:
    assert told.returncode == 1
    found = json.loads(run(folder, "report", "--format", "json").stdout)["findings"]

    lines = run(folder, "report", "--format", "lines").stdout.splitlines()

    assert [line.split()[:2] for line in lines] == [[each["case"], each["kind"]] for each in found]
    assert any(line.endswith("body /count: new differs from old (type)") for line in lines)


def test_only_what_begins_with_a_path_is_asked(sites: tuple[str, str], folder: Path) -> None:
    orders = {"/orders": {"get": {"responses": {"200": {"description": "Nobody answers this."}}}}}
    paths: dict[str, Any] = {**SHELF["paths"], **orders}  # type: ignore[dict-item]
    (folder / "more.yaml").write_text(yaml.safe_dump({**SHELF, "paths": paths}), "utf-8")
    command = ["check", sites[0], "--contract", "more.yaml", "--each", "8", "--report", "path.json"]

    everything, some = run(folder, *command), run(folder, *command, "--path", "/shelves/")

    assert everything.returncode == 1
    assert "GET /orders: status: first breaks its promise: 404" in run(folder, *command, "--format", "lines").stdout
    assert (some.returncode, some.stdout) == (0, "")
    assert "1 operation; 0 findings" in some.stderr


def test_the_recorder_passes_everything_on_and_writes_down_what_begins_with_a_path(
    sites: tuple[str, str], tmp_path: Path
) -> None:
    har = tmp_path / "traffic.har"

    with recorder(sites[0], har, path="/shelves/") as (url, count):
        answers = [httpx.get(f"{url}{path}") for path in ("/shelves/7/books", "/login/")]
        until(lambda: count() == 1, "it is written down")

    assert [answer.status_code for answer in answers] == [200, 404]
    assert [each.path for each in read_har(har.read_text("utf-8"))] == ["/shelves/7/books"]


@pytest.mark.parametrize(
    ("har", "port", "says"),
    [
        ("nowhere/x.har", "0", "nowhere/x.har: No such file or directory"),
        ("x.har", "taken", "cannot be used (Address already in use): choose another with --port"),
    ],
)
def test_a_recording_that_would_be_lost_does_not_begin(
    sites: tuple[str, str], folder: Path, har: str, port: str, says: str
) -> None:
    port = sites[0].rpartition(":")[2] if port == "taken" else port

    told = run(folder, "record", "--to", sites[0], "--har", har, "--port", port)

    assert told.returncode == 2
    assert says in told.stderr


def test_a_run_in_which_nothing_was_exercised_fails(sites: tuple[str, str], folder: Path) -> None:
    document = {**SHELF, "paths": {"/shelves": {"post": {"responses": {"201": {"description": "x"}}}}}}
    (folder / "writes.yaml").write_text(yaml.safe_dump(document), "utf-8")

    told = run(folder, "check", sites[0], "--contract", "writes.yaml", "--report", "none.json")

    assert told.returncode == 1
    assert "not one request was made, so nothing was shown" in told.stdout


def test_where_only_a_redirect_is_promised_it_is_a_success(folder: Path) -> None:
    class Moved(Old):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "/shelves/7/books")
            self.send_header("Content-Length", "0")
            self.end_headers()

    paths = {"/": {"get": {"responses": {"302": {"description": "To the books."}}}}}
    (folder / "moved.yaml").write_text(yaml.safe_dump({**SHELF, "paths": paths}), "utf-8")

    with serving(Moved) as site:
        told = run(folder, "check", site, "--contract", "moved.yaml", "--each", "4", "--report", "moved.json")

    assert (told.returncode, told.stdout) == (0, "")


def test_one_side_that_is_away_is_named_once(sites: tuple[str, str], folder: Path) -> None:
    told = run(folder, "diff", *both((sites[0], "http://127.0.0.1:1")), "--report", "away.json")

    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == "nobody answers at http://127.0.0.1:1: not one request was answered\n"


CHECKING = ("check", "http://127.0.0.1:1", "--contract", "openapi.yaml")
DECIDED = ("--reason", "r", "--owner", "o", "--consumers", "c", "--expires", "2027-01-01")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "http://127.0.0.1:1", "--contract", "openapi.yaml"], "nobody answers at http://127.0.0.1:1"),
        (["record", "--to", "http://127.0.0.1:1", "--har", "x.har"], "nobody answers at http://127.0.0.1:1"),
        (["record", "--to", "127.0.0.1:8001", "--har", "x.har"], '"127.0.0.1:8001" is no address'),
        (["check", "nowhere", "--contract", "openapi.yaml"], '"nowhere" is no address'),
        (["check", "http://127.0.0.1:1", "--contract", "missing.yaml"], "cannot be read"),
        (["check", "http://127.0.0.1:1", "--contract", "swagger.json"], "this is Swagger 2.0: convert it"),
        (["check", "swagger.json", "--contract", "openapi.yaml"], "this is Swagger 2.0: convert it"),
        (["check", "missing.json", "--contract", "openapi.yaml"], "missing.json cannot be read"),
        (["diff", "http://127.0.0.1:1", "--contract", "openapi.yaml"], "diff needs two addresses"),
        (["diff", "old.json", "new.json", "--contract", "openapi.yaml"], "to hold a document to the promise: check"),
        (["learn", "openapi.yaml"], "this is no HTTP Archive"),
        (["learn", "missing.har"], "missing.har: No such file or directory"),
        ([*CHECKING, "--format", "junitt"], "junitt is no format; there are text"),
        ([*CHECKING, "--report", "nowhere/x.json"], "nowhere/x.json cannot be written"),
        ([*CHECKING, "--consumers", "nowhere"], "'nowhere' does not exist"),
        (["learn", "latin.yaml"], "latin.yaml: byte 1 is no UTF-8: save it as UTF-8 text"),
        (["check", "http://127.0.0.1:1", "--contract", "latin.yaml"], "latin.yaml cannot be read: byte 1 is no UTF-8"),
        (["accept", "1", *DECIDED, "--deviations", "."], ".: Is a directory"),
        (["report", "swagger.json"], "this is no report: check and diff write one"),
        (["report", "missing.json"], "missing.json is not there: check and diff write it"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(folder: Path, arguments: list[str], says: str) -> None:
    (folder / "latin.yaml").write_bytes(b'"\xe9"')

    told = run(folder, *arguments)

    assert told.returncode == 2
    assert says in " ".join(told.stderr.replace("│", " ").split())
    assert "Traceback" not in told.stderr
