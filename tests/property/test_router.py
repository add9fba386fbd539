"""The router on virtual time: what is tried, in which order, and what is never tried."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BadRequest, ContentFiltered, NotFound, ServiceUnavailable
from shared.models.breaker import CircuitBreaker
from shared.models.router import Alias, Router, Target, capped
from shared.models.upstreams.failures import auth_failed, broken, timed_out, unavailable
from shared.models.upstreams.port import CallContext, UpstreamFailure
from shared.web.http_client import CallCancelled, Cancellation
from tests.support.models import Told, chat, chunks, completion

START = 1000.0


class World:
    """Some targets under the alias ``default``, and a clock that only they and the router's waiting move."""

    def __init__(self, *scripts, attempts=2, failures=5, seconds=120.0, call_takes=0.0, chance=0.5):
        self.now = START
        self.waits = []
        self.upstreams = [Told(script, takes=lambda _: self.pass_time(call_takes)) for script in scripts]
        targets = [
            Target(f"target-{number}", upstream, f"model-{number}", CircuitBreaker(failures, 15.0, self.time))
            for number, upstream in enumerate(self.upstreams)
        ]
        self.router = Router(
            {"default": Alias(targets, max_output_tokens=100)},
            attempts=attempts,
            now=self.time,
            wait=self.wait,
            chance=lambda: chance,
        )
        self.context = CallContext("req_test", START + seconds, START + seconds)

    def time(self):
        return self.now

    def pass_time(self, seconds):
        self.now += seconds

    def wait(self, cancel, seconds):
        cancel.check()
        self.waits.append(seconds)
        self.now += seconds

    def complete(self, **fields):
        return self.router.complete(chat(**fields), self.context)

    def calls(self):
        return [len(upstream.calls) for upstream in self.upstreams]


def rate_limited(retry_after=None):
    error = ServiceUnavailable("limited", code="upstream_rate_limited")
    return UpstreamFailure(error, retry=True, unhealthy=False, retry_after=retry_after)


def down():
    return UpstreamFailure(unavailable(), retry=True, unhealthy=True)


def slow():
    return UpstreamFailure(timed_out(), retry=False, unhealthy=True)


def test_the_first_target_answers():
    world = World([completion()], [])
    routed = world.complete()
    assert (routed.upstream, routed.upstream_model) == ("target-0", "m-1")
    assert routed.answer.model == "default"
    assert world.upstreams[0].calls[0][1] == "model-0"
    assert world.calls() == [1, 0]


def test_a_passing_failure_is_tried_again_on_the_same_target():
    world = World([down(), completion()], [])
    assert world.complete().upstream == "target-0"
    assert len(world.waits) == 1


def test_then_the_next_target_is_asked():
    world = World([down(), broken()], [completion(model="m-2")])
    routed = world.complete()
    assert (routed.upstream, routed.upstream_model) == ("target-1", "m-2")


@pytest.mark.parametrize("failure", [slow, auth_failed])
def test_what_another_try_cannot_mend_goes_straight_to_the_next_target(failure):
    world = World([failure()], [completion()])
    assert world.complete().upstream == "target-1"
    assert world.calls() == [1, 1]
    assert world.waits == []


@pytest.mark.parametrize("error", [BadRequest("no", code="upstream_rejected"), ContentFiltered("no")])
def test_what_is_the_callers_is_never_tried_again(error):
    world = World([error], [completion()])
    with pytest.raises(type(error)):
        world.complete()
    assert world.calls() == [1, 0]


def test_the_last_failure_is_told():
    world = World([down(), down()], [rate_limited(), rate_limited()])
    with pytest.raises(ServiceUnavailable) as caught:
        world.complete()
    assert caught.value.code == "upstream_rate_limited"


@pytest.mark.parametrize(
    ("scripts", "told"),
    [
        ([[auth_failed()]], "false"),
        ([[auth_failed()], [auth_failed()]], "false"),
        ([[down(), auth_failed()]], "false"),
        ([[down(), down()]], None),
        ([[auth_failed(final=False)]], None),
        ([[auth_failed()], [slow()]], None),
        ([[slow()], [auth_failed()]], None),
    ],
)
def test_a_retry_is_advised_against_where_no_target_could_answer_it(scripts, told):
    with pytest.raises(ServiceUnavailable) as caught:
        World(*scripts).complete()
    assert caught.value.headers.get("x-should-retry") == told


def test_a_target_that_was_not_asked_could_answer_a_retry():
    world = World([auth_failed()], [completion()], seconds=10.0, call_takes=10.0)
    with pytest.raises(ServiceUnavailable) as caught:
        world.complete()
    assert world.calls() == [1, 0]
    assert "x-should-retry" not in caught.value.headers


def test_retry_after_is_honoured_where_it_fits():
    world = World([rate_limited(7.0), completion()])
    assert world.complete().upstream == "target-0"
    assert world.waits == [7.0]


def test_retry_after_beyond_the_time_left_goes_to_the_next_target():
    world = World([rate_limited(7.0)], [completion()], seconds=10.0)
    assert world.complete().upstream == "target-1"
    assert world.waits == []


def test_waiting_is_jittered_and_grows():
    for chance, expected in [(0.0, [0.1, 0.2]), (1.0, [0.2, 0.4])]:
        world = World([down(), down(), completion()], attempts=3, chance=chance)
        world.complete()
        assert world.waits == pytest.approx(expected)


def test_each_target_gets_its_share_of_the_time():
    world = World([slow()], [slow()], [completion()], seconds=90.0, call_takes=10.0)
    world.complete()
    limits = [upstream.calls[0][2].answer_by - START for upstream in world.upstreams]
    assert limits == [30.0, 10.0 + 40.0, 90.0]


def test_a_target_that_failed_too_often_is_left_alone_and_tried_again_later():
    world = World([*[down()] * 4, completion()], [completion()] * 4, failures=4)
    world.complete()
    world.complete()
    world.complete()
    assert world.calls() == [4, 3]
    world.now += 15.0
    world.context = CallContext("req_test", world.now + 60, world.now + 60)
    assert world.complete().upstream == "target-0"


def test_while_every_target_rests_the_caller_learns_for_how_long():
    world = World([down(), down()], failures=2)
    with pytest.raises(ServiceUnavailable):
        world.complete()
    with pytest.raises(ServiceUnavailable) as caught:
        world.complete()
    assert world.calls() == [2]
    assert caught.value.headers["retry-after"] == "15"


def test_rate_limits_and_refusals_do_not_open_the_breaker():
    world = World([rate_limited(), rate_limited(), auth_failed(), completion()], failures=1)
    for _ in range(2):
        with pytest.raises(ServiceUnavailable):
            world.complete()
    world.complete()
    assert world.calls() == [4]


def test_an_unknown_model():
    world = World([])
    with pytest.raises(NotFound) as caught:
        world.router.complete(chat(model="gpt-4"), world.context)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_target_without_a_model_is_asked_for_the_alias():
    upstream = Told([completion()])
    router = Router({"default": Alias([Target("t", upstream, None, CircuitBreaker(5, 15))], 10)}, attempts=1)
    router.complete(chat(), CallContext("r", 1e12, 1e12))
    assert upstream.calls[0][1] == "default"


def test_no_call_without_time():
    world = World([completion()], seconds=0.0)
    with pytest.raises(ServiceUnavailable) as caught:
        world.complete()
    assert (caught.value.status, caught.value.code) == (504, "upstream_timeout")
    assert world.calls() == [0]


def test_a_cancellation_ends_the_waiting():
    cancel = Cancellation()
    world = World([down(), completion()])
    world.context = CallContext("r", START + 60, START + 60, cancel)
    cancel.cancel()
    with pytest.raises(CallCancelled):
        world.complete()
    assert world.calls() == [1]


# --- streams ------------------------------------------------------------------------------------


def stream(world, **fields):
    return world.router.stream(chat(stream=True, **fields), world.context)


def test_a_stream_comes_under_the_alias():
    world = World([chunks("a", "b")])
    routed = stream(world)
    assert (routed.upstream, routed.upstream_model) == ("target-0", "m-1")
    assert [chunk.model for chunk in routed.answer] == ["default"] * 3


def test_before_the_first_chunk_a_stream_is_tried_again_and_elsewhere():
    world = World([[down()], []], [chunks("a")])
    routed = stream(world)
    assert routed.upstream == "target-1"
    assert world.calls() == [2, 1]


def test_after_the_first_chunk_a_failure_is_told():
    world = World([[*chunks("a"), broken()]], [chunks("b")])
    routed = stream(world)
    with pytest.raises(ServiceUnavailable) as caught:
        list(routed.answer)
    assert caught.value.code == "upstream_error"
    assert world.calls() == [1, 0]


def test_streams_that_break_open_the_breaker():
    world = World([[*chunks("a"), broken()]] * 2, failures=2)
    for _ in range(2):
        with pytest.raises(ServiceUnavailable):
            list(stream(world).answer)
    with pytest.raises(ServiceUnavailable) as caught:
        stream(world)
    assert caught.value.code == "upstream_unavailable"
    assert world.calls() == [2]


def test_closing_a_stream_ends_the_upstreams_call():
    world = World([chunks("a", "b", "c")])
    routed = stream(world)
    next(routed.answer)
    routed.answer.close()
    assert world.upstreams[0].closed == 1


# --- caps ---------------------------------------------------------------------------------------

TOKENS = st.none() | st.integers(1, 1_000_000)


@given(max_tokens=TOKENS, max_completion_tokens=TOKENS, cap=st.integers(1, 1_000_000))
def test_no_request_asks_for_more_than_its_alias_allows(max_tokens, max_completion_tokens, cap):
    asked = chat(max_tokens=max_tokens, max_completion_tokens=max_completion_tokens)
    sent = capped(asked, cap)
    given = [number for number in (max_tokens, max_completion_tokens) if number is not None]
    named = [number for number in (sent.max_tokens, sent.max_completion_tokens) if number is not None]
    assert min(named) == min([*given, cap])
    assert max(named) <= cap
    assert (asked.max_tokens, asked.max_completion_tokens) == (max_tokens, max_completion_tokens)


# --- every order of outcomes --------------------------------------------------------------------

OUTCOMES = st.sampled_from(
    ["answer", "down", "broken", "slow", "auth", "limited", "limited-long", "rejected", "filtered"]
)


def outcome(name):
    return {
        "answer": completion,
        "down": down,
        "broken": broken,
        "slow": slow,
        "auth": auth_failed,
        "limited": lambda: rate_limited(1.0),
        "limited-long": lambda: rate_limited(1000.0),
        "rejected": lambda: BadRequest("no", code="upstream_rejected"),
        "filtered": lambda: ContentFiltered("no"),
    }[name]()


@given(
    scripts=st.lists(st.lists(OUTCOMES, min_size=4, max_size=4), min_size=1, max_size=4),
    attempts=st.integers(1, 4),
    takes=st.sampled_from([0.0, 0.3, 5.0, 50.0]),
    chance=st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=300)
def test_in_any_order_of_outcomes(scripts, attempts, takes, chance):
    world = World(
        *[[outcome(name) for name in script] for script in scripts],
        attempts=attempts,
        call_takes=takes,
        chance=chance,
        failures=1000,
    )
    try:
        told = world.complete().upstream
    except (BadRequest, ServiceUnavailable) as error:
        told = error
    tried = [script[:count] for script, count in zip(scripts, world.calls(), strict=True)]
    names = [name for script in tried for name in script]
    final = {"answer", "rejected", "filtered"}
    # What settles a request is the last thing tried, and it is what the caller gets.
    assert not final & set(names[:-1])
    if names[-1] == "answer":
        assert told == f"target-{max(number for number, script in enumerate(tried) if script)}"
    elif names[-1] in final:
        assert isinstance(told, BadRequest)
    else:
        assert isinstance(told, ServiceUnavailable)
        hopeless = all(script and script[-1] == "auth" for script in tried)
        assert ("x-should-retry" in told.headers) == hopeless
        # It gave up only because nothing was left: every target was tried while there was time.
        assert all(tried) or world.now >= world.context.answer_by
    # Targets are asked in order, each a bounded number of times, none before those ahead of it.
    assert all(len(script) <= attempts for script in tried)
    assert all(script for script in tried[: len(tried) - 1]) or not any(tried[tried.index([]) :])
    # What another try cannot mend is not tried again; and waiting never eats the whole time.
    assert all(name not in ("slow", "auth", "limited-long") for script in tried for name in script[:-1])
    assert all(
        limits.answer_by <= world.context.answer_by + 1e-6 for up in world.upstreams for _, _, limits in up.calls
    )
    assert sum(world.waits) < 120.0
