"""The runtime as a BentoML service: `bentoml serve bento.service:Runtime --host 127.0.0.1 --port 3000`.

BentoML supplies worker processes that are started again when they die, and one listening socket. Its access log,
tracing and metrics stay off: measured, they cost three times what the rest of a request does, its counters know no
campaigns, and `@bentoml.api` would turn our typed errors into 200s. `app` does all of that itself.
"""

from __future__ import annotations

from typing import Any, cast

import bentoml

from bento.app import Operations, create_app, is_ready

app = create_app(log_to_stdout=True)


@bentoml.service(
    workers=2,
    # One worker is one core's work: numpy and onnxruntime get no threads of their own.
    envs=[{"name": "OMP_NUM_THREADS", "value": "1"}, {"name": "OPENBLAS_NUM_THREADS", "value": "1"}],
    # Every request leaves one timer alive for so long; ours end by themselves well before.
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
    metrics={"enabled": False},
)
@bentoml.asgi_app(app, path="/")
class Runtime:
    """All campaigns on one port; /livez and /readyz are BentoML's routes and ask here."""

    async def __is_ready__(self) -> bool:
        return await is_ready(app)


# The decorator makes it a bentoml Service, which its types do not say.
cast(Any, Runtime).add_asgi_middleware(Operations, wire=app.state.wire)
