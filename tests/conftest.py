import pytest


@pytest.fixture
def no_figures(monkeypatch):
    """Runs end without their figures, which take longer than a tiny run."""
    monkeypatch.setattr("train_agent.draw_figures", lambda *run: None)
