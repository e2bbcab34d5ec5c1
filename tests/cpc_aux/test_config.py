import dataclasses

import pytest
from torch import nn

from cpc_aux import CPC, AuxConfig, make_aux
from cpc_aux.config import NAMES, NEGATIVES, PREDICTORS
from cpc_aux.negatives import STRATEGIES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize("anchors", [1, None])
def test_every_listed_combination_is_valid(
    name: str, negatives: str, predictor: str, anchors: int | None
) -> None:
    AuxConfig(
        name, horizon=1, weight=0.0, negatives=negatives, anchors=anchors, predictor=predictor
    ).validate()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "cpca"}, "aux.name is 'cpca'; allowed: none, cpc, cpc_action."),
        (
            {"negatives": "all"},
            "aux.negatives is 'all'; allowed: pool, sequence, others, same_step.",
        ),
        ({"predictor": "lstm"}, "aux.predictor is 'lstm'; allowed: linear, gru."),
        ({"horizon": 0}, "aux.horizon is 0; it must be at least 1 agent step."),
        ({"weight": -0.1}, "aux.weight is -0.1; it must be finite and not negative."),
        ({"weight": float("nan")}, "aux.weight is nan; it must be finite and not negative."),
        ({"weight": float("inf")}, "aux.weight is inf; it must be finite and not negative."),
        (
            {"anchors": 0},
            "aux.anchors is 0; it must be at least 1 time step, or null for all of them.",
        ),
    ],
)
def test_a_value_out_of_range_is_refused_in_one_sentence(
    change: dict[str, object], sentence: str
) -> None:
    config = dataclasses.replace(AuxConfig(), **change)  # type: ignore[arg-type]
    with pytest.raises(ValueError) as from_validate:  # noqa: PT011
        config.validate()
    assert str(from_validate.value) == sentence
    with pytest.raises(ValueError) as from_make:  # noqa: PT011
        make_aux(config, 5, 7, 3)
    assert str(from_make.value) == sentence


def test_every_strategy_has_a_name_in_the_config() -> None:
    assert set(NEGATIVES) == set(STRATEGIES)


def test_none_makes_no_module_and_the_others_make_one() -> None:
    assert make_aux(AuxConfig("none"), 5, 7, 3) is None
    for name in ("cpc", "cpc_action"):
        head = make_aux(AuxConfig(name), 5, 7, 3)
        assert isinstance(head, nn.Module)
        assert isinstance(head, CPC)
