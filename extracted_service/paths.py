"""A word for path patterns: `{ticket_id:digits}` matches what Django's `<int:…>` matches.

Starlette's own `int` lets a number through that Python refuses to read (more than 4300 digits), which ends in a 500.
"""

from starlette.convertors import Convertor, register_url_convertor

DIGITS = "digits"


class Digits(Convertor[int]):
    regex = "[0-9]{1,4300}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


# At import, because a route's pattern is compiled when the route is declared.
register_url_convertor(DIGITS, Digits())
