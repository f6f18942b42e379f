"""Both backends, and the real documents."""

import pytest

from tests.unit.extract.documents import real_documents


@pytest.fixture(params=["celery", "dramatiq"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend in turn."""
    return request.param


@pytest.fixture(scope="session")
def long_pdf() -> bytes:
    """A PDF of 19 pages."""
    return (real_documents() / "pdf" / "GeoBase_NHNC1_Data_Model_UML_EN.pdf").read_bytes()
