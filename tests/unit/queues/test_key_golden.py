"""Keys pinned for good: a new version of the algorithm must go on reading the old ones."""

import hashlib
import json
from pathlib import Path

import pytest

from queues.idempotency.key import argument_digest, canonical, explicit_digest, fingerprint
from tests.unit.queues.golden_cases import VALUES

GOLDEN = json.loads((Path(__file__).parent / "golden_keys.json").read_text("utf-8"))


@pytest.mark.parametrize("name", VALUES)
def test_the_canonical_bytes_and_the_key_of_a_value_are_pinned(name):
    pinned = GOLDEN[name]

    assert canonical(VALUES[name]).hex() == pinned["canonical_hex"]
    assert argument_digest("app.tasks.golden", "1", "tenant", {"value": VALUES[name]}) == pinned["argument_digest"]
    assert explicit_digest("app.tasks.golden", "1", "tenant", VALUES[name]) == pinned["explicit_digest"]
    assert fingerprint({"value": VALUES[name]}) == pinned["fingerprint"]


def test_every_pinned_key_has_its_case():
    assert set(GOLDEN) == set(VALUES)


def test_a_key_can_be_computed_by_hand():
    head = b"l4:s17:onceq 1 argumentss16:app.tasks.goldens1:1s6:tenant"
    by_hand = hashlib.sha256(head + b"m1:s5:valuei1:1").hexdigest()[:40]

    assert GOLDEN["one"]["argument_digest"] == by_hand
    assert argument_digest("app.tasks.golden", "1", "tenant", {"value": 1}) == by_hand
