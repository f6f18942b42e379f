"""Signed cursors: where a list goes on, in a text that a client can keep and cannot change."""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from app.api.errors import Fault, ProblemError
from app.settings import Settings

_TAG_BYTES = 16
_SECRET_BYTES = 32
_FILE = "secret.key"


class CursorSigner:
    """Makes and reads cursors.

    A cursor is bound to its list and its owner, so that one list's cursor is refused by another.

    Args:
        secret: at least 32 random bytes; every process that serves the same clients needs the same.
    """

    def __init__(self, secret: bytes) -> None:
        self._key = hashlib.blake2b(secret, digest_size=32, person=b"cursor").digest()

    def sign(self, purpose: str, position: str) -> str:
        """The cursor for `position` in the list that `purpose` names."""
        content = position.encode()
        return base64.urlsafe_b64encode(self._tag(purpose, content) + content).rstrip(b"=").decode()

    def read(self, purpose: str, cursor: str) -> str:
        """The position in a cursor of ours.

        Raises:
            ProblemError: 400, the cursor is not ours, was changed, or is another list's.
        """
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _refused() from None
        tag, content = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(purpose, content)):
            raise _refused()
        return content.decode()

    def _tag(self, purpose: str, content: bytes) -> bytes:
        message = purpose.encode() + b"\x00" + content
        return hmac.digest(self._key, message, "sha256")[:_TAG_BYTES]


def open_signer(settings: Settings) -> CursorSigner:
    """The signer with `SECRET_KEY`, else with a secret made once and kept in the data folder (mode 0600)."""
    if settings.secret_key is not None:
        return CursorSigner(settings.secret_key.get_secret_value().encode())
    path = settings.data_dir / _FILE
    if not path.exists():
        _create_private(path, secrets.token_bytes(_SECRET_BYTES))
    return CursorSigner(path.read_bytes())


def _create_private(path: Path, content: bytes) -> None:
    """Make a file that only its owner reads, whole or not at all; another process may have been first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: it fails when the file is there, and nobody sees half a file.
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def _refused() -> ProblemError:
    detail = "The cursor is not one that this list gave out. Start again without it."
    fault = Fault("query/cursor", "not a cursor of this list")
    return ProblemError(400, "invalid-cursor", detail, faults=[fault])
