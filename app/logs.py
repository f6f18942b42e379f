"""How the service's processes write their log: text for people, or one JSON object a line (`LOG_FORMAT=json`)."""

import logging
from typing import Any

from celery import signals
from uvicorn.config import LOGGING_CONFIG

from app.settings import Settings
from queues.logs import JsonFormatter


def use_json(settings: Settings, backend: str = "") -> None:
    """Write JSON on every handler that this process has, and on those that Celery makes later."""
    if settings.log_format != "json":
        return
    formatter = JsonFormatter(backend)

    def apply(logger: logging.Logger, **_more: Any) -> None:
        for handler in logger.handlers:
            handler.setFormatter(formatter)

    apply(logging.getLogger())
    # Celery's worker makes its handlers after the application is imported.
    signals.after_setup_logger.connect(apply, weak=False)
    signals.after_setup_task_logger.connect(apply, weak=False)


def uvicorn_config(settings: Settings) -> dict[str, Any]:
    """Uvicorn's `log_config`."""
    if settings.log_format != "json":
        return LOGGING_CONFIG
    formatter = {"()": "queues.logs.JsonFormatter"}
    root = {"handlers": ["default"], "level": "INFO"}
    return {**LOGGING_CONFIG, "formatters": {"default": formatter, "access": formatter}, "root": root}
