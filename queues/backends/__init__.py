"""Adapters to real task systems; each passes tests/contract/test_backend.py."""
