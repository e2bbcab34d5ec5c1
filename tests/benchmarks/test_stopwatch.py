import threading
import types

import pytest

from benchmarks.stopwatch import Stopwatch


class Worker:
    """Lets the clock advance: 7 s in `inner`, 2 + 7 + 3 s in `outer`."""

    def __init__(self, clock):
        self.clock = clock

    def inner(self):
        self.clock.now += 7.0
        return "result"

    def outer(self):
        self.clock.now += 2.0
        result = self.inner()
        self.clock.now += 3.0
        return result


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_call_is_timed_less_the_calls_within_it(clock):
    worker = Worker(clock)
    with Stopwatch(clock) as watch:
        watch.watch(worker, "outer", "out")
        watch.watch(worker, "inner", "in")
        with watch.span("all"):
            clock.now += 11.0
            assert worker.outer() == "result"
        clock.now += 13.0  # outside: nobody's
    assert watch.seconds == {("all",): 11.0, ("all", "out"): 5.0, ("all", "out", "in"): 7.0}
    assert watch.by_part(lambda path: str("in" in path)) == {"False": 16.0, "True": 7.0}


def test_time_goes_to_the_thread_that_is_waited_for(clock):
    worker = Worker(clock)
    with Stopwatch(clock) as watch:
        watch.watch(worker, "inner", "in")
        with watch.span("all"):
            thread = threading.Thread(target=worker.outer)
            thread.start()
            thread.join()
    assert watch.seconds == {("all",): 5.0, ("all", "in"): 7.0}


def test_an_exception_closes_the_calls_that_it_leaves(clock):
    def fail():
        clock.now += 2.0
        raise KeyError

    owner = types.SimpleNamespace(fail=fail)
    with Stopwatch(clock) as watch:
        watch.watch(owner, "fail", "failing")
        with watch.span("all"):
            with pytest.raises(KeyError):
                owner.fail()
            clock.now += 3.0
    assert watch.seconds == {("all",): 3.0, ("all", "failing"): 2.0}


def test_methods_and_functions_are_put_back():
    worker, module = Worker(None), types.ModuleType("module")
    module.function = original = lambda: None
    with Stopwatch() as watch:
        watch.watch(worker, "inner", "in")
        watch.watch(module, "function", "f")
        assert "inner" in vars(worker)
        assert module.function is not original
    assert "inner" not in vars(worker)
    assert module.function is original


def test_what_replaces_a_method_can_be_timed_and_is_put_back_too(clock):
    worker = Worker(clock)
    original = worker.inner
    with Stopwatch(clock) as watch:
        watch.replace(worker, "inner", lambda: "instead")
        watch.watch(worker, "inner", "in")
        assert worker.inner() == "instead"
        assert watch.calls["in",] == 1
    assert worker.inner == original
