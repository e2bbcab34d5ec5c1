"""Plans: what they make runs of, and what is wrong with the others, in one sentence."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from records.settings import first_difference, load_settings
from studies.plan import planned_runs, read_plan

ROOT = Path(__file__).parent.parent.parent
PLANS = ROOT / "studies" / "plans"
RESULTS = {  # of plans, in benchmarks/results
    "study_lasertag": "study",
    "strength_seekavoid": "strength",
    "explore_deep": "explore_limits",
    "pilots": "pilots/strength",
    "pilots_clip": "pilots/clip",
    "pilots_explore": "pilots/explore",
}
# Nothing of them is committed yet.
NOT_RUN = {"explore_deep"}
PLAN = {
    "run_root": "somewhere",
    "settings": ["agent=a2c", "agent.learning_rate=3e-4"],
    "levels": {"room_watermaze": ["total_frames=7e6"], "seekavoid_arena_01": ["total_frames=5e6"]},
    "arms": {"none": ["aux=none"], "cpc-weak": ["aux=cpc", "aux.weight=0.01"]},
    "variants": {"": [], "fast": ["agent.learning_rate=2e-3"]},
    "cells": {"seekavoid_arena_01": {"cpc-weak": ["agent.entropy_cost=7e-3"]}},
    "seeds": [11, 13],
}


def write(tmp_path, **changes):
    path = tmp_path / "plan.yaml"
    content = {key: value for key, value in {**PLAN, **changes}.items() if value is not None}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def test_all_combinations_the_level_changing_fastest(tmp_path):
    runs = planned_runs(read_plan(write(tmp_path)))
    assert len(runs) == 2 * 2 * 2 * 2
    folders = [str(run.config.folder) for run in runs]
    assert folders[:5] == [
        "somewhere/labsim/room_watermaze/a2c/none/seed_11",
        "somewhere/labsim/seekavoid_arena_01/a2c/none/seed_11",
        "somewhere/labsim/room_watermaze/a2c/cpc-weak/seed_11",
        "somewhere/labsim/seekavoid_arena_01/a2c/cpc-weak/seed_11",
        "somewhere/labsim/room_watermaze/a2c/none-fast/seed_11",
    ]
    assert folders[-1] == "somewhere/labsim/seekavoid_arena_01/a2c/cpc-weak-fast/seed_13"


def test_later_settings_win_and_presets_do_not_undo_them(tmp_path):
    runs = {run.name: run.config for run in planned_runs(read_plan(write(tmp_path)))}
    plain = runs["room_watermaze none seed 13"]
    assert plain.total_frames == 7_000_000
    assert plain.agent.learning_rate == 3e-4
    assert plain.agent.entropy_cost == 2.5e-4  # the preset's
    cell = runs["seekavoid_arena_01 cpc-weak-fast seed 11"]
    assert cell.agent.learning_rate == 2e-3
    assert cell.agent.entropy_cost == 7e-3
    assert cell.aux.weight == 0.01


def test_names_may_be_numbers(tmp_path):
    runs = planned_runs(read_plan(write(tmp_path, variants={1: [], 0.5: []}, cells={})))
    assert {run.config.tag for run in runs} == {"1", "0.5", "weak-1", "weak-0.5"}


def test_run_root_can_be_replaced(tmp_path):
    runs = planned_runs(read_plan(write(tmp_path)), "elsewhere")
    assert {run.config.run_root for run in runs} == {"elsewhere"}
    assert all("run_root=elsewhere" in run.settings for run in runs)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"levles": {}}, "plan.yaml: levles is not a setting; allowed here: run_root, levels"),
        ({"seeds": None}, "plan.yaml: seeds has no value"),
        ({"seeds": []}, "plan.yaml: seeds is empty"),
        ({"variants": {}}, "plan.yaml: variants is empty"),
        ({"seeds": 3}, "seeds is 3; it must be a list"),
        ({"arms": {None: []}, "cells": {}}, "arms has the name None; a name must be a text"),
        ({"arms": {1: []}, "cells": {}}, "arm 1 has aux=none; its name must begin with none"),
        ({"arms": ["none"]}, r"arms is \['none'\]; set its parts, as in arms.NAME"),
        (
            {"levels": {"room_watermaze": "total_frames=1"}},
            "levels.room_watermaze is 'total_frames=1'; it must be a list",
        ),
        ({"cells": {"room_watermaze": {"other": []}}}, "cells has room_watermaze other"),
        (
            {"arms": {"weak": ["aux=cpc"]}, "cells": {}},
            "arm weak has aux=cpc; its name must begin with cpc",
        ),
        ({"levels": {"room": []}, "cells": {}}, "level room, arm none: env=room is not known"),
        ({"settings": ["agent.learning_rate=-1"]}, "learning_rate is -1"),
        ({"variants": {"x": ["aux.k=1"]}}, "room_watermaze, arm none, variant x: aux.k is not a"),
        ({"variants": {"": [], "x": ["tag=y"]}, "seeds": [11, 11]}, "is in the plan twice"),
    ],
)
def test_one_sentence_for_what_is_wrong(tmp_path, changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        planned_runs(read_plan(write(tmp_path, **changes)))


@pytest.mark.parametrize("content", [b"a: [\nb: 3", b"\xff\xfe", b"[" * 5000])
def test_what_is_no_yaml_is_named_in_one_line(tmp_path, content):
    (tmp_path / "plan.yaml").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as yaml: ") as error:
        read_plan(tmp_path / "plan.yaml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.yaml")), ids=lambda path: path.stem)
def test_plans_make_the_runs_whose_results_are_committed(path):
    """Whatever the presets' values are by now."""
    runs = planned_runs(read_plan(path))
    assert runs
    results = ROOT / "benchmarks" / "results" / RESULTS.get(path.stem, path.stem)
    compared = 0
    for run in runs:
        planned = dataclasses.asdict(run.config)
        encoder = "deep" if run.config.tag == "deep" else "shallow"
        assert planned["agent"]["network"]["encoder"] == encoder
        committed = results.joinpath(*run.config.folder.parts[-4:])  # level, agent, arm, seed
        if committed.exists():
            assert first_difference(load_settings(committed), planned) is None, committed
            compared += 1
    assert bool(compared) == (path.stem not in NOT_RUN)
