"""Turns text into a vector without a model: hashed words, word pairs and character n-grams; similar texts lie near."""

import base64
import math
import struct
import zlib
from collections import Counter
from functools import lru_cache
from itertools import pairwise

from .words import STOP_WORDS, TOPICS, stem, words

DEFAULT_DIMENSIONS = 256
WORD, PAIR, PIECE, TOPIC = 1.0, 0.6, 0.18, 0.7  # how much each kind of feature weighs
STOP_WORD_WEIGHT = 0.03


def embed(text: str, dimensions: int = DEFAULT_DIMENSIONS) -> list[float]:
    """A unit vector; the same text always gives the same one, in every process."""
    return list(_embed(text, dimensions))


def as_base64(vector: list[float]) -> str:
    """Little-endian 32-bit floats, the encoding that the official client asks for by default."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")


@lru_cache(maxsize=4096)
def _embed(text: str, dimensions: int) -> tuple[float, ...]:
    vector = [0.0] * dimensions
    for feature, weight in _features(text).items():
        place, sign = _slot(feature, dimensions)
        vector[place] += sign * weight
    length = math.sqrt(sum(number * number for number in vector))
    if length == 0.0:  # no words at all: a fixed direction rather than a vector without one
        return (1.0, *[0.0] * (dimensions - 1))
    return tuple(number / length for number in vector)


def _features(text: str) -> dict[str, float]:
    stems = [(stem(word), word in STOP_WORDS) for word in words(text)]
    telling = [word for word, is_stop in stems if not is_stop]
    features: dict[str, float] = {}
    for word, count in Counter(telling).items():
        often = 1.0 + math.log(count)
        _add(features, f"w:{word}", WORD * _rarity(word) * often)
        for piece in _pieces(word):
            _add(features, f"p:{piece}", PIECE * often)
        for topic in _topics(word):
            _add(features, f"t:{topic}", TOPIC)
    for pair, count in Counter(pairwise(telling)).items():
        _add(features, f"b:{pair[0]} {pair[1]}", PAIR * (1.0 + math.log(count)))
    for word, is_stop in stems:
        if is_stop:
            _add(features, f"w:{word}", STOP_WORD_WEIGHT)
    return features


def _add(features: dict[str, float], feature: str, weight: float) -> None:
    features[feature] = features.get(feature, 0.0) + weight


def _rarity(word: str) -> float:
    """Long words and numbers are rarer than short ones, and tell more."""
    return min(1.6, 0.6 + 0.1 * len(word))


@lru_cache(maxsize=50_000)
def _pieces(word: str) -> tuple[str, ...]:
    padded = f"<{word}>"
    return tuple(padded[start : start + size] for size in (3, 4) for start in range(len(padded) - size + 1))


@lru_cache(maxsize=50_000)
def _topics(word: str) -> tuple[str, ...]:
    return tuple(topic for topic, marks in TOPICS.items() if word in marks)


@lru_cache(maxsize=200_000)
def _slot(feature: str, dimensions: int) -> tuple[int, float]:
    """Where a feature goes, and with which sign, so that features that share a place cancel on average."""
    digest = zlib.crc32(feature.encode())
    return digest % dimensions, 1.0 if zlib.adler32(feature[::-1].encode()) & 1 else -1.0
