"""Signals that ask a run to end."""

import os
import signal
from contextlib import nullcontext

import pytest

from records.signals import Interrupted, StopSignals


def receive(*numbers):
    for number in numbers:
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("deferred", [False, True])
def test_a_signal_while_the_end_is_under_way_is_ignored(deferred):
    """`timeout` sends two, and so do impatient people: the second must not end in a traceback."""
    with StopSignals() as signals:
        held = signals.deferred() if deferred else nullcontext()
        with pytest.raises(Interrupted, match="SIGTERM"), held:
            receive(signal.SIGTERM)
        receive(signal.SIGTERM, signal.SIGINT)


def test_a_second_signal_does_not_wait_for_the_update():
    with StopSignals() as signals, pytest.raises(Interrupted, match="SIGINT"), signals.deferred():
        receive(signal.SIGTERM, signal.SIGINT)
