"""All cases, by group."""

from __future__ import annotations

from . import answers, bodies, connections, ends, faithful, heads, limits, odd, smuggling, streaming, websockets
from .case import Case

GROUPS: dict[str, list[Case]] = {
    "Targets": faithful.TARGETS,
    "Methods": faithful.METHODS,
    "Request headers": faithful.REQUEST_HEADERS,
    "Answer headers": bodies.ANSWER_HEADERS,
    "Bodies": bodies.BODIES,
    "Connections": connections.CONNECTIONS,
    "Streaming": streaming.STREAMING,
    "Ends": ends.ENDS,
    "WebSockets": websockets.WEBSOCKETS,
    "Transfer codings": smuggling.TRANSFER_CODINGS,
    "Lengths": smuggling.LENGTHS,
    "Chunks": smuggling.CHUNKS,
    "Heads": heads.HEADS,
    "Floods": limits.FLOODS,
    "Crowds": limits.CROWDS,
    "Stalls": limits.STALLS,
    "Bad answers": answers.ANSWERS,
    "Surplus answers": answers.SURPLUS,
    "Odd but clear": odd.ODD,
}
