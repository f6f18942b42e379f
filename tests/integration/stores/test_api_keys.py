import asyncio

import pytest

from app.stores.api_keys import hash_key, new_key
from app.stores.errors import RecordExistsError


def test_a_key_opens_what_it_was_made_for(run):
    key = new_key()

    async def scenario(stores):
        made = await stores.api_keys.add(key, name="ci", scopes=("read", "write"), tenant="t1")
        return made, await stores.api_keys.find(key), await stores.api_keys.find(key + "x")

    made, found, other = run(scenario)

    assert found == made
    assert (found.tenant, found.scopes) == ("t1", ("read", "write"))
    assert other is None


def test_only_the_hash_is_stored(run):
    key = new_key()

    async def scenario(stores):
        await stores.api_keys.add(key, name="ci", scopes=("read",))
        return await stores.mongo.collection("api_keys").find({}, limit=10)

    stored = run(scenario)

    assert key not in str(stored)
    assert hash_key(key) in str(stored)


def test_a_preset_key_may_be_added_by_many_processes(run):
    async def scenario(stores):
        await asyncio.gather(*[stores.api_keys.add("oq_preset", name="preset", scopes=()) for _ in range(4)])
        return await stores.api_keys.count()

    assert run(scenario) == 1


def test_a_key_of_another_tenant_is_not_taken_over(run):
    async def scenario(stores):
        await stores.api_keys.add("oq_one", name="a", scopes=(), tenant="t1")
        with pytest.raises(RecordExistsError):
            await stores.api_keys.add("oq_one", name="b", scopes=("admin",), tenant="t2")
        return await stores.api_keys.find("oq_one")

    assert run(scenario).tenant == "t1"


def test_a_revoked_key_opens_nothing(run):
    async def scenario(stores):
        keys = stores.api_keys
        made = await keys.add("oq_one", name="a", scopes=(), tenant="t1")
        revoked = [await keys.revoke(tenant, made.id) for tenant in ("t2", "t1", "t1")]
        return revoked, await keys.find("oq_one"), await keys.count(), await keys.list("t1")

    revoked, found, count, page = run(scenario)

    assert revoked == [False, True, False]
    assert (found, count) == (None, 0)
    assert page.items[0].revoked_at is not None


@pytest.mark.parametrize("key", ["", "\ud800", "x" * 100_000])
def test_a_strange_key_opens_nothing(run, key):
    async def scenario(stores):
        return await stores.api_keys.find(key)

    assert run(scenario) is None
