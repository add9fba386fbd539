"""The first requests of a fresh instance come at once, as they do where a burst of calls is what starts one."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from tests.support.raw_http import exchange, request_bytes
from tests.support.stack import LocalStack

_CALLS = 16


def test_every_call_of_the_first_burst_is_answered(tmp_path: Path) -> None:
    with LocalStack(tmp_path / "home") as stack, ThreadPoolExecutor(_CALLS) as threads:
        processes = stack.processes()
        together = Barrier(_CALLS)
        chat = json.dumps({"model": "default", "messages": [{"role": "user", "content": "Hello"}]}).encode()
        headers = [
            *(("host", "guard"), ("connection", "close"), ("authorization", f"Bearer {stack.key}")),
            *(("content-type", "application/json"), ("content-length", str(len(chat)))),
        ]
        request = request_bytes("POST", "/v1/chat/completions", headers, chat)

        def ask(_: int) -> int | None:
            together.wait()
            answer = exchange(stack.port, request)
            return answer.status if answer else None

        assert list(threads.map(ask, range(_CALLS))) == [200] * _CALLS
        assert set(processes) <= set(stack.processes()), "a process died"
