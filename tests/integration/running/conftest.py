"""Both backends, and the real documents."""

import os
from pathlib import Path

import pytest


@pytest.fixture(params=["celery", "dramatiq"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend in turn."""
    return request.param


@pytest.fixture(scope="session")
def long_pdf() -> bytes:
    """A PDF of 19 pages."""
    place = Path(os.environ.get("ONCEQ_DATA", Path(__file__).parents[4] / "shared" / "data"))
    file = place / "pdf" / "GeoBase_NHNC1_Data_Model_UML_EN.pdf"
    if not file.is_file():
        if os.environ.get("CI") == "true":
            pytest.fail(f"the real documents are not at {place}")
        pytest.skip("the real documents are not on this machine; set ONCEQ_DATA")
    return file.read_bytes()
