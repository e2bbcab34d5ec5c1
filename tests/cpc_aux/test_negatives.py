"""The whole CPC loss against a slow, obvious one: Python loops over pairs and candidates."""

import math

import pytest
import torch
from torch import Tensor

from cpc_aux import CPC, AuxConfig
from cpc_aux.config import NEGATIVES
from cpc_aux.fast import FastCPC
from cpc_aux.infonce import draw_anchors, infonce, valid_pairs
from cpc_aux.negatives import STRATEGIES

T, B, E, H, K = 11, 3, 16, 16, 4
CROWDED = ("others", "same_step")  # need other environments


def is_valid(is_first: Tensor, t: int, k: int, b: int) -> bool:
    if t + k >= len(is_first):
        return False
    return not any(bool(is_first[row, b]) for row in range(t + 1, t + k + 1))


def slow_candidates(
    negatives: str, is_first: Tensor, anchors: list[int], t: int, k: int, b: int
) -> list[tuple[int, int]]:
    """(row, environment) of every candidate of the pair (t, t+k) in environment b."""
    if negatives == "sequence":
        return [(row, b) for row in range(len(is_first))]
    pairs = [(s, e) for s in anchors for e in range(B) if is_valid(is_first, s, k, e)]
    if negatives == "others":
        pairs = [(s, e) for s, e in pairs if e != b or s == t]
    if negatives == "same_step":
        pairs = [(s, e) for s, e in pairs if s == t]
    return [(s + k, e) for s, e in pairs]


def slow_cpc(
    negatives: str, maps: Tensor, z: Tensor, c: Tensor, is_first: Tensor, anchors: list[int]
) -> tuple[Tensor, dict[str, list[float]]]:
    """Loss, and for each k with a valid pair its mean loss, accuracy, chance and log N."""
    losses = []
    seen: dict[str, list[float]] = {"k": [], "loss": [], "accuracy": [], "chance": [], "log_n": []}
    for k in range(1, K + 1):
        rows = []
        for t in anchors:
            for b in range(B):
                if not is_valid(is_first, t, k, b):
                    continue
                candidates = slow_candidates(negatives, is_first, anchors, t, k, b)
                scores = [z[row, env] @ (c[t, b] @ maps[k - 1]) for row, env in candidates]
                positive = z[t + k, b] @ (c[t, b] @ maps[k - 1])
                loss = torch.stack(scores).exp().sum().log() - positive
                best = max(range(len(scores)), key=lambda i: scores[i].item())
                rows.append((loss, candidates[best] == (t + k, b), len(candidates)))
        if rows:
            losses.append(torch.stack([loss for loss, _, _ in rows]).mean())
            seen["k"].append(k)
            seen["loss"].append(losses[-1].item())
            seen["accuracy"].append(sum(hit for _, hit, _ in rows) / len(rows))
            seen["chance"].append(sum(1 / n for _, _, n in rows) / len(rows))
            seen["log_n"].append(sum(math.log(n) for _, _, n in rows) / len(rows))
    return torch.stack(losses).mean(), seen


def make_case(
    seed: int, reset_rate: float, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(T + 1, B, E, generator=generator, dtype=torch.float64)
    c = torch.randn(T + 1, B, H, generator=generator, dtype=torch.float64)
    is_first = torch.rand(T + 1, B, generator=generator) < reset_rate
    is_first[1:3, 0] = False  # at least one valid pair whatever is drawn, if all are anchors
    action = torch.randint(9, (T, B), generator=generator)
    return z.to(dtype).requires_grad_(), c.to(dtype).requires_grad_(), action, is_first


# The compiled loss is of float32; other types take the plain way.
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize(
    ("seed", "reset_rate", "num_anchors"),
    [(0, 0.0, None), (1, 0.2, None), (2, 0.5, None), (3, 0.9, None), (4, 0.2, 5), (5, 0.1, 2)],
)
def test_loss_gradients_and_metrics_equal_the_slow_truth(
    negatives: str,
    seed: int,
    reset_rate: float,
    num_anchors: int | None,
    dtype: torch.dtype,
) -> None:
    z, c, action, is_first = make_case(seed, reset_rate, dtype)
    torch.manual_seed(seed)
    config = AuxConfig("cpc", K, negatives=negatives, anchors=num_anchors)
    head = FastCPC(config, E, H, 9, num_threads=2).to(dtype)
    assert head.pass_name == ("fast" if dtype == torch.float32 else "plain")
    loss, metrics = head(z, c, action, is_first, torch.Generator().manual_seed(seed))
    anchors = draw_anchors(T, num_anchors, torch.Generator().manual_seed(seed)).tolist()
    true_loss, truth = slow_cpc(negatives, head.maps, z, c, is_first, anchors)

    torch.testing.assert_close(loss, true_loss)
    leaves = (z, c, head.maps)
    for gradient, true_gradient in zip(
        torch.autograd.grad(loss, leaves), torch.autograd.grad(true_loss, leaves), strict=True
    ):
        torch.testing.assert_close(gradient, true_gradient)

    def mean(name: str) -> float:
        return sum(truth[name]) / len(truth[name])

    assert metrics["loss"].item() == loss.item()
    assert metrics["accuracy"].item() == pytest.approx(mean("accuracy"))
    assert metrics["chance"].item() == pytest.approx(mean("chance"))
    bound = mean("log_n") - mean("loss")  # rounding of float32 shows where it is 0
    assert metrics["bound"].item() == pytest.approx(bound, rel=1e-6, abs=torch.finfo(dtype).eps)
    for name in ("loss", "accuracy"):
        by_horizon = torch.full((K,), math.nan, dtype=dtype)
        by_horizon[[k - 1 for k in truth["k"]]] = torch.tensor(truth[name], dtype=dtype)
        torch.testing.assert_close(metrics[f"{name}_by_horizon"], by_horizon, equal_nan=True)


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_number_of_candidates_without_resets(negatives: str) -> None:
    is_first = torch.zeros(T + 1, B, dtype=torch.bool)
    target_rows, valid = valid_pairs(is_first, torch.arange(T), K)
    scores = STRATEGIES[negatives](
        torch.zeros(K, T, B, E), torch.zeros(T + 1, B, E), target_rows, valid
    )
    for k in range(1, K + 1):
        steps = T + 1 - k  # anchors t = 0..T-k reach row T at most
        expected = {
            "pool": steps * B,
            "sequence": T + 1,
            "others": 1 + steps * (B - 1),
            "same_step": B,
        }[negatives]
        assert valid[k - 1].sum() == steps * B
        assert (scores.num_candidates[k - 1][valid[k - 1]] == expected).all()
    # Embeddings and predictions are 0: all candidates tie, so InfoNCE must count the same N.
    loss, correct = infonce(scores.logits, scores.positive)
    counted = scores.num_candidates[valid].float()
    assert torch.equal(loss[valid], counted.log())
    assert torch.equal(correct[valid], 1 / counted)


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_one_environment_needs_negatives_of_its_own(negatives: str) -> None:
    head = CPC(AuxConfig("cpc", K, negatives=negatives), E, H, 9)
    z, c, action, is_first = (x[:, :1] for x in make_case(0, 0.1))
    arguments = (z.float(), c.float(), action, is_first, torch.Generator())
    if negatives in CROWDED:
        with pytest.raises(ValueError, match=f"negatives={negatives} .* got 1; .*sequence works"):
            head(*arguments)
    else:
        loss, _ = head(*arguments)
        assert loss.item() > 0
