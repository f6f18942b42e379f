"""A process whose settings cannot work does not start."""

import pytest

from app.main import create_app
from app.settings import Settings
from app.worker import build_worker


@pytest.mark.parametrize("start", [create_app, build_worker], ids=["api", "worker"])
@pytest.mark.parametrize(
    "wrong",
    [{"smtp_url": "http://u:hunter2@mail"}, {"webhook_url": "https://example.org/"}, {"fetch_allow": "nowhere"}],
)
def test_a_channel_that_cannot_work_is_told_at_the_start(tmp_path, start, wrong):
    settings = Settings(data_dir=tmp_path, **wrong)

    with pytest.raises(ValueError, match=r"(?i)" + next(iter(wrong)).partition("_")[0]) as caught:
        start(settings)

    assert "hunter2" not in str(caught.value)
