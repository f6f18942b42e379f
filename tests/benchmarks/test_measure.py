"""What samples come to."""

from queues.bench.measure import Sample, Spread, ratio
from queues.bench.scenarios.latency import at, curve
from queues.bench.targets import TARGETS, Target


def samples(scenario: str, contender: str, values: list[float]) -> list[Sample]:
    return [Sample(scenario, contender, number, value, 100) for number, value in enumerate(values)]


def test_a_ratio_is_taken_round_by_round_against_the_best_of_the_others():
    run = [
        *samples("send", "ours", [30.0, 60.0, 90.0]),
        *samples("send", "a", [10.0, 20.0, 30.0]),
        *samples("send", "b", [5.0, 30.0, 10.0]),
    ]

    found = ratio(run, [("send", "ours")], [("send", "a"), ("send", "b")])

    assert found == Spread(3.0, 2.5, 3.0)


def test_a_ratio_of_what_was_not_measured_is_none():
    assert ratio(samples("send", "ours", [1.0]), [("send", "ours")], [("send", "a")]) is None
    assert ratio([], [("send", "ours")], [("send", "a")]) is None


def test_where_less_is_better_the_best_of_the_others_is_the_least():
    run = [*samples("wait", "ours", [6.0]), *samples("wait", "a", [3.0]), *samples("wait", "b", [2.0])]

    assert ratio(run, [("wait", "ours")], [("wait", "a"), ("wait", "b")], inverted=True) == Spread(3.0, 3.0, 3.0)


def test_a_target_is_missed_only_by_more_than_its_spread():
    target: Target = TARGETS[0]
    ((ours, us),), ((theirs, them),) = target.ours, target.theirs

    def run(values: list[float]) -> list[Sample]:
        return [*samples(ours, us.name, values), *samples(theirs, them.name, [1.0] * len(values))]

    assert target.is_missed(run([1.0, 1.0, 1.0]))
    assert not target.is_missed(run([1.0, 1.0, target.bound * 2, target.bound * 2]))
    assert not target.is_missed([])


def test_a_target_is_close_when_it_is_missed_by_no_more_than_its_spread():
    target = next(target for target in TARGETS if target.is_at_most and not target.theirs)
    ((scenario, us),) = target.ours

    def verdict(*above: float) -> str:
        return target.verdict(samples(scenario, us.name, [target.bound + value for value in above]))

    assert verdict(-1, -1, 0, 1) == "held"
    assert verdict(-1, -1, 1, 1, 1) == "close"
    assert verdict(1, 1, 1) == "missed"
    assert verdict() == ""


def test_the_best_of_ours_is_compared_round_by_round():
    run = [
        *samples("send", "a", [10.0, 40.0]),
        *samples("send", "b", [30.0, 20.0]),
        *samples("send", "c", [10.0, 10.0]),
    ]

    assert ratio(run, [("send", "a"), ("send", "b")], [("send", "c")]) == Spread(3.5, 3.25, 3.75)


def test_a_target_of_at_most_is_missed_when_even_the_lower_quarter_is_above_it():
    target = next(target for target in TARGETS if target.is_at_most and not target.theirs)
    ((scenario, us),) = target.ours

    assert target.is_missed(samples(scenario, us.name, [target.bound + 1] * 3))
    assert not target.is_missed(samples(scenario, us.name, [target.bound - 1, target.bound + 1, target.bound + 1]))


def test_a_percentile_is_a_value_that_so_many_do_not_exceed():
    waits = [float(number) for number in range(1, 101)]

    assert at(waits, 0.5) == 51.0
    assert at(waits, 1.0) == 100.0
    assert dict(curve(waits))[0.99] == 100.0
