"""The text of a page's bytes, whatever the server says about their charset.

Source: WHATWG Encoding Standard, "Names and labels", for which charset a label means on the web.
"""

import codecs
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# Of the charsets that pages use, and only those: Python also knows codecs that are none (zip, punycode, idna).
_CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "euc-jp": "euc_jp",
    "x-euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "koi8-r": "koi8_r",
    "koi8-u": "koi8_u",
    "macintosh": "mac_roman",
    "utf-16": "utf-16-le",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    **{f"iso-8859-{number}": f"iso8859_{number}" for number in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    **{f"{prefix}{number}": f"cp{number}" for number in range(1250, 1259) for prefix in ("windows-", "cp")},
}

_META = re.compile(rb"""<meta[^>]{0,999}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]{1,40})""", re.IGNORECASE)
_XML = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9_:.-]{1,40})""")
_META_WITHIN_BYTES = 4096

# One bad byte in a long page must not turn the rest into another charset's letters; one in twenty must.
_MAX_BAD_CHARS = 0.005


def decode(body: bytes, header_charset: str | None) -> str:
    """The text of `body`, without byte order mark. Never fails: what fits no charset becomes U+FFFD.

    In this order: byte order mark, the Content-Type header, the page's own `<meta>` or XML declaration, UTF-8,
    windows-1252; the first in which the bytes make sense.
    """
    for bom, codec in _BOMS:
        if body.startswith(bom):
            return body[len(bom) :].decode(codec, errors="replace")
    for codec in _candidates(body, header_charset):
        text = body.decode(codec, errors="replace")
        if text.count("\ufffd") <= len(text) * _MAX_BAD_CHARS:
            return text.removeprefix("\ufeff")
    return body.decode("cp1252", errors="replace")


def _candidates(body: bytes, header_charset: str | None) -> list[str]:
    header = _CODECS.get((header_charset or "").lower())
    meta_match = _XML.search(body[:_META_WITHIN_BYTES]) or _META.search(body[:_META_WITHIN_BYTES])
    meta = _CODECS.get(meta_match[1].decode("ascii").lower()) if meta_match else None
    if meta and meta.startswith("utf-16"):
        meta = "utf-8"  # bytes in which an ASCII `<meta>` was found are not UTF-16
    nulls = {b"<\x00": "utf-16-le", b"\x00<": "utf-16-be"}.get(body[:2])
    return [codec for codec in (nulls, header, meta, "utf-8") if codec]
