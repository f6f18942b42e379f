"""The `Idempotency-Key` header as clients write it."""

import pytest

from app.api.errors import ProblemError
from app.api.idempotency import fingerprint, parse_key, require_key


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("8e03978e-40d5", "8e03978e-40d5"),
        ('"8e03978e-40d5"', "8e03978e-40d5"),
        ("  spaced-outside ", "spaced-outside"),
        ('"with space"', "with space"),
        ('"a \\"quoted\\" \\\\ key"', 'a "quoted" \\ key'),
        ("x" * 255, "x" * 255),
        ('"' + "x" * 255 + '"', "x" * 255),
        (None, None),
    ],
)
def test_a_key_is_read_with_and_without_quotes(header, key):
    assert parse_key(header) == key


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        '""',
        '"  "',
        "two words",
        "ünïcode",
        "x" * 256,
        '"' + "x" * 256 + '"',
        '"open',
        'a"b',
        "tab\tbed",
        "a\x7f",
    ],
)
def test_a_malformed_key_is_refused_with_400(header):
    with pytest.raises(ProblemError) as refusal:
        parse_key(header)

    assert (refusal.value.problem.status, refusal.value.problem.code) == (400, "idempotency-key-malformed")


def test_a_missing_key_is_refused_where_it_is_required():
    with pytest.raises(ProblemError) as refusal:
        require_key(None)

    assert (refusal.value.problem.status, refusal.value.problem.code) == (400, "idempotency-key-missing")


def test_parts_of_a_payload_do_not_run_into_each_other():
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
