"""Where each test's data is."""

import pytest

from tests.integration.api.service import Place


@pytest.fixture
def place(tmp_path, valkey_url, mongo_url, database_name, key_prefix):
    """Folders and names of this test alone, on the servers that all share."""
    return Place(tmp_path, valkey_url, mongo_url, database_name, key_prefix)
