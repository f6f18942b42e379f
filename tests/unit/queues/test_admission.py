"""The command that is made of a template is the one that is packed word by word."""

import pytest

from queues.idempotency.key import message_id, unique_digest
from queues.idempotency.publication import Publication
from queues.idempotency.state import Admit, Duplicate
from queues.stores import scripts
from queues.stores.admission import packed_admission
from queues.stores.scripts import Keys
from queues.stores.single_server import packed

ENTRY = '{"body": "100 % é", "%b": "%.2b"}'.encode()
PUBLICATIONS = [
    Publication("default", ENTRY, is_left=True),
    Publication("Aufträge 100%\x06\x163", b"", is_left=True),
    Publication("dramatiq:default", b"id", is_left=False, hash_key="dramatiq:default.msgs", payload=ENTRY),
    Publication("dramatiq:%b.2b:1", b"id", is_left=False, hash_key="dramatiq:%b.msgs", payload=b""),
]


@pytest.mark.parametrize("publication", PUBLICATIONS, ids=repr)
@pytest.mark.parametrize("prefix", ["", "app:", "100%b:ü:"])
@pytest.mark.parametrize("fingerprint", ["", "ab" * 16])
def test_a_command_is_the_one_that_is_packed_word_by_word(publication, prefix, fingerprint):
    for help_after_ms in (0, 999, 3_600_000):
        digest, keys = unique_digest(), Keys(prefix)
        admit = Admit(fingerprint, message_id(digest), b'{"v":1,"%d":"%b"}', help_after_ms, 60_000, publication)

        made = packed_admission(keys, digest, admit, publication)

        assert made == packed(scripts.call(keys, digest, admit).command)


WISHES = [{"duplicate": Duplicate.REPLACE}, {"quiet_ms": 1}, {"is_held": True}, {"begin_by_ms": 1}]


@pytest.mark.parametrize("wish", WISHES, ids=repr)
def test_a_message_with_a_wish_is_not_plain(wish):
    assert Admit("", "id", b"", 0, 0).is_plain
    assert not Admit("", "id", b"", 0, 0, **wish).is_plain
