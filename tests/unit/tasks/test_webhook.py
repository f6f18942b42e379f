import hashlib
import hmac

from app.fetch.address import AddressPolicy
from app.tasks.webhook import Webhook, sign


def test_the_signature_is_hmac_sha256_over_time_and_body():
    expected = hmac.new(b"secret", b'1700000000.{"a":1}', hashlib.sha256).hexdigest()

    assert sign(b"secret", 1_700_000_000, b'{"a":1}') == f"v1={expected}"


def test_the_signature_changes_with_time_body_and_secret():
    made = {sign(secret, at, body) for secret in (b"a", b"b") for at in (1, 2) for body in (b"x", b"y")}

    assert len(made) == 8


def test_the_secret_is_not_in_the_representation():
    assert "hush" not in repr(Webhook("http://a/", b"hush", AddressPolicy()))
