"""What is told of where the time goes."""

from collections import Counter

import pytest

from tests.benchmarks.layers import layer, layers


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("read_response (/home/me/.venv/lib/python3.11/site-packages/redis/connection.py:12)", "redis"),
        ("quoted (/home/me/.venv/lib/python3.11/site-packages/typing_extensions.py:7)", "typing_extensions"),
        ("text (/home/me/onceq/queues/codec.py:40)", "queues/codec"),
        ("send (/home/me/onceq/queues/bench/programs/onceq_tasks.py:46)", "the benchmark's own program"),
        ("wait (/usr/lib/python3.11/threading.py:327)", "Python: threading"),
        ("process 7", "process 7"),
    ],
)
def test_a_frame_belongs_to_a_package_or_to_a_module_of_this_project(frame: str, expected: str):
    assert layer(frame) == expected


def test_the_innermost_frame_counts():
    lines = [
        "main (/a/site-packages/dramatiq/worker.py:1);wait (/usr/lib/python3.11/threading.py:2) 3",
        "f (/a/queues/key.py:1) 2",
    ]

    assert layers(lines) == Counter({"Python: threading": 3, "queues/key": 2})
