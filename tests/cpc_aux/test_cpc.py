import copy
import itertools
import pickle

import pytest
import torch
from torch import Tensor

from cpc_aux import AuxConfig
from cpc_aux.config import NEGATIVES, PREDICTORS
from cpc_aux.fast import FastCPC

T, B, E, H, K, ACTIONS = 11, 3, 16, 16, 4, 2
PAIRED = ("pool", "others", "same_step")  # candidates are targets of valid pairs only
VARIANTS = list(itertools.product(("cpc", "cpc_action"), PREDICTORS))


@pytest.fixture(autouse=True, params=["compiled", "plain"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        monkeypatch.setattr(FastCPC, "fits", lambda *_: False)


class Case:
    """A head and one rollout; `run` gives the loss and the gradients of z, c and the maps."""

    def __init__(
        self,
        name: str = "cpc",
        anchors: int | None = None,
        negatives: str = "sequence",
        predictor: str = "linear",
        trains: str = "both",
    ) -> None:
        torch.manual_seed(1)
        config = AuxConfig(
            name, K, trains=trains, negatives=negatives, anchors=anchors, predictor=predictor
        )
        self.head = FastCPC(config, E, H, ACTIONS)
        self.z = torch.randn(T + 1, B, E)
        self.c = torch.randn(T + 1, B, H)
        self.action = torch.randint(ACTIONS, (T, B))
        self.is_first = torch.zeros(T + 1, B, dtype=torch.bool)

    def __call__(self, seed: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        return self.head(self.z, self.c, self.action, self.is_first, generator)

    def run(self) -> tuple[Tensor, ...]:
        z, c = self.z.requires_grad_(), self.c.requires_grad_()
        loss, _ = self()
        gradients = torch.autograd.grad(loss, (z, c, self.head.maps), materialize_grads=True)
        self.z, self.c = z.detach(), c.detach()
        return loss.detach(), *gradients


def assert_same(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> None:
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a, b)


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


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize(("name", "predictor"), VARIANTS)
def test_no_valid_pair_gives_zero_loss_and_zero_gradients(
    name: str, predictor: str, negatives: str
) -> None:
    case = Case(name, negatives=negatives, predictor=predictor)
    case.is_first[:] = True
    case.z *= 1e4
    case.z.requires_grad_()
    case.c.requires_grad_()
    loss, metrics = case()
    assert loss.item() == 0
    assert metrics["loss"].item() == 0
    assert metrics["accuracy"].isnan()
    assert metrics["loss_by_horizon"].isnan().all()
    loss.backward()
    for leaf in (case.z, case.c, *case.head.parameters()):
        assert leaf.grad is not None
        assert torch.equal(leaf.grad, torch.zeros_like(leaf))


def test_a_horizon_without_pairs_does_not_count() -> None:
    case = Case()
    case.is_first[[3, 6, 9]] = True  # episodes of three rows: no pair is three or four steps apart
    loss, metrics = case()
    by_horizon = metrics["loss_by_horizon"]
    assert by_horizon.isnan().tolist() == [False, False, True, True]
    torch.testing.assert_close(loss, by_horizon[:2].mean())


# Poison: garbage across an episode's end. Exact, bit for bit, in the loss and in all gradients.


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize("name", ["cpc", "cpc_action"])
def test_poison_in_an_environment_without_valid_pairs_changes_nothing(
    name: str, predictor: str, negatives: str
) -> None:
    case = Case(name, negatives=negatives, predictor=predictor)
    case.is_first[:, 1] = True
    case.is_first[6, 2] = True
    before = case.run()
    case.z[:, 1] = 1e4
    case.c[:, 1] = -1e4
    case.action[:, 1] = 0
    after = case.run()
    assert_same(before, after)
    _, grad_z, grad_c, _ = after
    assert not grad_z[:, 1].any()
    assert not grad_c[:, 1].any()
    assert grad_z[:, 0].any()
    assert grad_c[:, 0].any()


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_poison_in_a_context_whose_pairs_all_cross_changes_nothing(negatives: str) -> None:
    case = Case(negatives=negatives)
    case.is_first[6, 1] = True
    before = case.run()
    case.c[5, 1] = 1e4  # the last row of the first episode
    after = case.run()
    assert_same(before, after)
    assert not after[2][5, 1].any()
    case.c[4, 1] = 1e4  # one row earlier there is a pair: (4, 5)
    assert not torch.equal(case.run()[0], before[0])


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_poison_in_an_observation_that_opens_an_episode(negatives: str) -> None:
    case = Case(negatives=negatives)
    case.is_first[6, 1] = True
    before = case.run()
    case.z[6, 1] = 1e4  # whatever precedes it belongs to another episode: never a positive
    after = case.run()
    if negatives in PAIRED:
        assert_same(before, after)
        assert not after[1][6, 1].any()
    else:  # a negative of its own environment, and of no other
        assert not torch.equal(before[0], after[0])
        for grad_before, grad_after in zip(before[1:3], after[1:3], strict=True):
            assert torch.equal(grad_before[:, [0, 2]], grad_after[:, [0, 2]])


def test_poison_in_the_action_that_ends_an_episode_changes_nothing() -> None:
    case = Case("cpc_action")
    case.is_first[6, 1] = True
    before = case.run()
    case.action[5, 1] = 1 - case.action[5, 1]  # leads from row 5 across the end to row 6
    assert_same(before, case.run())
    case.action[4, 1] = 1 - case.action[4, 1]
    assert not torch.equal(case.run()[0], before[0])


# The variants.


@pytest.mark.parametrize(("name", "predictor"), VARIANTS)
def test_predictions_equal_a_walk_along_each_anchor(name: str, predictor: str) -> None:
    case = Case(name, predictor=predictor)
    head, anchors = case.head, torch.tensor([0, 2, 7, 10])
    predictions = head._predict(case.c, case.action, anchors)
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
    before = case.head._predict(case.c, case.action, anchors)
    case.action[5] = 1 - case.action[5]  # taken at t+2: on the way to t+3 and t+4
    after = case.head._predict(case.c, case.action, anchors)
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


@pytest.mark.parametrize(("name", "predictor"), VARIANTS)
def test_what_a_lost_step_did_does_not_matter(name: str, predictor: str) -> None:
    """After a crash the next row is is_first: no pair reaches over the step between."""
    case = Case(name, predictor=predictor)
    case.is_first[6, 1] = True
    before = case.run()
    case.action[5, 1] = 1 - case.action[5, 1]
    assert_same(before, case.run())
    case.action[4, 1] = 1 - case.action[4, 1]
    assert torch.equal(before[0], case.run()[0]) == (name == "cpc")


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
