from datetime import UTC, datetime

import pytest

from app.stores.paging import PageKey


@pytest.mark.parametrize("record_id", ["doc_1", "a|b", "t1:ab-c", "é"])
def test_a_page_key_is_read_back_as_it_was_written(record_id):
    key = PageKey(datetime(2026, 11, 23, 12, 0, 0, 5000, UTC), record_id)

    assert PageKey.decode(key.encode()) == key


@pytest.mark.parametrize(
    "text", ["", "|", "doc_1", "2026-11-23T12:00:00+00:00|", "2026-11-23T12:00:00|doc_1", "now|doc_1"]
)
def test_what_is_no_page_key_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        PageKey.decode(text)
