"""The Lua scripts on a real Valkey do what `machine.py` states, whatever comes in whatever order."""

import uuid

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from queues.stores import scripts
from tests.contract.lockstep import NAMES, Lockstep, Model, load
from tests.contract.operations import ADVANCES_MS, Chooser

WALKS = 12
WALK_STEPS = 1_500


class SideBySide(RuleBasedStateMachine):
    """Each rule goes to both; the comparison follows each step."""

    client: redis.Redis

    @initialize()
    def begin_with_nothing(self) -> None:
        self.lockstep = Lockstep(self.client, f"test-{uuid.uuid4().hex[:12]}:")
        self.models = [Model(f"5c{digit * 38}", has_own_ids=digit == "b") for digit in "ab"]

    @rule(data=st.data(), which=st.integers(0, 1))
    def operate(self, data: st.DataObject, which: int) -> None:
        model = self.models[which]
        choose = Chooser(lambda options: data.draw(st.sampled_from(options)))
        self.lockstep.apply(model, choose.operation(model.record))

    @rule(data=st.data())
    def admit_together(self, data: st.DataObject) -> None:
        choose = Chooser(lambda options: data.draw(st.sampled_from(options)))
        self.lockstep.admit_together(choose.admissions(self.models))

    @rule(by_ms=st.sampled_from(ADVANCES_MS))
    def let_time_pass(self, by_ms: int) -> None:
        self.lockstep.clock.advance(by_ms)

    @rule(which=st.integers(0, 1))
    def expire(self, which: int) -> None:
        self.lockstep.expire(self.models[which])

    @invariant()
    def both_hold_the_same(self) -> None:
        if hasattr(self, "lockstep"):
            self.lockstep.settle()

    def teardown(self) -> None:
        if hasattr(self, "lockstep"):
            for model in self.models:
                self.client.delete(*self.lockstep.keys.of(model.digest))


@pytest.fixture
def loaded(valkey: redis.Redis) -> redis.Redis:
    load(valkey, [scripts.script(name).source for name in NAMES])
    return valkey


def test_any_sequence_of_operations_ends_alike_in_the_scripts_and_in_the_machine(loaded):
    machine = type("SideBySideHere", (SideBySide,), {"client": loaded})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=100,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("seed", range(WALKS))
def test_a_long_walk_ends_alike_in_the_scripts_and_in_the_machine(loaded, key_prefix, seed):
    lockstep = Lockstep(loaded, key_prefix)

    lockstep.walk(seed, WALK_STEPS)

    assert lockstep.clock.now_ms() > 0


@pytest.mark.parametrize("seed", range(WALKS))
def test_messages_that_are_admitted_together_end_as_if_each_were_by_itself(loaded, key_prefix, seed):
    lockstep = Lockstep(loaded, key_prefix)

    lockstep.walk_together(seed, WALK_STEPS)

    assert lockstep.clock.now_ms() > 0
