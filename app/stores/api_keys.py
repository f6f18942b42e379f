"""The collection of API keys. Only their SHA-256 is stored: a key is shown once, when it is made."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from app.stores.clock import Clock, utc_now
from app.stores.errors import RecordExistsError
from app.stores.mongo import Index, Mongo
from app.stores.paging import Page, PageKey
from app.stores.records import Records
from app.stores.source import DEFAULT_TENANT

COLLECTION = "api_keys"
INDEXES = (
    Index((("key_hash", 1),), unique=True),
    Index((("tenant", 1), ("created_at", -1), ("_id", -1))),
)
KEY_PREFIX = "oq_"
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that opens the API for one tenant."""

    id: str
    tenant: str
    name: str
    key_hash: str
    """SHA-256 of the key, in hex."""
    scopes: tuple[str, ...]
    created_at: datetime
    chatbot_id: str | None = None
    """When set, the key is for this chatbot alone."""
    revoked_at: datetime | None = None


def new_key() -> str:
    """A fresh key with 256 bits of chance, to be shown to its owner once."""
    return KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)


def hash_key(key: str) -> str:
    """SHA-256 of a key in hex.

    Without salt and stretching: a key of 256 random bits cannot be guessed, and it is looked up by its hash.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class ApiKeys:
    """The collection `api_keys`. Every method may raise StoreUnavailableError."""

    def __init__(self, mongo: Mongo, clock: Clock = utc_now) -> None:
        self._records = Records(mongo, COLLECTION, ApiKey, INDEXES)
        self._clock = clock

    async def add(
        self,
        key: str,
        *,
        name: str,
        scopes: tuple[str, ...],
        tenant: str = DEFAULT_TENANT,
        chatbot_id: str | None = None,
    ) -> ApiKey:
        """Store a key by its hash; the record. A key that is stored already gives its record unchanged.

        So several processes may preset the same key at start.

        Raises:
            RecordExistsError: the key is stored for another tenant.
        """
        key_hash = hash_key(key)
        record = ApiKey(
            id=f"key_{key_hash[:32]}",
            tenant=tenant,
            name=name,
            key_hash=key_hash,
            scopes=scopes,
            created_at=self._clock(),
            chatbot_id=chatbot_id,
        )
        try:
            await self._records.insert(record)
        except RecordExistsError:
            stored = await self._records.get({"key_hash": key_hash, "tenant": tenant})
            if stored is None:
                raise
            return stored
        return record

    async def find(self, key: str) -> ApiKey | None:
        """The record of this key; None when there is none or it was revoked."""
        record = await self._records.get({"key_hash": hash_key(key)})
        return None if record is None or record.revoked_at is not None else record

    async def list(self, tenant: str, *, limit: int = 50, after: PageKey | None = None) -> Page[ApiKey]:
        """One page of a tenant's keys, newest first, revoked ones too.

        Raises:
            ValueError: `limit` is not between 1 and `MAX_PAGE_RECORDS`.
        """
        return await self._records.page({"tenant": tenant}, limit, after)

    async def count(self) -> int:
        """How many keys of all tenants are not revoked; 0 at the first start."""
        return await self._records.count({"revoked_at": None})

    async def revoke(self, tenant: str, key_id: str) -> bool:
        """Make the key open nothing from now on; whether it did before."""
        return await self._records.update(
            {"_id": key_id, "tenant": tenant, "revoked_at": None},
            {"$set": {"revoked_at": self._clock()}},
        )
