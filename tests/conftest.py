import pytest
from hypothesis import settings

# The same examples in every run, and no clock: a busy machine is no fault.
settings.register_profile("tests", derandomize=True, deadline=None)
settings.load_profile("tests")


@pytest.fixture
def no_figures(monkeypatch):
    """Runs end without their figures, which take longer than a tiny run."""
    monkeypatch.setattr("train_agent.draw_figures", lambda *run: None)
