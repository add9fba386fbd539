"""A model server that streams at an even pace, as a model does, and costs next to no CPU.

    python -m tests.benchmarks.upstream EVENTS MILLISECONDS

Prints the port it listens on, serves every POST as a streamed chat of so many events, one every so
many milliseconds, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

TEXT = "word "
"""What each event adds to the answer."""

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _chunk(data: str) -> bytes:
    event = f"data: {data}\n\n".encode()
    return f"{len(event):x}\r\n".encode() + event + b"\r\n"


def _event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _chunk(
        json.dumps(
            {
                "id": "chatcmpl-paced",
                "object": "chat.completion.chunk",
                "created": 1_700_000_000,
                "model": "paced-1",
                "choices": [choice],
            }
        )
    )


_TOKEN = _event({"content": TEXT})
_USAGE = _chunk(
    json.dumps(
        {
            "id": "chatcmpl-paced",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "paced-1",
            "choices": [],
            "usage": {"prompt_tokens": 9, "completion_tokens": 20, "total_tokens": 29},
        }
    )
)
_END = _event({}, "stop") + _USAGE + _chunk("[DONE]") + b"0\r\n\r\n"


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, events: int, pace: float) -> None:
    now = asyncio.get_running_loop().time
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(
                int(line.partition(b":")[2])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            started = now()
            writer.write(_HEAD)
            for number in range(1, events + 1):
                await asyncio.sleep(started + number * pace - now())
                writer.write(_TOKEN)
                await writer.drain()
            writer.write(_END)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client has closed the connection
    finally:
        writer.close()


async def main() -> None:
    """Serve until standard input ends."""
    events, pace = int(sys.argv[1]), int(sys.argv[2]) / 1000
    server = await asyncio.start_server(lambda r, w: _serve(r, w, events, pace), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
