"""The worker's application in `celery_suite`: Celery's own test tasks, with the settings of the test run."""

import importlib
import json
import os

import celery

import compat.celery

kind = compat.celery.Celery if os.environ["SUITE_SIDE"] == "shim" else celery.Celery
app = kind("celery.tests", set_as_current=True)
app.conf.update(json.loads(os.environ["SUITE_SETTINGS"]))
app.conf.task_create_missing_queues = False
app.set_default()

importlib.import_module("celery.contrib.testing.tasks")
tasks = importlib.import_module("t.integration.tasks")
app.register_task(tasks.ClassBasedAutoRetryTask)
