"""Our JSON and Django's, of the same objects."""

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from hypothesis import given
from hypothesis import strategies as st

from extracted_service.answers import dumps

INDIA = timezone(timedelta(hours=5, minutes=30))


@given(
    st.datetimes(timezones=st.sampled_from([None, UTC, INDIA]))
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)
def test_values_are_written_as_django_writes_them(value: Any) -> None:
    assert dumps({"value": value}) == json.dumps({"value": value}, cls=DjangoJSONEncoder)


def test_an_answer_has_djangos_spaces_escapes_and_milliseconds() -> None:
    answer = {
        "at": datetime(2026, 1, 5, 9, 30, 12, 123999, UTC),
        "whole": datetime(2026, 1, 5, 9, 30, 12, 0, UTC),
        "day": date(2026, 1, 5),
        "time": time(9, 30, 12, 123999),
        "for": timedelta(hours=1, microseconds=4),
        "price": Decimal("10.50"),
        "id": UUID(int=5),
        "text": "é\u2028",
    }

    assert dumps(answer) == (
        '{"at": "2026-01-05T09:30:12.123Z", "whole": "2026-01-05T09:30:12Z", "day": "2026-01-05", '
        '"time": "09:30:12.123", "for": "P0DT01H00M00.000004S", "price": "10.50", '
        '"id": "00000000-0000-0000-0000-000000000005", "text": "\\u00e9\\u2028"}'
    )


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), object(), time(9, tzinfo=UTC)], ids=["nan", "infinity", "object", "time"]
)
def test_what_is_no_json_is_never_sent(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        dumps(value)
