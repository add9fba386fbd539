"""The least a gateway can be: it passes each request on to the model function and the answer back, unseen."""

import functools
import os
import time

import flask
import functions_framework

from shared.web.http_client import HttpClient


@functools.cache
def _client() -> HttpClient:
    return HttpClient(os.environ["WARDGATE_MODEL_URL"], connect_timeout=2)


@functions_framework.http
def forward(request: flask.Request) -> flask.typing.ResponseReturnValue:
    """Pass the request on with the credentials that it came with."""
    if request.path == "/healthz":
        return {"status": "ok"}
    headers = {"content-type": "application/json"}
    for name in ("authorization", "x-serverless-authorization"):
        if value := request.headers.get(name):
            headers[name] = value
    answer = _client().send(
        "POST", request.path, headers=headers, body=request.get_data(), deadline=time.monotonic() + 20
    )
    with answer:
        return flask.Response(answer.read(1 << 20), answer.status, content_type="application/json")
