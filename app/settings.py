"""What an operator may set, from the environment."""

from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The service's settings; each is an environment variable of the same name in capitals.

    Raises:
        pydantic.ValidationError: a value that cannot be used, named with its reason.
    """

    # An error names the setting, never its value: it may be a secret.
    model_config = SettingsConfigDict(
        env_prefix="", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8001, ge=0, le=65_535)
    data_dir: Path = Path(".data")
    api_key: SecretStr | None = None
    """The only key that opens the API; when it is not set, one is made at the first start."""
    secret_key: SecretStr | None = Field(default=None, min_length=32)
    """Signs cursors; several API processes on several machines need the same. Made once and kept when not set."""

    queues_backend: Literal["celery", "dramatiq"] = "celery"
    redis_url: str = "redis://127.0.0.1:6379/0"
    mongo_url: str = "mongodb://127.0.0.1:27017"
    db_name: str = Field(default="onceq", pattern=r"^[A-Za-z0-9_-]{1,38}$")
    celery_broker_url: str | None = None
    celery_result_backend: str | None = None
    dramatiq_broker_url: str | None = None

    mongo_max_pool_size: int = Field(default=100, ge=1)
    mongo_min_pool_size: int = Field(default=10, ge=0)
    concurrent_tasks_limit: int = Field(default=1000, ge=1)
    rate_limit_per_minute: int = Field(default=200, ge=1)
    queues_prefix: str = Field(default="", max_length=100)
    """Stands before every key in Redis, to keep two services on one Redis apart."""

    queues_metrics_port: int | None = Field(default=None, ge=1, le=65_535)
    """Where the worker serves its metrics; it serves none when it is not set."""
    queues_metrics_host: str = "127.0.0.1"
    log_format: Literal["text", "json"] = "text"
    """Of the API, the worker and the scheduler; JSON is one object a line, with the task that it is about."""
    metrics_networks: str = "127.0.0.0/8,::1/128"
    """Who may read the API's `/metrics`, which needs no key: networks, separated by commas."""

    max_upload_bytes: int = Field(default=25 * 1024 * 1024, ge=1)
    max_document_pages: int = Field(default=2000, ge=1)
    lease_s: float = Field(default=30.0, ge=0.5)
    """Seconds after which the work of a dead worker is taken over; renewed while a task runs."""
    worker_processes: int = Field(default=2, ge=1, le=256)
    """Celery's, of the worker that `python -m app.run` starts."""
    worker_threads: int = Field(default=4, ge=1, le=256)
    """Dramatiq's, of the worker that `python -m app.run` starts."""
    stop_within_s: float = Field(default=15.0, gt=0)
    """How long a worker may finish what it runs when it is stopped; what is left is done after the next start."""

    fetch_ports: str = "80,443"
    """Ports that may be fetched from, separated by commas."""
    fetch_allow: str = ""
    """Addresses that may be fetched although they are not public, as `host:port`, separated by commas."""

    smtp_url: SecretStr | None = None
    """`smtp://user:password@host:port`; notifications are only stored when it is not set."""
    smtp_from: str = "onceq@localhost"
    webhook_url: str | None = None
    webhook_secret: SecretStr | None = None

    @field_validator("metrics_networks")
    @classmethod
    def _networks_are_networks(cls, value: str) -> str:
        for network in filter(None, value.split(",")):
            ip_network(network.strip())
        return value

    @field_validator("fetch_ports")
    @classmethod
    def _ports_are_numbers(cls, value: str) -> str:
        for port in filter(None, value.split(",")):
            if not port.strip().isdecimal() or not 0 < int(port) <= 65_535:
                msg = f"{port!r} is not a port"
                raise ValueError(msg)
        return value

    @cached_property
    def metrics_allowed(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of `metrics_networks`."""
        return tuple(ip_network(network.strip()) for network in self.metrics_networks.split(",") if network.strip())

    @cached_property
    def uploads_dir(self) -> Path:
        """Where uploaded files are kept until their retention ends."""
        return self.data_dir / "uploads"

    @cached_property
    def broker_url(self) -> str:
        """The broker of the chosen backend; the Redis of the locks when none is set."""
        own = self.celery_broker_url if self.queues_backend == "celery" else self.dramatiq_broker_url
        return own or self.redis_url
