"""Dramatiq's brokers, as a Celery application needs them."""
