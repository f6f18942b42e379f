"""The route whose parameters are given by their names."""

import pytest
from fastapi import APIRouter, Request
from pydantic import BaseModel

from app.api.bodies import JsonRoute


class Body(BaseModel):
    """Any body."""

    text: str


def test_a_parameter_that_nothing_gives_is_refused_when_the_route_is_made():
    router = APIRouter(route_class=JsonRoute)

    async def endpoint(request: Request, body: Body, limit: int):
        """Never called."""

    with pytest.raises(TypeError, match="/things: nothing gives limit"):
        router.post("/things")(endpoint)
