"""The least a function can be: the yardstick for what Wardgate's functions cost to start and to call."""

import flask
import functions_framework


@functions_framework.http
def hello(request: flask.Request) -> flask.typing.ResponseReturnValue:
    """Answer every request with the same few bytes."""
    return {"hello": "world"}
