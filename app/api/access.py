"""Who may call: the principal that an API key stands for, and the key that is made at the first start."""

import asyncio
import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import SecretStr

from app.stores.api_keys import ApiKeys, hash_key, new_key
from app.stores.http_idempotency import Begun, Busy, HttpIdempotencyStore
from app.stores.source import DEFAULT_TENANT

REMEMBERED_S = 5.0
MAX_REMEMBERED = 1000
_BEARER = re.compile(r"[!-~]{1,512}")


class Scope(StrEnum):
    """What a key may do: read, submit and cancel, or run what touches everyone's data."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


ALL_SCOPES = tuple(scope.value for scope in Scope)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls.

    Attributes:
        id: counted by the rate limit.
        tenant: owns the data.
        scopes: what is allowed.
        chatbot_id: when set, the only chatbot whose data may be touched.
    """

    id: str
    tenant: str
    scopes: frozenset[str]
    chatbot_id: str | None = None


class InvalidApiKeyError(ValueError):
    """`API_KEY` holds what a header cannot carry."""


class KeyRing:
    """The keys that open this service: the preset one, and those in the database, by their SHA-256.

    A plain SHA-256 is right for a key, and a slow hash would be wrong: a key of ours is 256 random bits, which
    nobody can guess however fast the hash is, and it is checked on every request. Slow hashes are for what
    people choose. The preset key is hashed in memory and never stored.

    Args:
        stored: the keys in the database.
        preset: `API_KEY`.

    Raises:
        InvalidApiKeyError: the preset key is empty, or not visible ASCII, or over 512 characters.
    """

    def __init__(self, stored: ApiKeys, preset: SecretStr | None = None) -> None:
        self._stored = stored
        self._preset_hash: str | None = None
        if preset is not None:
            if not _BEARER.fullmatch(preset.get_secret_value()):
                msg = "API_KEY must be 1 to 512 visible ASCII characters without spaces"
                raise InvalidApiKeyError(msg)
            self._preset_hash = hash_key(preset.get_secret_value())
        self._remembered: OrderedDict[str, tuple[float, Principal]] = OrderedDict()

    @property
    def has_preset(self) -> bool:
        """Whether `API_KEY` is set; then no key is made."""
        return self._preset_hash is not None

    async def find(self, key: str) -> Principal | None:
        """The caller with this key, or None.

        A key found in the database is remembered for five seconds, so a revoked one may work that much longer.

        Raises:
            StoreUnavailableError: the database does not answer.
        """
        digest = hash_key(key)
        if self._preset_hash is not None and hmac.compare_digest(self._preset_hash, digest):
            return Principal("preset", DEFAULT_TENANT, frozenset(ALL_SCOPES))
        known = self._remembered.get(digest)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        record = await self._stored.find(key)
        # The database compares hashes, whose timing tells nothing of the key; this compares in constant time.
        if record is None or not hmac.compare_digest(record.key_hash, digest):
            self._remembered.pop(digest, None)
            return None
        principal = Principal(record.id, record.tenant, frozenset(record.scopes), record.chatbot_id)
        self._remembered[digest] = (time.monotonic() + REMEMBERED_S, principal)
        self._remembered.move_to_end(digest)
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return principal


async def make_first_key(stored: ApiKeys, claims: HttpIdempotencyStore, announce: Callable[[str], None]) -> None:
    """Make a key when there is none at all, and give it to `announce`: the only time that it can be seen.

    When several API processes start at once, one makes the key and the others wait for it.

    Raises:
        StoreUnavailableError, RedisUnavailableError: no key was made; call again.
    """
    while await stored.count() == 0:
        match await claims.begin(("first-api-key",), "first-api-key", ""):
            case Begun() as claim:
                if await stored.count() == 0:
                    key = new_key()
                    await stored.add(key, name="first key", scopes=ALL_SCOPES)
                    announce(key)
                await claims.release(claim)
            case Busy():
                await asyncio.sleep(0.05)
            case _:
                return


def bearer(header: str | None) -> str | None:
    """The key in an `Authorization` header, or None when it holds none."""
    scheme, _, key = (header or "").partition(" ")
    key = key.strip()
    return key if scheme.lower() == "bearer" and _BEARER.fullmatch(key) else None
