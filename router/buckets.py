"""Which side of a split a caller is on: the same side as nginx's `split_clients` puts them.

nginx hashes the key with 32-bit MurmurHash2 and compares the hash with a share of 2³²−1
(`ngx_http_split_clients_module`; shares have two decimals). Because the share only ever moves the limit,
raising a percentage moves nobody back, and no process needs to remember anybody.
Source of the hash: Austin Appleby's MurmurHash2, 32 bits, seed = length, as nginx uses it.
"""

from __future__ import annotations

_MASK = 0xFFFFFFFF
_MULTIPLIER = 0x5BD1E995


def is_inside(key: bytes, percent: float) -> bool:
    """Whether `key` (salt and caller together) belongs to the first `percent` (0–100, two decimals) of callers."""
    if percent >= 100:
        return True
    return murmur2(key) < round(percent * 100) * _MASK // 10_000


def murmur2(key: bytes) -> int:
    """32-bit MurmurHash2 of `key`, seeded with its length."""
    length = len(key)
    value = length & _MASK
    whole = length & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(key[start : start + 4], "little") * _MULTIPLIER & _MASK
        word = (word ^ word >> 24) * _MULTIPLIER & _MASK
        value = value * _MULTIPLIER & _MASK ^ word
    if length & 3:
        value = (value ^ int.from_bytes(key[whole:], "little")) * _MULTIPLIER & _MASK
    value = (value ^ value >> 13) * _MULTIPLIER & _MASK
    return value ^ value >> 15
