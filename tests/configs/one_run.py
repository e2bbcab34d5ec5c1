"""Compose one run, or learn why it cannot be."""

from configs import compose_runs


def one(*arguments):
    """The config of the run that these settings make."""
    (request,) = compose_runs(list(arguments))
    assert request.error is None, request.error
    return request.config


def error(*arguments):
    """The sentence on why they make none."""
    (request,) = compose_runs(list(arguments))
    assert "\n" not in str(request.error)
    return str(request.error)
