"""Where records live; each passes tests/contract/test_store.py."""
