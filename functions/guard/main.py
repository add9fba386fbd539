"""guard: the public HTTP function. Everything it does is in ``shared.gateway``."""

from __future__ import annotations

import gc

gc.disable()  # a start makes what stays: whoever looks for garbage in it finds next to none

# ruff: noqa: E402
import functions_framework
from flask import Request, Response

from shared.gateway.assemble import assemble, import_adapters
from shared.gateway.router import Gateway
from shared.guards.tenants import Pipelines
from shared.later import make_the_rest
from shared.web.framework import answer_every_path
from shared.web.start import faults_end_the_start, once, start

_START = start({"documents", "events", "secrets", "model_url", "identity"})
# Before gunicorn forks, so that no request waits for it.
with faults_end_the_start():
    import_adapters(_START)
    _PIPELINES = Pipelines(_START.policy.file)


@once
def _gateway() -> Gateway:
    """Made with the first request: connections and the audit chain belong to one process."""
    return Gateway(assemble(_START, _PIPELINES))


_make_the_rest = once(make_the_rest)


def _answer(request: Request) -> Response:
    answer = _gateway()(request)
    answer.call_on_close(_make_the_rest)  # with the first answer: what it did not need, the next one may
    return answer


@functions_framework.http
def guard(request: Request) -> Response:
    """Answer one request."""
    return _answer(request)


answer_every_path(_answer)
gc.freeze()  # nor later: a look writes into every object, and gunicorn's worker shares their memory with its master
gc.enable()
