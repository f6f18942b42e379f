"""Prefork: the processes that run tasks, one task at a time each."""
