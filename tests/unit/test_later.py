"""What is made when it is first needed: once, whoever asks for it first."""

import threading
import time

import pytest

from shared.later import Later, make_the_rest


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


def test_a_failure_is_not_kept() -> None:
    answers = iter([ValueError("not yet"), "made"])

    def make() -> str:
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return str(answer)

    later = Later(make)
    with pytest.raises(ValueError, match="not yet"):
        later()
    assert later() == "made"


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
