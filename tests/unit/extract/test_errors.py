"""Errors cross processes, queues and JSON."""

import json
import pickle

import pytest

from app.extract.errors import Code, DocumentError, EmptyFileError, ExtractError, UnsupportedTypeError

ERRORS = [
    DocumentError(Code.PDF_ENCRYPTED, "the file needs a password"),
    UnsupportedTypeError("a.exe", "only .pdf can be read"),
    EmptyFileError("a.txt"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_with_its_data(error):
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert type(copy) is type(error)
    assert copy.as_dict() == error.as_dict()
    assert vars(copy) == vars(error)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_told_in_json(error):
    told = json.loads(json.dumps(error.as_dict()))

    assert told == {"type": type(error).__name__, "code": str(error.code), "detail": str(error)}
    assert isinstance(error, ExtractError)


def test_a_detail_from_a_hostile_file_is_shortened():
    error = DocumentError(Code.CORRUPT_FILE, "x" * 100_000)

    assert len(error.detail) == 300
