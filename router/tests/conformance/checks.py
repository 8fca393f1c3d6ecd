"""What a case may want, as small pure functions of what was seen."""

from __future__ import annotations

from .case import Check, Seen


def every(*checks: Check) -> Check:
    return lambda seen: next((complaint for check in checks if (complaint := check(seen))), "")


def either(*checks: Check) -> Check:
    """One of several acceptable outcomes."""

    def check(seen: Seen) -> str:
        complaints = [check(seen) for check in checks]
        return "" if "" in complaints else " / ".join(complaints)

    return check


# --- what the caller gets


def refused(*statuses: int) -> Check:
    """One such answer, or none, then the end; no whole request reached the origin."""

    def check(seen: Seen) -> str:
        if whole := [each.line for each in seen.asked if each.is_whole]:
            return f"forwarded {whole}"
        if len(seen.answers) > 1 or seen.rest:
            return "answered more than once"
        if not seen.is_closed:
            return "the connection stays open"
        if seen.answers and seen.answers[0].status not in statuses:
            return f"refused with {seen.answers[0].status}"
        return ""

    return check


def unasked(*statuses: int) -> Check:
    """So answered by the target itself; the connection may be kept."""
    return every(got(*statuses), asked(0))


def got(*statuses: int) -> Check:
    """These final statuses can come as the first answer, whole."""

    def check(seen: Seen) -> str:
        if not seen.answers:
            return "no answer"
        first = seen.answers[0]
        return "" if first.status in statuses and first.is_whole else f"got {first.status}"

    return check


def answered(count: int) -> Check:
    def check(seen: Seen) -> str:
        whole = sum(each.is_whole for each in seen.answers)
        return "" if whole == count == len(seen.answers) and not seen.rest else f"{whole} whole answers, not {count}"

    return check


def body(wanted: bytes) -> Check:
    def check(seen: Seen) -> str:
        return "" if seen.answers and seen.answers[0].body == wanted else "another body for the caller"

    return check


def header(name: bytes, *values: bytes) -> Check:
    """Exactly these values, in this order; none for a header that must not be there."""

    def check(seen: Seen) -> str:
        found = seen.answers[0].values(name) if seen.answers else None
        return "" if found == list(values) else f"the caller's {name.decode()} is {found}"

    return check


def closed(seen: Seen) -> str:
    return "" if seen.is_closed else "the caller's connection is kept"


def kept(seen: Seen) -> str:
    return "the caller's connection is closed" if seen.is_closed else ""


def cut(seen: Seen) -> str:
    """The answer that began has no end that looks like one."""
    if not seen.is_closed:
        return "the caller's connection is kept"
    if any(each.is_whole and each.status < 500 for each in seen.answers):
        return "the caller takes it for a whole answer"
    return ""


# --- what the origin saw


def asked(count: int) -> Check:
    def check(seen: Seen) -> str:
        whole = sum(each.is_whole for each in seen.asked)
        return "" if whole == count == len(seen.asked) else f"the origin saw {whole} whole requests, not {count}"

    return check


def line(wanted: bytes) -> Check:
    def check(seen: Seen) -> str:
        found = seen.asked[0].line if seen.asked else None
        return "" if found == wanted else f"the origin's request line is {found!r}"

    return check


def sent(name: bytes, *values: bytes) -> Check:
    """The origin saw exactly these values, in this order; none for a header that must not be there."""

    def check(seen: Seen) -> str:
        found = seen.asked[0].values(name) if seen.asked else None
        return "" if found == list(values) else f"the origin's {name.decode()} is {found}"

    return check


def never_sent(value: bytes) -> Check:
    """Nowhere in a head."""

    def check(seen: Seen) -> str:
        return "forwarded what it must not" if any(value in each.head for each in seen.asked) else ""

    return check


def carried(wanted: bytes) -> Check:
    """The origin got this body, whole, framed in exactly one way (RFC 9112 §6.3)."""

    def check(seen: Seen) -> str:
        if not seen.asked or not seen.asked[0].is_whole:
            return "no whole request at the origin"
        first = seen.asked[0]
        framings = len(first.values(b"content-length")) + len(first.values(b"transfer-encoding"))
        if framings > 1:
            return "framed in two ways"
        return "" if first.body == wanted else f"the origin's body is {first.body[:60]!r}"

    return check


def no_smuggling(seen: Seen) -> str:
    """What hides in a body, or behind it, never becomes a request that the caller did not plainly make."""
    return next(("a request was smuggled" for each in seen.asked if b"/smuggled" in each.line), "")
