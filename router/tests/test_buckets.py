"""A caller is always on the same side, and raising a percentage moves nobody back."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ..buckets import is_inside, murmur2

KEYS = st.binary(max_size=40)
PERCENTS = st.integers(0, 10_000).map(lambda share: share / 100)


def plain_murmur2(key: bytes) -> int:
    """MurmurHash2 as its author describes it, one step after another; seed = length."""
    m, h, tail = 0x5BD1E995, len(key), key[len(key) & ~3 :]
    for (k,) in struct.iter_unpack("<I", key[: len(key) & ~3]):
        k = (k * m) % 2**32
        k = ((k ^ (k >> 24)) * m) % 2**32
        h = ((h * m) % 2**32) ^ k
    if len(tail) == 3:
        h ^= tail[2] << 16
    if len(tail) >= 2:
        h ^= tail[1] << 8
    if len(tail) >= 1:
        h = ((h ^ tail[0]) * m) % 2**32
    h = ((h ^ (h >> 13)) * m) % 2**32
    return h ^ (h >> 15)


@given(st.binary(max_size=100))
def test_the_hash_is_murmur2(key: bytes) -> None:
    assert murmur2(key) == plain_murmur2(key)


@pytest.mark.parametrize("key", [b"", b"\0", b"a", b"ab", b"abc", b"abcd", b"abcde", b"\xff" * 7, b"sessionid"])
def test_the_hash_is_murmur2_for_every_length_of_tail(key: bytes) -> None:
    assert murmur2(key) == plain_murmur2(key)


@given(KEYS, PERCENTS, PERCENTS)
def test_raising_the_percentage_moves_nobody_back(key: bytes, one: float, other: float) -> None:
    low, high = sorted((one, other))

    assert is_inside(key, high) or not is_inside(key, low)


@given(KEYS)
def test_nobody_is_inside_none_and_everybody_inside_all(key: bytes) -> None:
    assert not is_inside(key, 0)
    assert is_inside(key, 100)


@pytest.mark.parametrize("percent", [0.01, 0.29, 1, 10, 33.33, 50, 57.3, 99.99])
def test_the_share_is_the_percentage(percent: float) -> None:
    count, share = 5_000, percent / 100
    inside = sum(
        is_inside(b"ticket-summary" + b"%032x" % (number * 0x9E3779B97F4A7C15), percent) for number in range(count)
    )

    # Five standard deviations of a binomial share; the keys never change, so neither does the outcome.
    assert abs(inside - count * share) <= 5 * math.sqrt(count * share * (1 - share)) + 1


def test_another_salt_parts_the_callers_anew() -> None:
    keys = [b"%d" % number for number in range(10_000)]
    one = {key for key in keys if is_inside(b"a" + key, 10)}
    other = {key for key in keys if is_inside(b"b" + key, 10)}

    assert 50 < len(one & other) < 150
