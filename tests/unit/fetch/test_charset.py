"""The text of bytes whose charset is told rightly, wrongly, or not at all."""

import codecs

import pytest

from app.fetch.charset import decode

RUSSIAN = "Привет, мир. Это страница на русском языке."
JAPANESE = "こんにちは世界。これは日本語のページです。"
FRENCH = "Élève à l'école, déjà vu: 5 €"


@pytest.mark.parametrize(
    ("body", "header", "text"),
    [
        (FRENCH.encode(), "utf-8", FRENCH),
        (FRENCH.encode(), "UTF8", FRENCH),
        (FRENCH.encode(), None, FRENCH),
        (FRENCH.encode("cp1252"), None, FRENCH),
        (FRENCH.encode("cp1252"), "iso-8859-1", FRENCH),
        (RUSSIAN.encode("cp1251"), "windows-1251", RUSSIAN),
        (RUSSIAN.encode("koi8-r"), "koi8-r", RUSSIAN),
        (JAPANESE.encode("shift_jis"), "Shift_JIS", JAPANESE),
        (JAPANESE.encode("euc_jp"), "euc-jp", JAPANESE),
        (JAPANESE.encode("iso2022_jp"), "iso-2022-jp", JAPANESE),
        ("中文网页".encode("gbk"), "gb2312", "中文网页"),
        ("中文網頁".encode("big5"), "big5", "中文網頁"),
        ("한국어".encode("euc_kr"), "euc-kr", "한국어"),
        # A byte order mark is believed before the header.
        (codecs.BOM_UTF8 + FRENCH.encode(), "iso-8859-1", FRENCH),
        (codecs.BOM_UTF16_LE + RUSSIAN.encode("utf-16-le"), "utf-8", RUSSIAN),
        (codecs.BOM_UTF16_BE + RUSSIAN.encode("utf-16-be"), None, RUSSIAN),
        (("<p>" + RUSSIAN).encode("utf-16-le"), "utf-16", "<p>" + RUSSIAN),
        (("<p>" + RUSSIAN).encode("utf-16-be"), None, "<p>" + RUSSIAN),
        # A header that cannot be true is not believed.
        (FRENCH.encode("cp1252"), "utf-8", FRENCH),
        (FRENCH.encode(), "utf-9", FRENCH),
        # Python's codecs that are no charsets of the web are not used.
        (b"aGVsbG8=", "base64", "aGVsbG8="),
        (b"+AGE-", "utf-7", "+AGE-"),
        (b"\\u0041", "unicode_escape", "\\u0041"),
        (b"x", "zip", "x"),
        (b"", None, ""),
    ],
)
def test_the_text_is_found(body, header, text):
    assert decode(body, header) == text


@pytest.mark.parametrize(
    ("declaration", "codec", "text"),
    [
        ('<meta charset="windows-1251">', "cp1251", RUSSIAN),
        ("<META CHARSET=Shift_JIS>", "shift_jis", JAPANESE),
        ('<meta http-equiv="Content-Type" content="text/html; charset=shift_jis">', "shift_jis", JAPANESE),
        ("<meta content='text/html;charset=koi8-r' http-equiv=Content-Type>", "koi8-r", RUSSIAN),
        ('<?xml version="1.0" encoding="windows-1251"?>', "cp1251", RUSSIAN),
        ('<meta charset="utf-16">', "utf-8", RUSSIAN),
        ('<meta charset="nonsense">', "utf-8", RUSSIAN),
    ],
)
def test_the_pages_own_declaration_is_believed_without_a_header(declaration, codec, text):
    page = f"{declaration}<p>{text}</p>"

    assert decode(page.encode(codec), None) == page


def test_the_header_is_believed_before_the_pages_own_declaration():
    page = f'<meta charset="utf-8"><p>{RUSSIAN}</p>'

    assert decode(page.encode("cp1251"), "windows-1251") == page


def test_one_bad_byte_does_not_turn_a_page_into_another_charset():
    body = (RUSSIAN * 50).encode() + b"\xff" + RUSSIAN.encode()

    text = decode(body, "utf-8")

    assert text == RUSSIAN * 50 + "\ufffd" + RUSSIAN
