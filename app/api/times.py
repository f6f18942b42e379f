"""When a client may ask for its task to run."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from queues.call import MAX_DELAY_S


def _within_reach(eta: datetime) -> datetime:
    if (eta - datetime.now(UTC)).total_seconds() > MAX_DELAY_S:
        msg = f"must be at most {MAX_DELAY_S // 86_400} days away"
        raise ValueError(msg)
    return eta


_Seconds = Annotated[float, Field(le=MAX_DELAY_S, allow_inf_nan=False)]
Delay = Annotated[_Seconds, Field(ge=0, description="Seconds to wait before it runs.")]
Eta = Annotated[
    AwareDatetime,
    AfterValidator(_within_reach),
    Field(
        description="In place of `delay`: the moment before which it does not run.", examples=["2031-03-01T09:00:00Z"]
    ),
]
Expires = Annotated[
    _Seconds,
    Field(gt=0, description="Seconds after it is due within which it must begin; else it fails with `expired`."),
]
