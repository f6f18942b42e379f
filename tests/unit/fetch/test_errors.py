"""The tree of errors and what each carries."""

import pickle

import pytest

from app.fetch import errors
from app.fetch.errors import FetchError

URL = "http://h.test/"
ALL = [
    (errors.InvalidUrlError(URL, "m"), "invalid_url", False),
    (errors.AddressRefusedError(URL), "address_refused", False),
    (errors.InsecureRedirectError(URL, "m"), "insecure_redirect", False),
    (errors.TooManyRedirectsError(URL, "m"), "too_many_redirects", False),
    (errors.ResponseTooLargeError(URL, 10), "response_too_large", False),
    (errors.UnsupportedContentError(URL, "m"), "unsupported_content", False),
    (errors.RobotsRefusedError(URL), "robots_refused", False),
    (errors.RobotsRefusedError(URL, "m", is_retryable=True), "robots_refused", True),
    (errors.HttpStatusError(URL, 404), "http_status", False),
    (errors.HttpStatusError(URL, 503, 2.5), "http_status", True),
    (errors.FetchTimeoutError(URL, "m"), "fetch_timeout", True),
    (errors.UnreachableError(URL, "m"), "unreachable", True),
    (errors.UnreachableError(URL, "m", is_retryable=False), "unreachable", False),
    (errors.CertificateRefusedError(URL), "certificate_refused", False),
]


@pytest.mark.parametrize(("error", "code", "is_retryable"), ALL)
def test_an_error_says_what_happened_and_whether_to_try_again(error, code, is_retryable):
    assert isinstance(error, FetchError)
    assert (error.code, error.url, error.is_retryable) == (code, URL, is_retryable)
    assert str(error).startswith(URL)


@pytest.mark.parametrize(("error", "code", "is_retryable"), ALL)
def test_an_error_passes_between_processes_whole(error, code, is_retryable):
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
