"""The protocol, explored: what must hold holds in every state, and what must break breaks."""

import pytest

from tests.model import rows
from tests.model.explorer import TooManyStatesError, verdicts
from tests.model.model import Model
from tests.model.setup import OURS
from tests.model.world import LOST_WORK


def params(group):
    return [pytest.param(row, id=row.name, marks=[pytest.mark.slow] if row.is_deep else []) for row in group]


@pytest.mark.parametrize("row", params(rows.KEPT))
def test_every_property_holds_in_every_state(row):
    found = verdicts(Model(row.setup, row.protocol), row.judged)

    assert found.traces == {}


@pytest.mark.parametrize("row", params((*rows.BROKEN, *rows.LIMITS)))
def test_a_wrong_protocol_is_broken(row):
    found = verdicts(Model(row.setup, row.protocol), row.judged)

    assert found.traces.keys() >= set(row.breaks)


def test_a_trace_is_a_way_from_the_start_in_the_order_of_events():
    row = next(row for row in rows.BROKEN if row.protocol is rows.SKIPS)

    trace = verdicts(Model(row.setup, row.protocol)).traces[LOST_WORK]

    assert trace.steps[0] == "producer of m1: is asked to send it"
    assert trace.steps[2] == "worker A gets m1"
    assert "worker A on m1: begin -> busy_self, skipped" in trace.then


def test_an_exploration_that_is_cut_short_gives_no_verdict():
    with pytest.raises(TooManyStatesError):
        verdicts(Model(rows.CALM, OURS), max_states=100)
