"""The gate: a script with a small wrong edit does not pass for the machine."""

import hashlib
from importlib import resources

import pytest
import redis

from queues.stores import scripts
from queues.stores.scripts import Script
from tests.contract import directed
from tests.contract.lockstep import NAMES, DivergenceError, Lockstep, load
from tests.contract.mutations import MUTATIONS, Mutation

SEEDS = (3, 7, 8)
STEPS = 1_000


def test_the_scripts_pass_what_the_mutants_must_not(valkey, key_prefix):
    load(valkey, [scripts.script(name).source for name in NAMES])

    assert not is_noticed(valkey, key_prefix, {})


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_wrong_edit_of_a_script_is_noticed(valkey, key_prefix, mutation):
    sources = mutated(mutation)
    load(valkey, [(sources.get(name) or scripts.script(name)).source for name in NAMES])

    noticed = is_noticed(valkey, key_prefix, sources)

    assert noticed is not bool(mutation.why_unseen)


def is_noticed(client: redis.Redis, prefix: str, sources: dict[str, Script]) -> bool:
    """Whether the stories, or a walk, tell these scripts from the machine."""
    try:
        directed.every_story(Lockstep(client, f"{prefix}story:", sources))
        for seed in SEEDS:
            Lockstep(client, f"{prefix}long-{seed}:", sources).walk(100 + seed, STEPS)
    except (DivergenceError, redis.exceptions.ResponseError, ValueError):
        return True
    return False


def mutated(mutation: Mutation) -> dict[str, Script]:
    """The scripts that the edit changes: a part stands in several."""
    folder = resources.files("queues") / "scripts"
    texts = {name: (folder / f"{name}.lua").read_text("utf-8") for name in (*scripts.PARTS, *NAMES)}
    count = texts[mutation.file].count(mutation.old)
    assert count == 1, f"{mutation.old!r} stands {count} times in {mutation.file}.lua: bring mutations.py up to date"
    texts[mutation.file] = texts[mutation.file].replace(mutation.old, mutation.new)
    changed = [name for name in NAMES if mutation.file in scripts.parts(name)]
    made = {}
    for name in changed:
        source = "".join(texts[part] for part in scripts.parts(name))
        made[name] = Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())
    return made
