"""Multipart bodies, whole and hostile, however they are cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.encoding import JsonBodyError
from app.api.errors import ProblemError
from app.api.multipart import MAX_FIELD_BYTES, FormReader

TYPE = "multipart/form-data; boundary=edge"


def part(name, data, filename=None):
    file = b"" if filename is None else b'; filename="' + filename.encode() + b'"'
    return (
        b'--edge\r\nContent-Disposition: form-data; name="' + name.encode() + b'"' + file + b"\r\n\r\n" + data + b"\r\n"
    )


def body(*parts):
    return b"".join(parts) + b"--edge--\r\n"


def read(whole, piece_bytes=7):
    reader = FormReader(TYPE, "file")
    data = b"".join(reader.feed(whole[at : at + piece_bytes]) for at in range(0, len(whole), piece_bytes))
    reader.finish()
    return reader, data


@settings(deadline=None)
@given(data=st.binary(max_size=500), piece_bytes=st.integers(1, 700))
def test_file_and_fields_come_out_however_the_body_is_cut(data, piece_bytes):
    if b"\r\n--edge" in data:
        return
    whole = body(part("chatbot_id", b"bot_1"), part("file", data, "r\u00e9sum\u00e9.txt"))

    reader, read_data = read(whole, piece_bytes)

    assert (reader.filename, reader.fields, read_data) == ("r\u00e9sum\u00e9.txt", {"chatbot_id": "bot_1"}, data)


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=e"])
def test_another_type_is_refused_with_415(content_type):
    with pytest.raises(ProblemError) as refusal:
        FormReader(content_type, "file")

    assert refusal.value.problem.status == 415


@pytest.mark.parametrize(
    ("whole", "status"),
    [
        pytest.param(b"", 400, id="nothing"),
        pytest.param(b"garbage", 400, id="garbage"),
        pytest.param(body(part("file", b"x", "a.txt"))[:-8], 400, id="cut off"),
        pytest.param(b"--edge\r\nX: y\r\n\r\nz\r\n--edge--\r\n", 400, id="a part without a name"),
        pytest.param(b"--edge\r\n" + b"X" * 20_000 + b": y\r\n\r\n", 400, id="an endless header"),
        pytest.param(body(part("chatbot_id", b"bot")), 422, id="no file"),
        pytest.param(body(part("file", b"x", "a.txt"), part("file", b"y", "b.txt")), 422, id="two files"),
        pytest.param(body(part("a", b"1"), part("a", b"2"), part("file", b"x", "a.txt")), 422, id="a field twice"),
        pytest.param(body(part("a", b"\xff"), part("file", b"x", "a.txt")), 422, id="not UTF-8"),
        pytest.param(body(part("a", b"x" * (MAX_FIELD_BYTES + 1))), 422, id="a long field"),
        pytest.param(body(*(part(f"f{n}", b"") for n in range(30))), 422, id="many parts"),
    ],
)
def test_a_hostile_body_is_refused(whole, status):
    with pytest.raises(ProblemError) as refusal:
        read(whole, 1024)

    assert refusal.value.problem.status == status


def test_a_name_in_the_form_for_headers_is_read_too():
    head = b"--edge\r\nContent-Disposition: form-data; name=\"file\"; filename*=UTF-8''r%C3%A9sum%C3%A9.txt\r\n\r\n"

    reader, _ = read(head + b"x\r\n--edge--\r\n")

    assert reader.filename == "r\u00e9sum\u00e9.txt"


def test_a_nul_in_a_field_is_refused():
    with pytest.raises(JsonBodyError):
        read(body(part("chatbot_id", b"a\x00b"), part("file", b"x", "a.txt")))
