"""An id carries its digest, and only such an id is taken for one."""

import pytest

from queues.errors import InvalidIdError
from queues.idempotency.key import digest_of, message_id, unique_digest


def test_an_id_carries_its_digest():
    digest = unique_digest()

    assert digest_of(message_id(digest)) == digest
    assert len({message_id(digest) for _ in range(100)}) == 100
    assert len({unique_digest() for _ in range(100)}) == 100


@pytest.mark.parametrize("change", [str.upper, lambda t: t[:-1], lambda t: t + "0", lambda t: t + "\n", str.strip])
def test_only_a_whole_id_is_an_id(change):
    text = message_id("ab" * 20)

    if change(text) == text:
        assert digest_of(text) == "ab" * 20
    else:
        with pytest.raises(InvalidIdError):
            digest_of(change(text))


@pytest.mark.parametrize("text", ["", "-", "x" * 53, "é" * 40 + "-" + "0" * 12, "٣" * 40 + "-" + "٣" * 12, "0" * 10**6])
def test_what_is_no_id_is_refused_with_a_short_message(text):
    with pytest.raises(InvalidIdError) as caught:
        digest_of(text)

    assert len(str(caught.value)) < 400
