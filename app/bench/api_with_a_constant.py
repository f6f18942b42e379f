"""The service's API with one route more: `POST /api/v1/constant`, whose answer was made before anybody asked.

Its requests go through the gate and into the access log like all others.
"""

from starlette.responses import Response

from app.api.encoding import json_response
from app.api.schemas import TaskRequest
from app.main import PREFIX, create_app, serve
from app.settings import Settings

ANSWER = {"id": "c" * 53, "status": "pending", "links": {"self": "/api/v1/tasks/" + "c" * 53}}


def main() -> None:
    """Serve as the environment says."""
    settings = Settings()
    app = create_app(settings)

    @app.post(f"{PREFIX}/constant", status_code=202)
    async def constant(_: TaskRequest) -> Response:
        return json_response(ANSWER, 202)

    serve(app, settings)


if __name__ == "__main__":
    main()
