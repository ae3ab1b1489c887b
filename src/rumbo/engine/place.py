"""Which partition a key belongs to, as the Java client's default partitioner places it. It knows no topic."""

from __future__ import annotations

from typing import Final

_SEED: Final = 0x9747B28C
_MIX: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF


def place_of(key: bytes, partitions: int) -> int:
    """The partition of a key."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(key: bytes) -> int:
    """MurmurHash2 (Austin Appleby, public domain) with Kafka's seed, as an unsigned 32-bit number; a word at a time, not a byte."""
    size = len(key)
    hashed = _SEED ^ size
    whole = size & ~3
    for at in range(0, whole, 4):
        mixed = int.from_bytes(key[at : at + 4], "little") * _MIX & _WORD
        hashed = (hashed * _MIX & _WORD) ^ ((mixed ^ mixed >> 24) * _MIX & _WORD)
    if whole < size:
        hashed = (hashed ^ int.from_bytes(key[whole:], "little")) * _MIX & _WORD
    hashed = (hashed ^ hashed >> 13) * _MIX & _WORD
    return hashed ^ hashed >> 15
