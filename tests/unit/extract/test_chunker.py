"""No text is lost, none comes twice, and a chunk ends where a reader would pause."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.extract.chunker import MAX_CHARS, Chunk, clean, cut
from app.extract.section import Progress, Section

SENTENCE = "A queue that loses one message in a million loses the one that mattered. "

texts = st.one_of(
    st.text(st.characters(codec=None), max_size=300),
    st.text(st.sampled_from("ab .!?\n\t é\u0301\u200d👍🏽漢。"), max_size=5000),
    st.builds(lambda word, times: word * times, st.text(max_size=5), st.integers(0, 1500)),
)
sections = st.builds(Section, texts, st.sampled_from(["page 1", "page 2"]), st.booleans(), st.booleans())


def squeezed(parts):
    return "".join("".join(part.split()) for part in parts)


@settings(max_examples=150, deadline=None)
@given(st.lists(sections, max_size=8))
def test_the_chunks_together_are_the_text(given_sections):
    chunks = list(cut(given_sections))

    assert squeezed(chunk.text for chunk in chunks) == squeezed(clean(s.text) for s in given_sections)
    assert [chunk.position for chunk in chunks] == list(range(len(chunks)))
    assert all(0 < len(chunk.text) <= MAX_CHARS for chunk in chunks)


@settings(max_examples=150, deadline=None)
@given(st.lists(sections, max_size=4))
def test_every_chunk_is_storable_text(given_sections):
    for chunk in cut(given_sections):
        assert chunk.text.encode().decode() == chunk.text
        assert "\x00" not in chunk.text
        assert unicodedata.is_normalized("NFC", chunk.text)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("abc .\n", min_size=1, max_size=3000), max_size=6))
def test_a_chunk_never_spans_two_pages(pages):
    numbered = [Section(text, f"page {number}", ends=True) for number, text in enumerate(pages)]

    chunks = list(cut(numbered))

    for number, text in enumerate(pages):
        on_page = [chunk.text for chunk in chunks if chunk.place == f"page {number}"]
        assert squeezed(on_page) == squeezed([text])


def test_a_long_text_is_cut_between_sentences():
    chunks = list(cut([Section(SENTENCE * 100, "page 1")]))

    assert all(chunk.text.endswith("mattered.") for chunk in chunks)
    assert all(900 < len(chunk.text) <= 1100 for chunk in chunks[:-1])


def test_a_paragraph_end_near_the_target_is_preferred_to_a_sentence_end():
    first = (SENTENCE * 11).strip()

    chunks = list(cut([Section(f"{first}\n\n{SENTENCE * 20}", "page 1")]))

    assert chunks[0].text == first


def test_a_text_without_blanks_is_cut_at_the_target():
    chunks = list(cut([Section("x" * 2500, "page 1")]))

    assert [len(chunk.text) for chunk in chunks] == [1000, 1000, 500]


def test_a_hard_cut_does_not_part_a_family_emoji():
    family = "👩\u200d👩\u200d👧\u200d👦"

    chunks = list(cut([Section(family * 400, "page 1")]))

    assert all(len(chunk.text) % len(family) == 0 for chunk in chunks)


def test_small_rows_share_a_chunk_that_has_the_first_rows_place():
    rows = [Section(f"name: {number:04}", f"row {number}", joins=number > 1) for number in range(1, 201)]

    chunks = list(cut(rows))

    assert [chunk.place for chunk in chunks] == ["row 1", "row 92", "row 183"]
    assert chunks[1].text.startswith("name: 0092\nname: 0093")


def test_what_is_cut_from_a_long_row_has_that_rows_place():
    rows = [Section("short", "row 1"), Section(SENTENCE * 40, "row 2", joins=True)]

    places = [chunk.place for chunk in cut(rows)]

    assert places == ["row 1", "row 2", "row 2"]


def test_a_heading_stays_with_the_text_below_it():
    chunks = list(cut([Section("Prices", "Prices"), Section(SENTENCE * 18, "Prices", joins=True)]))

    assert chunks[0].text.startswith("Prices\nA queue")


def test_progress_passes_through_in_its_place():
    items = [Section("one", "page 1", ends=True), Progress(1, 2), Section("two", "page 2", ends=True), Progress(2, 2)]

    out = list(cut(items))

    assert out == [Chunk(0, "one", "page 1"), Progress(1, 2), Chunk(1, "two", "page 2"), Progress(2, 2)]


@pytest.mark.parametrize(
    ("given_text", "wanted"),
    [
        ("a\x00b\x07c", "abc"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("e\u0301", "é"),
        ("\ud83d\ude00", "😀"),
        ("x\ud83dy", "x\ufffdy"),
    ],
)
def test_text_is_cleaned(given_text, wanted):
    assert clean(given_text) == wanted
