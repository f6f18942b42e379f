"""The command that admits and publishes a message, as it travels to a server.

Most of its twenty words are the same for every message of a task. They are packed once, with holes for the others:
packed word by word, the command took a sixth of what a submission computes in this process.
"""

from functools import lru_cache
from typing import Any

from queues.idempotency.key import DIGEST_HEX
from queues.idempotency.publication import Publication
from queues.idempotency.state import Admit
from queues.stores import scripts
from queues.stores.scripts import Keys
from queues.stores.stencil import Stencil

DIGEST = "\0digest".ljust(DIGEST_HEX, "\0")
SHARD = f"{{{DIGEST[:2]}}}"
WORDS: tuple[Any, ...] = tuple(f"\0{name}" for name in ("fingerprint", "owner", "message", "help", "entry", "payload"))
"""In the place of words that are each message's own."""
MARKS = [mark.encode() for mark in (DIGEST, SHARD, *WORDS)]


def packed_admission(keys: Keys, digest: str, admit: Admit, publication: Publication) -> bytes:
    """What `single_server.packed` makes of the command of `scripts.call`, for a plain message."""
    place = (publication.list_key, publication.is_left, publication.hash_key)
    words = (
        *(digest.encode(), b"{%b}" % digest[:2].encode(), admit.fingerprint.encode(), admit.message_id.encode()),
        *(admit.message, b"%d" % admit.help_after_ms, publication.entry, publication.payload),
    )
    return _stencil(keys.prefix, bool(admit.fingerprint), admit.ttl_ms, *place).filled(words)


@lru_cache(maxsize=1024)
def _stencil(prefix: str, has_fingerprint: bool, ttl_ms: int, list_key: str, is_left: bool, hash_key: str) -> Stencil:
    fingerprint, owner, message, help_after, entry, payload = WORDS
    published = Publication(list_key, entry, is_left, hash_key, payload)
    alike = Admit(fingerprint if has_fingerprint else "", owner, message, help_after, ttl_ms, published)
    return Stencil(scripts.call(Keys(prefix), DIGEST, alike).command, MARKS, sized=2)
