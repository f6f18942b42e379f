"""Celery code, unchanged, on Dramatiq workers."""
