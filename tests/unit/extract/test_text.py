"""Plain text, Markdown and HTML, in several encodings."""

import tracemalloc

import pytest

from app.extract.errors import Code, DocumentError
from app.extract.kind import Kind
from app.extract.limits import Limits
from app.extract.parse import parse
from app.extract.section import Progress


def test_plain_text_has_the_line_as_place(write, chunks_of):
    paragraph = "Every message is stored before it is acknowledged. " * 15

    chunks = chunks_of(write("a.txt", f"\n{paragraph}\n\n{paragraph}\n"))

    assert [(chunk.place, chunk.text) for chunk in chunks] == [
        ("line 2", paragraph.strip()),
        ("line 4", paragraph.strip()),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_plain_text_is_read_in_its_encoding(write, chunks_of, encoding):
    chunks = chunks_of(write("a.txt", "Größe: “5 €”".encode(encoding)))

    assert chunks[0].text == "Größe: “5 €”"


def test_a_binary_file_with_a_text_beginning_is_corrupt(write, chunks_of):
    path = write("a.txt", b"x" * 10_000 + bytes(10))

    with pytest.raises(DocumentError) as failure:
        chunks_of(path)

    assert failure.value.code is Code.CORRUPT_FILE


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.csv"])
def test_a_file_of_blanks_has_no_text(write, chunks_of, name):
    with pytest.raises(DocumentError) as failure:
        chunks_of(write(name, " \n\t\n"))

    assert failure.value.code is Code.NO_TEXT


@pytest.mark.parametrize("line", ["word " * 400_000, "x" * 2_000_000])
def test_a_file_that_is_one_line_is_read_in_bounded_memory(write, line):
    path = write("a.txt", line)
    tracemalloc.start()

    chars = sum(len(c.text) for c in parse(path, Kind.TXT, Limits()) if not isinstance(c, Progress))

    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert chars == pytest.approx(len(line), rel=0.01)
    assert peak_bytes < 4_000_000


MARKDOWN = """\
intro

# Install #

Setext
------
before
```sh
# a comment, no heading
```

## Linux
apt

Use
===
- item
---
#hashtag
"""


def test_markdown_headings_are_places(write, chunks_of):
    chunks = chunks_of(write("a.md", MARKDOWN))

    assert [(chunk.place, chunk.text) for chunk in chunks] == [
        ("line 1", "intro"),
        ("Install", "# Install #"),
        ("Install > Setext", "Setext\n------\nbefore\n```sh\n# a comment, no heading\n```"),
        ("Install > Linux", "## Linux\napt"),
        ("Use", "Use\n===\n- item\n---\n#hashtag"),
    ]


PAGE = """<!doctype html><html><head><title>Tea &amp; more</title><style>p {{}}</style>
<script>alert(1)</script>{meta}</head>
<body><nav><a href=/>Home</a></nav><noscript>enable scripts</noscript><!-- note -->
<h1>Gr\u00fcne <em>Tees</em></h1><p>Ein<b>fach</b>
   gut<br>und billig</p><div hidden>secret</div>
<table><tr><th>Sorte</th><th>Preis</th></tr><tr><td>Sencha</td><td>5</td></tr></table>
<h2>Lager</h2><pre>a
  b</pre>loose<div>deep<div>deeper</div>after</div></body></html>"""


def test_html_gives_what_a_reader_sees_under_its_headings(write, chunks_of):
    chunks = chunks_of(write("a.html", PAGE.format(meta="")))

    assert [(chunk.place, chunk.text) for chunk in chunks] == [
        ("Tea & more", "Tea & more"),
        ("Tea & more > Grüne Tees", "Grüne Tees\nEinfach gut\nund billig\nSorte | Preis\nSencha | 5"),
        ("Tea & more > Grüne Tees > Lager", "Lager\na\n  b\nloose\ndeep\ndeeper\nafter"),
    ]


@pytest.mark.parametrize(
    ("label", "encoding", "word"),
    [
        ("", "utf-8", "Grüße"),
        ("", "utf-16", "Grüße"),
        ("", "cp1252", "„Grüße“"),
        ("iso-8859-1", "cp1252", "„Grüße“"),
        ("windows-1251", "cp1251", "Привет"),
        ("Shift_JIS", "cp932", "日本語①"),
        ("gb2312", "gb18030", "汉语朱镕基"),
        ("iso-2022-jp", "iso2022_jp", "日本語"),
        ("utf-16", "utf-8", "Grüße"),
        ("no-such-charset", "cp1252", "Grüße"),
        ("hex", "cp1252", "Grüße"),
    ],
)
def test_html_is_read_in_its_charset(write, chunks_of, label, encoding, word):
    meta = f'<meta charset="{label}">' if label else ""

    chunks = chunks_of(write("a.html", f"<html><head>{meta}</head><p>{word}</p></html>".encode(encoding)))

    assert chunks[0].text == word


def test_html_without_text_says_so(write, chunks_of):
    path = write("a.html", "<html><script>let a = 1</script><img src=a.png><nav>menu</nav></html>")

    with pytest.raises(DocumentError) as failure:
        chunks_of(path)

    assert failure.value.code is Code.NO_TEXT


def test_html_nested_ten_thousand_deep_is_no_stack_overflow(write, chunks_of):
    chunks = chunks_of(write("a.html", "<p>start</p>" + "<div>" * 10_000 + "deep"))

    assert chunks[0].text.startswith("start")


def test_xhtml_with_an_encoding_declaration_is_read(write, chunks_of):
    page = '<?xml version="1.0" encoding="iso-8859-1"?><html xmlns="x"><body><p>Größe</p></body></html>'

    chunks = chunks_of(write("a.xhtml", page.encode("latin-1")))

    assert chunks[0].text == "Größe"
