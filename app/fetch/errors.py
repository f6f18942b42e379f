"""What can go wrong with a fetch, and whether to try again.

FetchError                     .code, .url, .is_retryable
├─ InvalidUrlError             never retry: not an http(s) URL that may be asked for
├─ AddressRefusedError         never retry: the address or port may not be reached
├─ InsecureRedirectError       never retry: https led to http
├─ TooManyRedirectsError       never retry
├─ ResponseTooLargeError       never retry  (.max_bytes)
├─ UnsupportedContentError     never retry: not text that can be read
├─ RobotsRefusedError          never retry; retry when robots.txt could not be read
├─ HttpStatusError             retry on 408, 425, 429 and 5xx  (.status, .retry_after_s)
├─ FetchTimeoutError           retry
└─ UnreachableError            retry, except where the name does not exist
   └─ CertificateRefusedError  never retry

A message names what the caller asked for, and never an address that a name resolved to, nor where a redirect
led: both may be inside the operator's network.
"""

import re

_USERINFO = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*:)?(/{0,2})[^/?#]*@")
_MAX_URL_CHARS_SHOWN = 500


def without_credentials(url: str) -> str:
    """The URL as it may be shown: no `user:password@`, at most 500 characters."""
    return _USERINFO.sub(r"\1\2", url)[:_MAX_URL_CHARS_SHOWN]


class FetchError(Exception):
    """A page could not be had.

    Attributes:
        code: the reason as one snake case word, stable across releases.
        url: what was asked for, without credentials.
        is_retryable: whether the same request may succeed later.
    """

    code: str = "fetch_failed"
    is_retryable: bool = False

    def __init__(self, url: str, message: str) -> None:
        self.url = without_credentials(url)
        self.message = message
        super().__init__(self.url, message)

    def __str__(self) -> str:
        return f"{self.url}: {self.message}"


class InvalidUrlError(FetchError):
    """The URL is not one that can be fetched: its scheme, host, port, credentials or characters."""

    code = "invalid_url"


class AddressRefusedError(FetchError):
    """The host's address, or the port, may not be reached from here."""

    code = "address_refused"

    def __init__(self, url: str, message: str = "this address or port may not be fetched from") -> None:
        super().__init__(url, message)
        self.args = (self.url, message)


class InsecureRedirectError(FetchError):
    """An https page led to an http one, where anyone on the way could change the text."""

    code = "insecure_redirect"


class TooManyRedirectsError(FetchError):
    """More redirects in a row than the limit; usually a loop."""

    code = "too_many_redirects"


class ResponseTooLargeError(FetchError):
    """The body, once decompressed, is longer than `max_bytes`."""

    code = "response_too_large"

    def __init__(self, url: str, max_bytes: int) -> None:
        super().__init__(url, f"the page is larger than {max_bytes:,} bytes")
        self.args = (self.url, max_bytes)
        self.max_bytes = max_bytes


class UnsupportedContentError(FetchError):
    """What came back is not HTML or plain text, or cannot be read as such."""

    code = "unsupported_content"


class RobotsRefusedError(FetchError):
    """The site's robots.txt does not let us, or could not be read (then `is_retryable` is true)."""

    code = "robots_refused"

    def __init__(self, url: str, message: str = "the site's robots.txt forbids it", is_retryable: bool = False) -> None:
        super().__init__(url, message)
        self.args = (self.url, message, is_retryable)
        self.is_retryable = is_retryable


class HttpStatusError(FetchError):
    """The server answered with a status other than 2xx.

    Attributes:
        status: the HTTP status, 100 to 599.
        retry_after_s: what the server asked us to wait, 0 to 86,400; None if it said nothing.
    """

    code = "http_status"

    def __init__(self, url: str, status: int, retry_after_s: float | None = None) -> None:
        super().__init__(url, f"the server answered {status}")
        self.args = (self.url, status, retry_after_s)
        self.status = status
        self.retry_after_s = retry_after_s
        self.is_retryable = status in {408, 425, 429} or 500 <= status <= 599


class FetchTimeoutError(FetchError):
    """Connecting, waiting for the next bytes, or the whole fetch took longer than its limit."""

    code = "fetch_timeout"
    is_retryable = True


class UnreachableError(FetchError):
    """No answer: the name is unknown, nobody listens, or the connection broke before the end."""

    code = "unreachable"

    def __init__(self, url: str, message: str, is_retryable: bool = True) -> None:
        super().__init__(url, message)
        self.args = (self.url, message, is_retryable)
        self.is_retryable = is_retryable


class CertificateRefusedError(UnreachableError):
    """The server could not prove that it is the host of the URL."""

    code = "certificate_refused"

    def __init__(self, url: str, message: str = "the server's certificate is not valid for this host") -> None:
        super().__init__(url, message, is_retryable=False)
        self.args = (self.url, message)
