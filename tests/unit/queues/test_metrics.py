"""Prometheus metrics: their names, their labels, and how many there can be."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, CollectorRegistry

from queues import Once, Tasks, connect, errors
from queues.message import Message
from queues.observers.endpoint import Processes
from queues.observers.environment import Address, observer_for
from queues.observers.metrics import MOST_WORKS, PrometheusMetrics
from tests.scrape import registered


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_submissions_are_counted_by_decision(registry: CollectorRegistry):
    tasks = Tasks(namespace="metrics")

    @tasks.task(queue="q", once=Once(on_duplicate="join"))
    def plain(x: int) -> int:
        return x

    with connect(tasks, backend="memory", observer=PrometheusMetrics(registry)):
        first = plain.send(1)
        plain.send(1)
        first.result()
        plain.send(1)
        plain.send_with_options((1,), key="k")
        with pytest.raises(errors.KeyConflictError):
            plain.send_with_options((2,), key="k")

    told = registered(registry)
    counted = {labels["decision"]: value for labels, value in told.samples["onceq_tasks_submitted_total"]}
    assert counted == {"executed": 2, "joined": 1, "replayed": 1, "conflict": 1}
    assert told.total("onceq_tasks_executed_total", task="metrics.plain", queue="q", outcome="completed") == 1


def test_two_observers_of_one_registry_count_in_the_same_metrics(registry: CollectorRegistry):
    message = Message("a-1", "t", "q", "a")

    for observer in (PrometheusMetrics(registry), PrometheusMetrics(registry)):
        observer.replayed(message)

    assert registered(registry).total("onceq_tasks_replayed_total", task="t", queue="q") == 2


def test_names_that_are_made_up_do_not_make_metrics_without_end(registry: CollectorRegistry):
    observer = PrometheusMetrics(registry)

    for number in range(MOST_WORKS + 100):
        observer.replayed(Message("a-1", "t", f"queue-{number}", "a"))

    told = registered(registry)
    assert len(told.samples["onceq_tasks_replayed_total"]) == MOST_WORKS + 1
    assert told.total("onceq_tasks_replayed_total", task="other", queue="other") == 100


def test_no_label_names_a_message_or_a_key(registry: CollectorRegistry):
    tasks = Tasks(namespace="metrics")
    with connect(tasks, backend="memory", observer=PrometheusMetrics(registry)):
        handle = tasks.task(name="given")(lambda x: x).send(5)
        handle.result()

    text = registered(registry).text
    assert handle.key not in text
    assert handle.id not in text


@pytest.mark.parametrize("text", ["0", "65536", "-1", "9.5", "http", "\u0661"])
def test_a_port_that_is_none_is_refused(text: str):
    with pytest.raises(errors.InvalidOptionError, match="QUEUES_METRICS_PORT"):
        Address.from_environment({"QUEUES_METRICS_PORT": text})


def test_the_endpoint_is_on_loopback_unless_told_otherwise():
    assert Address.from_environment({"QUEUES_METRICS_PORT": "9000"}) == Address("127.0.0.1", 9000)
    assert Address.from_environment({"QUEUES_METRICS_PORT": "9000", "QUEUES_METRICS_HOST": "::"}) == Address("::", 9000)
    assert Address.from_environment({}) is None


def test_metrics_that_are_given_are_not_counted_twice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("QUEUES_METRICS_PORT", "9000")
    given = PrometheusMetrics(CollectorRegistry())

    assert observer_for(given).each == (given,)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_waits_for_an_update_and_its_child_can_count(registry: CollectorRegistry):
    observer = PrometheusMetrics(registry)
    message = Message("a-1", "t", "q", "a")
    stopping = threading.Event()

    def count() -> None:
        while not stopping.is_set():
            observer.replayed(message)

    counting = [threading.Thread(target=count) for _ in range(2)]
    for thread in counting:
        thread.start()
    try:
        for _ in range(50):
            pid = os.fork()
            if pid == 0:
                observer.replayed(message)
                os._exit(0)
            deadline = threading.Timer(20, os.kill, (pid, 9))
            deadline.start()
            status = os.waitpid(pid, 0)[1]
            deadline.cancel()
            assert status == 0
    finally:
        stopping.set()
        for thread in counting:
            thread.join()


class Claimant:
    """A process that claims the folder of a worker, and holds it until it is killed."""

    PROGRAM = (
        "import sys; from queues.observers.folder import claimed; print(claimed(9000), flush=True); sys.stdin.read()"
    )

    def __init__(self, place: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self.PROGRAM],
            env={**os.environ, "TMPDIR": str(place)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.folder = Path(self._process.stdout.readline().decode().strip())

    def kill(self) -> None:
        with self._process:  # closes its pipes
            self._process.kill()


def test_the_folder_of_a_worker_is_emptied_by_its_first_process_only(tmp_path: Path):
    first = Claimant(tmp_path)
    number = first.folder / "counter_1.db"
    number.write_bytes(b"kept")
    second = Claimant(tmp_path)
    kept_while_the_first_lives = number.exists()
    first.kill()
    third = Claimant(tmp_path)
    kept_while_the_second_lives = number.exists()
    second.kill()
    third.kill()
    fourth = Claimant(tmp_path)
    fourth.kill()

    assert first.folder == second.folder == third.folder == fourth.folder
    assert (kept_while_the_first_lives, kept_while_the_second_lives, number.exists()) == (True, True, False)


COUNTED_BY_A_CHILD = """
import os
import prometheus_client  # before the library, as Flower does it
from queues.observers.environment import Address, metrics_module

metrics_module(Address("127.0.0.1", 9))
from queues.observers import endpoint

if (child := os.fork()) == 0:
    prometheus_client.Counter("made_up", "By a child.", ["who"]).labels("child").inc(3)
    os._exit(0)
os.waitpid(child, 0)
samples = [sample for metric in endpoint.registry().collect() for sample in metric.samples]
print([sample.value for sample in samples if sample.name == "made_up_total"])
"""


def test_children_are_added_up_although_another_package_has_imported_the_client(tmp_path: Path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", COUNTED_BY_A_CHILD], env=environment, capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("[3.0]\n", "")


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from queues.observers import folder

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"onceq-metrics-{os.getuid()}-9001").mkdir()
    (tmp_path / f"onceq-metrics-{os.getuid()}-9001").chmod(0o777)

    with pytest.raises(errors.InvalidOptionError, match="PROMETHEUS_MULTIPROC_DIR"):
        folder.claimed(9001)


def test_the_metrics_are_in_the_registry_of_the_process_by_default():
    PrometheusMetrics().replayed(Message("a-1", "default", "q", "a"))

    assert registered(REGISTRY).total("onceq_tasks_replayed_total", task="default") == 1


def test_the_dead_keep_their_counters_and_lose_their_gauges(tmp_path: Path):
    program = (
        "import os; from prometheus_client import Counter, Gauge\n"
        "Counter('done', 'd').inc(3); Gauge('going', 'g', multiprocess_mode='livesum').set(5); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program], env=environment, timeout=120, check=False)
    (tmp_path / "counter_4000000.db").touch()  # killed as it made its file
    registry = CollectorRegistry()
    registry.register(Processes(str(tmp_path)))

    told = registered(registry)

    assert told.total("done_total") == 6
    assert "going" not in told.samples
