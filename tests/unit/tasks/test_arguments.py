import pytest

from app.tasks.arguments import checked_line, checked_number, checked_text
from app.tasks.errors import TaskInputError


@pytest.mark.parametrize(
    "value",
    ["", " ", "\n", "a\nb", "a\rb", "a\r\nBcc: x@y", "a\x00b", "a\u2028b", "\ud800", "x" * 255, None, 1, b"a", ["a"]],
)
def test_what_is_not_one_line_is_refused(value):
    with pytest.raises(TaskInputError) as caught:
        checked_line("title", value)

    assert caught.value.field == "title"
    assert caught.value.code == "invalid_argument"


@pytest.mark.parametrize("value", ["a", "Überschrift 見出し", "x" * 254, " padded "])
def test_one_line_is_taken_as_it_is(value):
    assert checked_line("title", value) == value


def test_a_text_may_have_line_breaks_and_tabs():
    assert checked_text("message", "a\n\tb\r\n", 10) == "a\n\tb\r\n"


@pytest.mark.parametrize("value", ["\x1b[2J", "a\x00", "\udfff"])
def test_a_text_has_no_control_characters(value):
    with pytest.raises(TaskInputError):
        checked_text("message", value, 100)


@pytest.mark.parametrize("value", [0, -1, 93, True, 1.0, "7", None])
def test_what_is_not_a_number_in_range_is_refused(value):
    with pytest.raises(TaskInputError):
        checked_number("days", value, 1, 92)


@pytest.mark.parametrize("value", [1, 92])
def test_both_ends_of_the_range_are_in_it(value):
    assert checked_number("days", value, 1, 92) == value
