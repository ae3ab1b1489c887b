"""Which partition a key belongs to, as the Java client's default partitioner places it. It knows no topic."""

from __future__ import annotations

from typing import Final

from murmurhash2 import murmurhash2

_SEED: Final = 0x9747B28C


def place_of(key: bytes, partitions: int) -> int:
    """The partition of a key."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(key: bytes) -> int:
    """MurmurHash2 (Austin Appleby, public domain) with Kafka's seed, as an unsigned 32-bit number."""
    return murmurhash2(key, _SEED)
