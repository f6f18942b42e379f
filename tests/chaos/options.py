"""What a run is asked to do."""

from dataclasses import dataclass
from typing import Literal

BackendName = Literal["celery", "dramatiq"]
BrokerName = Literal["valkey", "rabbitmq"]


@dataclass(frozen=True, slots=True)
class Options:
    """One run.

    Args:
        minutes: in which faults are injected; start, quiet and judgement come on top.
        lease_s: of every task.
        per_second: pieces of work; each is submitted once, twice or more.
        faults_per_second: on average.
        dies: how probable it is that the last producer dies between admitting and publishing a message.
        control: breaks the library on purpose, as `tests/programs/chaos_control.py` says; empty leaves it whole.
        quiet_s: how long, at most, unfinished work is waited for after the last fault.
    """

    backend: BackendName = "celery"
    broker: BrokerName = "valkey"
    minutes: float = 3.0
    seed: int = 1
    lease_s: float = 3.0
    workers: int = 3
    producers: int = 3
    per_second: float = 12.0
    faults_per_second: float = 1.35
    dies: float = 0.01
    control: str = ""
    quiet_s: float = 180.0

    @property
    def seconds(self) -> float:
        """In which faults are injected."""
        return self.minutes * 60

    @property
    def lease_ms(self) -> int:
        """`lease_s` in ms."""
        return round(self.lease_s * 1000)
