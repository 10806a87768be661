"""schemathesis over the OpenAPI document: what it says is what the server does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from rekt import app
from rekt.config import load
from rekt.dashboard.api import ENDPOINTS
from rekt.dashboard.server import Dashboard, listen


@pytest.fixture(scope="module")
def url(books: Callable[[str], Path]) -> Iterator[str]:
    """A server in a thread of this process, which may be asked as often as one likes."""
    path = books("hostile")
    environment = {"REKT_DATABASE_PATH": str(path), "HOME": str(path.parent)}
    given = load(None, environment, extra=app.venue_keys(), launcher_root=None, cwd=None)
    made = app.dashboard(given, "127.0.0.1", rate=(1e9, 1e9))
    assert isinstance(made, Dashboard)
    sock = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(made, log_config=None, access_log=False, ws="none"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([sock])), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


RIGHT = [(endpoint.path, GenerationMode.POSITIVE) for endpoint in ENDPOINTS]
WRONG = [(endpoint.path, GenerationMode.NEGATIVE) for endpoint in ENDPOINTS if endpoint.parameters]


@pytest.mark.parametrize(("path", "mode"), RIGHT + WRONG)
def test_the_document_is_true(url: str, path: str, mode: GenerationMode) -> None:
    """No 5xx, no status, type or shape that it does not tell, for right and for wrong queries."""
    operation = schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json")[path]["GET"]

    @settings(max_examples=30, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(base_url=url)

    check()


def test_every_route_of_the_api_is_in_the_document(url: str) -> None:
    """What the document names answers, and the API has nothing else but the stream."""
    document = httpx.get(f"{url}/api/v1/openapi.json").json()
    for path in document["paths"]:
        assert httpx.get(url + path, timeout=20).status_code == 200
    assert "/api/v1/stream" in document["info"]["description"]
