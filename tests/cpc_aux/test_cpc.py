"""The head: gradients, anchors, the variants of predictions, and what it refuses."""

import copy
import itertools
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from cpc_aux import CPC, AuxConfig
from cpc_aux.config import NEGATIVES, PREDICTORS
from tests.cpc_aux.case import ACTIONS, VARIANTS, B, Case, E, H, K, T, assert_same

pytestmark = pytest.mark.usefixtures("each_way")


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize(("name", "predictor"), VARIANTS)
def test_gradient_reaches_embedding_context_and_every_parameter(
    name: str, predictor: str, negatives: str
) -> None:
    case = Case(name, predictor=predictor, negatives=negatives)
    case.is_first[5, 1] = True
    case.z.requires_grad_()
    case.c.requires_grad_()
    loss, metrics = case()
    loss.backward()
    assert case.z.grad is not None
    assert case.c.grad is not None
    assert case.z.grad[1:5].abs().sum(-1).all()
    assert case.c.grad[:4].abs().sum(-1).all()
    assert not case.c.grad[T].any()  # nothing is predicted from the last row
    for parameter in case.head.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0
    assert not any(value.requires_grad for value in metrics.values())
    assert metrics["loss_by_horizon"].shape == metrics["accuracy_by_horizon"].shape == (K,)
    scalars = {"loss", "accuracy", "chance", "bound"}
    assert set(metrics) == scalars | {"loss_by_horizon", "accuracy_by_horizon"}
    assert all(metrics[name].shape == () for name in scalars)


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize(("name", "predictor"), VARIANTS)
def test_trains_names_what_the_gradient_enters(name: str, predictor: str, negatives: str) -> None:
    both, context, embedding = (
        Case(name, predictor=predictor, negatives=negatives, trains=trains).run()
        for trains in ("both", "context", "embedding")
    )
    loss, of_z, of_c, of_maps = both
    assert_same(context, (loss, torch.zeros_like(of_z), of_c, of_maps))
    assert_same(embedding, (loss, of_z, torch.zeros_like(of_c), of_maps))


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_all_anchors_equal_null_whatever_their_order(negatives: str) -> None:
    every, drawn, more = (Case(anchors=n, negatives=negatives) for n in (None, T, 1000))
    torch.testing.assert_close(drawn()[0], every()[0])
    torch.testing.assert_close(more()[0], every()[0])


def test_the_generator_decides_the_anchors() -> None:
    case = Case(anchors=3)
    assert torch.equal(case(seed=5)[0], case(seed=5)[0])
    assert len({case(seed=seed)[0].item() for seed in range(5)}) == 5


@pytest.mark.parametrize(("name", "predictor"), VARIANTS)
def test_predictions_equal_a_walk_along_each_anchor(name: str, predictor: str) -> None:
    case = Case(name, predictor=predictor)
    head, anchors = case.head, torch.tensor([0, 2, 7, 10])
    predictions = head.predict(case.c, case.action, anchors)
    assert predictions.shape == (K, 4, B, E)
    for (i, t), b in itertools.product(enumerate(anchors.tolist()), range(B)):
        state = case.c[t, b].view(1, 1, H)
        for k in range(1, min(K, T - t) + 1):
            if head.gru is not None:
                read = torch.ones(1, 1, 1)
                if name == "cpc_action":
                    read = torch.zeros(1, 1, ACTIONS)
                    read[0, 0, case.action[t + k - 1, b]] = 1
                _, state = head.gru(read, state)
            matrix = head.maps[k - 1 if predictor == "linear" else 0]
            torch.testing.assert_close(predictions[k - 1, i, b], state.view(H) @ matrix)


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_a_prediction_sees_the_actions_on_its_way_and_no_later_one(predictor: str) -> None:
    case = Case("cpc_action", predictor=predictor)
    anchors = torch.tensor([3])
    before = case.head.predict(case.c, case.action, anchors)
    case.action[5] = 1 - case.action[5]  # taken at t+2: on the way to t+3 and t+4
    after = case.head.predict(case.c, case.action, anchors)
    same = (before == after).flatten(1).all(1)
    assert same.tolist() == [True, True, False, False]


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_plain_cpc_does_not_see_actions(predictor: str) -> None:
    case = Case("cpc", predictor=predictor)
    before = case()[0]
    case.action = 1 - case.action
    assert torch.equal(case()[0], before)


def test_parameters_of_the_variants() -> None:
    def shapes(name: str, predictor: str) -> dict[str, tuple[int, ...]]:
        head = Case(name, predictor=predictor).head
        return {key: tuple(value.shape) for key, value in head.named_parameters()}

    gru = {
        "gru.weight_hh_l0": (3 * H, H),
        "gru.bias_ih_l0": (3 * H,),
        "gru.bias_hh_l0": (3 * H,),
    }
    constant, actions = ({"gru.weight_ih_l0": (3 * H, size)} for size in (1, ACTIONS))
    assert shapes("cpc", "linear") == {"maps": (K, H, E)}
    assert shapes("cpc", "gru") == {"maps": (1, H, E), **gru, **constant}
    assert shapes("cpc_action", "linear") == {"maps": (K, H, E), **gru, **actions}
    assert shapes("cpc_action", "gru") == {"maps": (1, H, E), **gru, **actions}


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize(("name", "predictor"), VARIANTS)
def test_nothing_depends_on_the_data_so_that_a_gpu_need_not_wait(
    name: str, predictor: str, negatives: str
) -> None:
    # Meta tensors have shapes but no values: .item(), nonzero and boolean indexing fail on them.
    with torch.device("meta"):
        case = Case(name, anchors=5, negatives=negatives, predictor=predictor)
    loss, metrics = case()
    loss.backward()
    assert loss.is_meta
    assert all(value.is_meta for value in metrics.values())
    with pytest.raises(RuntimeError):
        loss.item()


@pytest.mark.parametrize("wrong", [
    {"z": (T + 1, B, 2 * E)}, {"z": (T + 1, B, E - 3)}, {"z": (T + 1, B + 1, E)}, {"z": (T, B, E)},
    {"z": (T + 1, E)}, {"c": (T + 1, B, 2 * H)}, {"c": (T + 2, B, H)}, {"is_first": (T, B)},
    {"is_first": (T + 1, B - 1)}, {"action": (T + 1, B)}, {"action": (T, B + 1)},
    {"z": (1, B, E), "c": (1, B, H), "is_first": (1, B), "action": (0, B)},
])  # fmt: skip
def test_shapes_that_do_not_belong_together_are_named(wrong: dict[str, tuple[int, ...]]) -> None:
    case = Case()
    for name, shape in wrong.items():
        setattr(case, name, torch.zeros(shape, dtype=getattr(case, name).dtype))
    (name, shape), *_ = wrong.items()
    full = {"z": "embedding", "c": "context"}.get(name, name)
    with pytest.raises(ValueError, match="it needs embedding") as refused:
        case()
    assert f"{full} {list(shape)}" in str(refused.value)


@pytest.mark.parametrize(("name", "predictor"), VARIANTS)
def test_actions_are_asked_for_where_predictions_see_them(name: str, predictor: str) -> None:
    case = Case(name, predictor=predictor)
    loss, _ = case()
    case.action = None  # type: ignore[assignment]
    if name == "cpc":
        assert torch.equal(case()[0], loss)
        assert torch.equal(case.head(case.z, case.c)[0], loss), "one episode, all anchors"
    else:
        with pytest.raises(ValueError, match="got no action"):
            case()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "none"}, "got name=none; it needs cpc or cpc_action"),
        ({"name": "cpc_action"}, "got num_actions=0, but"),
        ({"predictor": "GRU"}, "aux.predictor is 'GRU'; allowed: linear, gru"),
        ({"trains": "contexts"}, "aux.trains is 'contexts'; allowed: both, context, embedding"),
        ({"horizon": 0}, "aux.horizon is 0; it must be at least 1"),
    ],
)
def test_the_class_itself_refuses_wrong_settings(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CPC(AuxConfig(**changes), E, H)


@pytest.mark.parametrize("fast", [False, True])
def test_inputs_of_other_floating_point_types_are_taken(fast: bool) -> None:
    case = Case()
    head = case.head if fast else CPC(AuxConfig("cpc", K, anchors=None), E, H)
    z, c = case.z.bfloat16().requires_grad_(), case.c.double().requires_grad_()
    loss, _ = head(z, c)
    expected, _ = head(z.detach().float(), c.detach().float())
    assert torch.equal(loss, expected)
    loss.backward()
    assert z.grad is not None
    assert z.grad.dtype == torch.bfloat16


def test_parts_of_a_batch_average_to_the_whole() -> None:
    """With sequence, by their number of environments: loss, metrics, and each part's gradients."""
    case = Case(anchors=5)
    case.is_first = torch.rand(T + 1, B) < 0.3
    loss, of_z, of_c, of_maps = case.run()
    metrics = case()[1]
    num_pairs: list[Tensor] = []
    case.head.own_share = lambda x: num_pairs.append(x) or x  # type: ignore[func-returns-value]
    case()
    whole, columns = Case(anchors=5), (slice(0, 1), slice(1, B))
    results, measured = [], []
    for part in columns:
        weight = (part.stop - part.start) / B
        head, pairs = case.head, num_pairs[0]
        head.own_share = lambda _, pairs=pairs, weight=weight: pairs * weight
        own = Case(anchors=5)
        own.head, own.is_first = head, case.is_first[:, part]
        own.z, own.c, own.action = (x[:, part] for x in (whole.z, whole.c, whole.action))
        results.append([weight * x for x in own.run()])
        measured.append({name: weight * x for name, x in own()[1].items()})
    torch.testing.assert_close(results[0][0] + results[1][0], loss)
    torch.testing.assert_close(results[0][3] + results[1][3], of_maps)
    torch.testing.assert_close(torch.cat([results[0][1], results[1][1]], 1), of_z)
    torch.testing.assert_close(torch.cat([results[0][2], results[1][2]], 1), of_c)
    for name, value in metrics.items():
        torch.testing.assert_close(
            measured[0][name] + measured[1][name], value, equal_nan=True, msg=name
        )


def test_it_can_be_copied_and_pickled() -> None:
    case = Case()
    loss, _ = case()
    for head in (copy.deepcopy(case.head), pickle.loads(pickle.dumps(case.head))):
        case.head = head
        assert torch.equal(case()[0], loss)
