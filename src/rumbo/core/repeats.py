"""A producer's repeat is known by its id: of each customer's last ones some bytes are kept. It changes nothing but what is kept.

An entry is 8 bytes of the id's hash and 2 of the body's (XXH3, Collet: <https://xxhash.com>; not made against an attacker, who could as
well send the id itself again). Formats 1 to 3 hashed by BLAKE2b and CRC-32: what they kept is looked through until newer ids have
taken its place.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, Literal
from zlib import crc32

from xxhash import xxh3_64_digest

from rumbo.core.interaction import Interaction
from rumbo.core.profile import Profile

ID_BYTES: Final = 8
ENTRY: Final = 10
Again = Literal["duplicate", "duplicate_conflict"]
"""The same id with the same body, or with another one."""


def fingerprint(event: Interaction) -> bytes:
    """What is kept of an interaction: it is hashed once, for however many versions it is stepped by."""
    made = event.fingerprint
    if not made:
        made = event.fingerprint = (
            xxh3_64_digest(event.id.encode()) + xxh3_64_digest(event.properties_raw, event.at)[:2]
        )
    return made


def knows(profile: Profile, event: Interaction) -> bool:
    """Whether this id is among the last ones."""
    return _place(profile.ring, fingerprint(event)[:ID_BYTES]) >= 0 or _by_earlier(profile, event) is not None


def note(profile: Profile, event: Interaction, room: int) -> Again | None:
    """Keep this id among the last ones, which take *room* bytes at most; what it repeats, where it is one of them already."""
    entry = event.fingerprint or fingerprint(event)
    digest, ring = entry[:ID_BYTES], profile.ring
    found = _place(ring, digest) if digest in ring else -1
    if found >= 0:
        return "duplicate" if ring[found : found + ENTRY] == entry else "duplicate_conflict"
    if profile.older:
        again = _by_earlier(profile, event)
        if again is not None:
            return again
        left = room - len(ring) - ENTRY
        profile.older = profile.older[-left:] if left > 0 else b""
    ring += entry
    profile.ring = ring if len(ring) <= room else ring[-room:]
    return None


def of_earlier(event: Interaction) -> bytes:
    """What formats 1 to 3 kept of an interaction."""
    body = crc32(event.properties_raw, event.at) & 0xFFFF  # the instant's low 32 bits count
    return blake2b(event.id.encode(), digest_size=ID_BYTES).digest() + body.to_bytes(2, "big")


def _by_earlier(profile: Profile, event: Interaction) -> Again | None:
    """What it repeats of what an earlier format has kept."""
    older = profile.older
    if not older:
        return None
    entry = of_earlier(event)
    found = _place(older, entry[:ID_BYTES])
    if found < 0:
        return None
    return "duplicate" if older[found : found + ENTRY] == entry else "duplicate_conflict"


def _place(ring: bytes, digest: bytes) -> int:
    """Where an id's hash stands among the last ones; negative where it does not."""
    found = ring.find(digest)
    while found >= 0 and found % ENTRY:  # by chance, across two entries
        found = ring.find(digest, found + 1)
    return found
