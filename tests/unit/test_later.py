"""What is made when it is first needed: once, whoever asks for it first."""

import gc
import sys
import threading
import time
import weakref

import pytest

from shared import later as module
from shared.later import Later, NotMade, make_the_rest


def test_threads_that_need_it_at_once_share_what_one_of_them_makes() -> None:
    made: list[object] = []

    def make() -> object:
        time.sleep(0.02)  # long enough for all to find it missing
        made.append(object())
        return made[-1]

    later = Later(make)
    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(later())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert got == made * 20


def test_nothing_is_made_before_it_is_needed_and_none_may_be_what_is_made() -> None:
    calls: list[int] = []
    later = Later(lambda: calls.append(1))
    assert calls == []
    assert later() is None
    assert later() is None
    assert calls == [1]


def test_what_cannot_be_made_is_not_tried_again_and_holds_nothing_of_who_asked() -> None:
    tried: list[int] = []

    class Prompt:
        """What a request holds."""

    def make() -> None:
        tried.append(1)
        raise ValueError("too large")

    def ask(prompt: Prompt) -> None:
        with pytest.raises(NotMade) as failure:
            later()
        assert str(failure.value.__cause__) == "too large"

    later = Later(make)
    prompts = [Prompt() for _ in range(3)]
    held = [weakref.ref(prompt) for prompt in prompts]
    while prompts:
        ask(prompts.pop())
    gc.collect()
    assert tried == [1]
    assert [prompt() for prompt in held] == [None] * 3


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else of this process is to be made."""
    everything: weakref.WeakSet[Later[object]] = weakref.WeakSet()
    monkeypatch.setattr(module, "_ALL", everything)


@pytest.mark.usefixtures("alone")
def test_one_that_cannot_be_made_is_told_of_and_the_others_are_made(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ValueError("rules that nobody should read in a log")

    made: list[int] = []
    everything = [Later(fail), Later(lambda: made.append(1)), Later(fail), Later(lambda: made.append(2))]
    module._make_the_rest()
    assert sorted(made) == [1, 2]
    assert (
        capsys.readouterr().err.splitlines()
        == ['{"severity":"ERROR","event":"later.not_made","error":"ValueError"}'] * 2
    )
    del everything


@pytest.mark.usefixtures("alone")
def test_what_is_added_meanwhile_disturbs_nothing() -> None:
    kept = [Later(int) for _ in range(200)]
    ended = threading.Event()

    def add() -> None:
        while not ended.is_set():
            kept.append(Later(int))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    adding = threading.Thread(target=add)
    adding.start()
    try:
        for _ in range(20):
            module._make_the_rest()
    finally:
        ended.set()
        adding.join()
        sys.setswitchinterval(interval)


def test_the_rest_is_made_in_a_thread_of_its_own() -> None:
    made_by: list[str] = []
    done = threading.Event()

    def make() -> None:
        made_by.append(threading.current_thread().name)
        done.set()

    later = Later(make)
    make_the_rest()
    assert done.wait(60)
    later()
    assert made_by == ["later"]
