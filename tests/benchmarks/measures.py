"""The measures: a running stack is asked the same in several ways, in turns, and what that took makes rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from shared.identity.service import connect_identity
from tests.benchmarks.client import Call, call, rate, together
from tests.benchmarks.processes import processor_seconds
from tests.benchmarks.report import Compared, Row, Target
from tests.benchmarks.startup import FORWARD, FUNCTIONS, HELLO, Start, running, start
from tests.benchmarks.traffic import WARM_UP, alternate, in_turns, milliseconds
from tests.benchmarks.upstream import TEXT
from tests.support.stack import LocalStack

STREAMS = 100
EVENTS = 20
PACE_MS = 50

PACED_MODEL = "paced"
"""The alias that ``tests.benchmarks.upstream`` answers for; ``default`` is the built-in stand-in."""

_CHAT = "/v1/chat/completions"
_GUARD_SERVICE_ACCOUNT = "guard@wardgate.local"

_QUESTION = (
    "Our shop moves its customer records to another country next month. Which three questions should we "
    "ask the new host about backups, and how do we check the answers before we sign? Keep it short."
)
_SHORT = [{"role": "user", "content": _QUESTION}]
_LONG = [{"role": role, "content": 5 * _QUESTION} for _ in range(8) for role in ("user", "assistant")] + _SHORT
"""A conversation of 17 messages and 15 kB."""


_MANY = Target("value", 400, at_least=True)


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure."""

    latency_rounds: int
    rate_rounds: int
    rate_seconds: float
    stream_rounds: int
    start_rounds: int


FULL = Effort(latency_rounds=1500, rate_rounds=4, rate_seconds=2.5, stream_rounds=3, start_rounds=7)
QUICK = Effort(latency_rounds=100, rate_rounds=1, rate_seconds=0.8, stream_rounds=1, start_rounds=1)


class Measures:
    """All measures of one run. ``model`` as a baseline is the model function, called past guard, with
    guard's own identity and the same body."""

    def __init__(self, stack: LocalStack, upstream: str, effort: Effort) -> None:
        """
        Args:
            stack: Runs, with a policy that has the model ``PACED_MODEL``.
            upstream: Base URL of the server behind that model.
            effort: How long to measure.
        """
        self._stack = stack
        self._upstream = upstream
        self._effort = effort
        identity = connect_identity(f"local://{stack.home}/identity", _GUARD_SERVICE_ACCOUNT)
        self._credentials = {
            "model": identity.headers(stack.model_url),
            "guard": {"authorization": f"Bearer {stack.key}"},
        }

    def rows(self) -> Iterator[Row]:
        """Measure everything; each row as soon as it is known."""
        with running(FORWARD, self._environment(), one_core=True) as forward:
            yield from self._latency(forward)
            yield from self._rates(forward)
        yield from self._streams()
        yield from self._starts()

    def _latency(self, forward: str) -> Iterator[Row]:
        rounds = self._effort.latency_rounds
        before = self._processor_seconds()
        whole = alternate({**self._calls(_SHORT), "forward": self._chat("model", forward, _SHORT)}, rounds)
        after = self._processor_seconds()
        yield _added("answer p50, 1 client", whole, 50, Target("difference", 3.0))
        yield _added("answer p99, 1 client", whole, 99)
        medians = {name: milliseconds(seconds, 50) for name, seconds in whole.items()}
        added = {name: medians[name] - medians["model"] for name in ("guard", "forward")}
        yield Row("added p50, 1 client", "ms", added["guard"], "forward", added["forward"])
        if before and after:
            guard, model = (1000 * (after[name] - before[name]) / (WARM_UP + rounds) for name in ("guard", "model"))
            # In each round guard answers once, and the model function three times.
            yield Row("processor time of an answer", "ms", guard, "model", model / 3)
        yield _added("answer p50, 15 kB asked", alternate(self._calls(_LONG), rounds // 5), 50)
        streamed = alternate(self._calls(_SHORT, stream=True), rounds // 5, first_byte=True)
        yield _added("first streamed byte p50", streamed, 50)

    def _rates(self, forward: str) -> Iterator[Row]:
        calls = {**self._calls(_SHORT), "forward": self._chat("model", forward, _SHORT)}
        for clients in (1, 16):
            measure = partial(rate, clients=clients, seconds=self._effort.rate_seconds)
            figures = in_turns(calls, self._effort.rate_rounds, measure)
            name = f"answers a second, {clients} client{'s' if clients > 1 else ''}"
            target = _MANY if clients > 1 else None
            yield Row(name, "/s", figures["guard"], "model", figures["model"], target=target)
            yield Row(f"{name}, of a bare gateway's", "/s", figures["guard"], "forward", figures["forward"])

    def _streams(self) -> Iterator[Row]:
        calls = {
            "upstream": call(f"{self._upstream}/chat/completions", {}),
            **self._calls(_SHORT, PACED_MODEL, stream=True),
        }
        measure = partial(together, clients=STREAMS, expected=TEXT.encode(), count=EVENTS)
        figures = in_turns(calls, self._effort.stream_rounds, measure)
        ideal = EVENTS * PACE_MS / 1000
        for name, target in (("upstream", None), ("model", None), ("guard", Target("ratio", 1.2))):
            yield Row(f"{STREAMS} streams at once, {name}", "s", figures[name], "ideal", ideal, target=target)

    def _starts(self) -> Iterator[Row]:
        starts = self._start_in_turns()
        hello = starts.pop(HELLO.name)
        for name, each in starts.items():
            yield _start_row(f"start to first 200, {name}", each.first_200, hello.first_200, Target("ratio", 1.6))
        for name, each in starts.items():
            if each.first_chat is not None:
                yield _start_row(f"start to first chat, {name}", each.first_chat, hello.first_200)
        for name, each in starts.items():
            yield _start_row(f"imports, {name}", each.imports, hello.imports, compared="difference")

    def _start_in_turns(self) -> dict[str, Start]:
        """Medians by the function's name. The functions share the stack's state and its model function."""
        environment = self._environment()
        starts: dict[str, list[Start]] = {function.name: [] for function in (HELLO, *FUNCTIONS)}
        for _ in range(self._effort.start_rounds):
            for function in (HELLO, *FUNCTIONS):
                starts[function.name].append(start(function, environment, self._chat_at(function.name)))
        return {name: Start.median(each) for name, each in starts.items()}

    def _environment(self) -> dict[str, str]:
        """For another process of one of the stack's functions."""
        return {
            **self._stack.environment,
            "WARDGATE_ENV": "development",
            "WARDGATE_MODEL_URL": self._stack.model_url,
        }

    def _processor_seconds(self) -> dict[str, float]:
        processes = self._stack.processes()
        return {name: used for name in ("guard", "model") if (used := processor_seconds(name, processes))}

    def _calls(self, messages: _Messages, model: str = "default", *, stream: bool = False) -> dict[str, Call]:
        urls = {"model": self._stack.model_url, "guard": self._stack.url}
        return {name: self._chat(name, url, messages, model, stream) for name, url in urls.items()}

    def _chat(self, name: str, url: str, messages: _Messages, model: str = "default", stream: bool = False) -> Call:
        body = {"model": model, "messages": messages, "stream": stream}
        return call(url + _CHAT, body, self._credentials[name])

    def _chat_at(self, name: str) -> Callable[[str], Call] | None:
        """Makes a chat for another process of the function, by its URL; None where the function serves none."""
        return (lambda url: self._chat(name, url, _SHORT)) if name in self._credentials else None


_Messages = Sequence[Mapping[str, str]]


def _added(name: str, seconds: Mapping[str, Sequence[float]], percent: int, target: Target | None = None) -> Row:
    guard, model = (milliseconds(seconds[way], percent) for way in ("guard", "model"))
    return Row(name, "ms", guard, "model", model, "difference", target)


def _start_row(
    name: str, seconds: float, hello: float, target: Target | None = None, compared: Compared = "ratio"
) -> Row:
    return Row(name, "ms", seconds * 1000, "hello", hello * 1000, compared, target)
