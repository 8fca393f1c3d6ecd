"""The helpdesk's terms: its promise, its deviations, its consumers, its examples; and what fills the examples in."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contract_tests.caller import Agent
from contract_tests.contractkit import consumers, deviations, examples
from contract_tests.contractkit.document import Operation, load
from contract_tests.contractkit.holding import Terms

CONTRACT = Path(__file__).parent / "contract"
TODAY = datetime.now(UTC).date
LEAD, AGENT, VIEWER, STRANGER, NOBODY = "maya", "jonas", "otto", "kwame", None
JOB_SECONDS = 60


def helpdesk() -> Terms:
    """Raises what is wrong with one of the files."""
    return Terms(
        load(CONTRACT / "openapi.yaml"),
        deviations.load(CONTRACT / "deviations.yaml"),
        consumers.load_all(CONTRACT / "consumers"),
    )


def helpdesk_examples() -> tuple[examples.Example, ...]:
    return examples.load(CONTRACT / "examples" / "helpdesk.yaml")


def known_names(site: str) -> dict[str, Any]:
    """What stands for the names in braces, asked for at a monolith with the sample data."""
    with Agent(site, LEAD) as lead, Agent(site, STRANGER) as stranger:
        own = lead.get("/api/tickets?page_size=1")["results"][0]
        job = lead.ask("POST", "/api/articles/reindex").json()["id"]
        deadline = time.monotonic() + JOB_SECONDS
        while lead.get(f"/api/articles/reindex/{job}")["status"] != "done":
            if time.monotonic() > deadline:
                raise TimeoutError(f"the rebuild {job} was not done within {JOB_SECONDS} s")
            time.sleep(0.05)
        return {
            "own": own["id"],
            "customer": own["customer"]["id"],
            "other": stranger.get("/api/tickets?page_size=1")["results"][0]["id"],
            "article": lead.get("/api/articles?page_size=1")["results"][0]["slug"],
            "job": job,
        }


def good_request(operation: Operation, known: tuple[examples.Example, ...]) -> examples.Example:
    """The first example of an operation that succeeds."""
    return next(each for each in known if each.operation == operation.name and each.status is None)


def path_values(operation: Operation, names: dict[str, Any]) -> dict[str, list[Any]]:
    """Values that there are, for parameters in an operation's path."""
    ids = [names["job"]] if "reindex" in operation.path else [names["own"], names["other"]]
    return {"id": ids, "slug": [names["article"]]}
