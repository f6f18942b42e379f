"""The limits' scripts are the pure functions of `queues.limits`, and a wrong edit of one is noticed."""

import hashlib

import pytest
import redis

from queues.stores import redis_limiter
from queues.stores.scripts import Script, script
from tests.contract.limiter_walk import WRONG_EDITS, first_difference


@pytest.mark.parametrize("seed", range(8))
def test_the_scripts_are_the_pure_functions(valkey_url: str, key_prefix: str, seed: int):
    assert first_difference(valkey_url, key_prefix, seed) is None


@pytest.mark.parametrize(("name", "old", "new"), WRONG_EDITS)
def test_a_wrong_edit_of_a_script_is_noticed(valkey_url, key_prefix, monkeypatch, name: str, old: str, new: str):
    source = script(name).source
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {name}.lua"
    edited = source.replace(old, new)
    mutant = Script(name, edited, hashlib.sha1(edited.encode(), usedforsecurity=False).hexdigest())
    monkeypatch.setattr(redis_limiter, "script", lambda wanted: mutant if wanted == name else script(wanted))
    with redis.Redis.from_url(valkey_url) as client:
        client.script_load(edited)

    assert any(first_difference(valkey_url, f"{key_prefix}{seed}:", seed) for seed in range(24))
