"""What the plans of `deploy/README.md` are made with."""

import pytest

from tests.benchmarks import scale
from tests.benchmarks.scale import Cost, plans


def test_plans_follow_from_what_was_measured():
    apart = Cost("two", "celery", [250.0], 100.0, 100.0, 500.0)
    cluster = Cost("three", "celery", [100.0] * 3, 110.0, 100.0, 500.0)

    told = "\n".join(plans([apart, cluster], 250.0))

    assert "250 bytes, 4.3 million in a GiB" in told
    # 5,787 tasks a second, each 300 us: 1.7 cores, of which six tenths are used.
    assert "3 nodes of a cluster for records, 2 for queues; cores: 1 to submit, 5 for workers" in told
    assert "4.2 million records, 1.0 GiB" in told
    assert "233 GiB, so 25 nodes of 16 GiB" in told
    assert told.count("on celery") == 1


@pytest.mark.rabbitmq
@pytest.mark.slow
def test_each_layout_is_measured(monkeypatch, capsys: pytest.CaptureFixture[str]):
    for name, value in {"ROUNDS": 1, "TASKS": 100, "WARM_UP": 20, "RECORDS": 1_000}.items():
        monkeypatch.setattr(scale, name, value)

    assert scale.main() == 0

    told = capsys.readouterr().out
    assert all(told.count(name) >= 2 for name in ("one Redis", "two: records", "records; RabbitMQ", "cluster of three"))
