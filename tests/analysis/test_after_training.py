from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.after_training import draw_figures

MakeRun = Callable[..., Path]


def test_a_run_without_episodes_leaves_the_figure_as_it_is(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run("cpc", 1)
    figure = run.parents[1] / "returns.png"
    figure.write_bytes(b"of longer runs")
    draw_figures(run, figure.parent, None, ["aux=cpc"])
    assert figure.read_bytes() == b"of longer runs"
    assert "No episode has ended yet" in capsys.readouterr().out
    draw_figures(make_run("none", 2, [(500, 1.0)]), figure.parent, None, ["aux=none"])
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert f"Return curves of 2 runs: {figure}" in capsys.readouterr().out
