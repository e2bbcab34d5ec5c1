"""What lies beyond the end of an episode changes nothing, bit for bit, in loss and gradients."""

import pytest
import torch

from cpc_aux.config import NEGATIVES, PREDICTORS
from tests.cpc_aux.case import VARIANTS, Case, assert_same

pytestmark = pytest.mark.usefixtures("each_way")
PAIRED = ("pool", "others", "same_step")  # candidates are targets of valid pairs only


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
