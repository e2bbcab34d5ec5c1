"""Contrastive Predictive Coding as an auxiliary loss of a recurrent agent."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cpc_aux.config import AuxConfig
from cpc_aux.infonce import (
    draw_anchors,
    infonce,
    mean_by_horizon,
    mean_over_horizons,
    valid_pairs,
)
from cpc_aux.negatives import STRATEGIES


class Pairs(NamedTuple):
    """Which pairs (t, t+k) there are."""

    anchors: Tensor  # i64 [A], t
    target_rows: Tensor  # i64 [K, A], t+k
    valid: Tensor  # bool [K, A, B]
    num_pairs: Tensor  # [K], valid ones; with `own_share`, their share of the whole batch's


class PairLosses(NamedTuple):
    """The loss and what it is made of. Entries of invalid pairs hold anything finite."""

    loss: Tensor  # f32 scalar, the mean over valid pairs, then over horizons; has the gradient
    pair_loss: Tensor  # f32 [K, A, B]
    correct: Tensor  # f32 [K, A, B], 1 where the positive scores highest
    num_candidates: Tensor  # [K, A, B], the positive included


class CPC(nn.Module):
    """Predict the embeddings of future observations from the agent's memory, by contrast.

    log f_k(x_{t+k}, c_t) = z_{t+k}^T W_k s_{t,k},  k = 1..K

    z is the encoder's output and c the recurrent core's. What the maps W_k see depends on the
    settings:

    name=cpc, predictor=linear         s_{t,k} = c_t                          (equation 3 of [1])
    name=cpc, predictor=gru            s_{t,k} = GRU rolled k steps from c_t   ([1], section 2.2)
    name=cpc_action, either predictor  the same GRU, fed with a_t .. a_{t+k-1}                [2]

    and there is one W_k per k with predictor=linear, a single W for all with predictor=gru. The
    GRU's input is the one-hot action: its input weights are the action embedding. Without actions
    it is constant. Its state is as wide as the context that it starts from.

    The loss is InfoNCE, the mean over the valid pairs (t, t+k) of each k, then over the k that
    have any. Gradients reach z (as positive and as negative) and c alike.

    `own_share` may be set where these environments are a part of a larger batch (data-parallel
    training): it maps their counts of pairs [K] to the whole batch's counts times their share of
    the environments. Losses and metrics, averaged over the parts by their number of environments,
    are then the means over all pairs of the batch.

    Raises ValueError: a setting is not allowed, or predictions would see actions of which there are
    none (`num_actions` is 0).

    [1] van den Oord, Li, Vinyals 2018, "Representation Learning with Contrastive Predictive
        Coding", arXiv 1807.03748; in reinforcement learning: section 3.4.
    [2] Guo et al. 2018, "Neural Predictive Belief Representations", arXiv 1811.06407 (CPC|Action;
        there the loss is a binary classifier's, here it is InfoNCE).
    """

    pass_name = "plain"  # for a run's record; see cpc_aux.fast
    own_share: Callable[[Tensor], Tensor] | None = None

    def __init__(
        self, config: AuxConfig, embedding_size: int, context_size: int, num_actions: int = 0
    ) -> None:
        super().__init__()
        config.validate()
        if config.name == "none":
            raise ValueError("CPC got name=none; it needs cpc or cpc_action.")
        if config.name == "cpc_action" and num_actions < 1:
            raise ValueError(
                f"CPC got num_actions={num_actions}, but with name=cpc_action predictions see them."
            )
        self.horizon = config.horizon
        self.num_anchors = config.anchors
        self.negatives = config.negatives
        self.trains = config.trains
        self.sees_actions = config.name == "cpc_action"
        self.gru: nn.GRU | None = None
        if self.sees_actions or config.predictor == "gru":
            self.gru = nn.GRU(num_actions if self.sees_actions else 1, context_size)
        num_maps = self.horizon if config.predictor == "linear" else 1
        maps = torch.empty(num_maps, context_size, embedding_size)  # [k, H, E]
        nn.init.uniform_(maps, -(context_size**-0.5), context_size**-0.5)  # as nn.Linear
        self.maps = nn.Parameter(maps)

    def forward(
        self,
        embedding: Tensor,
        context: Tensor,
        action: Tensor | None = None,
        is_first: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Score one rollout of T steps in B environments.

        Args:
            embedding: [T+1, B, E], z. Row T is predicted but never predicted from. As the context
                of any floating-point type; the loss is computed in the maps' type.
            context: [T+1, B, H], c. Row T is not used.
            action: i64 [T, B], taken at rows 0..T-1; None where predictions do not see them.
            is_first: bool [T+1, B], true where an observation opens an episode; None: nowhere.
            generator: draws the anchors; None: PyTorch's own.

        Returns:
            loss: f32 scalar, nats; 0 without gradient if there is no valid pair.
            metrics: detached f32 tensors. `loss`, `accuracy`, `chance` (1/N) and `bound`
                (log N - loss, see `cpc_aux.negatives`) are means like the loss;
                `loss_by_horizon` and `accuracy_by_horizon` are [K]. NaN where there was no valid
                pair to measure (except `loss`): average with nanmean.

        Raises:
            ValueError: shapes do not belong together, actions are missing, or B is 1 and the
                negatives come from other environments.
        """
        self._check_shapes(embedding, context, action, is_first)
        embedding, context = (x.to(self.maps.dtype) for x in (embedding, context))
        if is_first is None:
            is_first = embedding.new_zeros(embedding.shape[:2], dtype=torch.bool)
        if self.trains == "context":
            embedding = embedding.detach()
        elif self.trains == "embedding":
            context = context.detach()
        anchors = draw_anchors(len(embedding) - 1, self.num_anchors, generator)
        # Sorted, those whose targets lie beyond the rollout come last.
        anchors = anchors.to(embedding.device).sort().values  # [A]
        target_rows, valid = valid_pairs(is_first, anchors, self.horizon)
        num_pairs = valid.sum((1, 2))  # [K]
        if self.own_share is not None:
            num_pairs = self.own_share(num_pairs)
        pairs = Pairs(anchors, target_rows, valid, num_pairs)
        losses = self._pair_losses(context, embedding, action, pairs)
        with torch.no_grad():
            metrics = _measure(losses, pairs)
        return losses.loss, {"loss": losses.loss.detach(), **metrics}

    def _check_shapes(
        self, embedding: Tensor, context: Tensor, action: Tensor | None, is_first: Tensor | None
    ) -> None:
        """Raise ValueError that names the shapes if they do not belong together."""
        H, E = self.maps.shape[1:]
        rows, B = embedding.shape[:2] if embedding.dim() == 3 else (0, 0)
        wanted = {
            "embedding": (embedding, (rows, B, E), f"[T+1, B, {E}]"),
            "context": (context, (rows, B, H), f"[T+1, B, {H}]"),
            "action": (action, (rows - 1, B), "[T, B]"),
            "is_first": (is_first, (rows, B), "[T+1, B]"),
        }
        given = {name: list(x.shape) for name, (x, _, _) in wanted.items() if x is not None}
        if rows < 2 or any(given.get(k, list(s)) != list(s) for k, (_, s, _) in wanted.items()):
            shapes = ", ".join(f"{name} {shape}" for name, shape in given.items())
            allowed = ", ".join(f"{name} {text}" for name, (_, _, text) in wanted.items())
            raise ValueError(f"CPC got {shapes}; it needs {allowed}, with T at least 1.")
        if action is None and self.sees_actions:
            raise ValueError("CPC got no action, but with name=cpc_action predictions see them.")

    def _pair_losses(
        self, context: Tensor, embedding: Tensor, action: Tensor | None, pairs: Pairs
    ) -> PairLosses:
        """InfoNCE of all pairs."""
        predictions = self.predict(context, action, pairs.anchors)  # [K, A, B, E]
        score = STRATEGIES[self.negatives]
        logits, positive, num_candidates = score(
            predictions, embedding, pairs.target_rows, pairs.valid
        )
        pair_loss, correct = infonce(logits, positive)
        by_horizon = mean_by_horizon(pair_loss, pairs.valid, pairs.num_pairs)
        loss = mean_over_horizons(by_horizon, pairs.num_pairs)
        return PairLosses(loss, pair_loss, correct, num_candidates)

    def predict(self, context: Tensor, action: Tensor | None, anchors: Tensor) -> Tensor:
        """The embeddings expected after rows `anchors`, W_k s_{t,k}: f32 [K, A, B, E].

        context f32 [T+1, B, H]; action i64 [T, B], None where predictions do not see them; anchors
        i64 [A]. The k-th prediction of row t is of row t+k, by dot product.
        """
        start = context.index_select(0, anchors).flatten(0, 1)  # [A*B, H]
        if self.gru is None:
            states = start.expand(self.horizon, -1, -1)  # [K, A*B, H]
        else:
            inputs = self._gru_inputs(action, anchors, context.shape[1])
            states, _ = self.gru(inputs, start.unsqueeze(0))
        predictions = torch.bmm(states, self.maps.expand(self.horizon, -1, -1))
        return predictions.unflatten(1, (len(anchors), -1))  # [K, A*B, E] before

    def _gru_inputs(self, action: Tensor | None, anchors: Tensor, num_envs: int) -> Tensor:
        """Return what the GRU reads on its way from each anchor: f32 [K, A*B, actions or 1].

        Its k-th input is the action at t+k-1, so that its k-th state has read a_t .. a_{t+k-1}.
        """
        if not self.sees_actions:
            return self.maps.new_ones(self.horizon, len(anchors) * num_envs, 1)
        assert self.gru is not None
        assert action is not None
        offsets = torch.arange(self.horizon, device=action.device)
        rows = (anchors + offsets.unsqueeze(1)).clamp(max=len(action) - 1)  # [K, A]
        taken = action[rows].flatten(1).unsqueeze(-1)  # [K, A*B, 1]
        # Not F.one_hot, which reads the data to check it: that would make a GPU wait.
        return (taken == torch.arange(self.gru.input_size, device=action.device)).to(
            self.maps.dtype
        )


def _measure(losses: PairLosses, pairs: Pairs) -> dict[str, Tensor]:
    """Return the metrics of `CPC.forward`, NaN where there was nothing to measure."""
    candidates = losses.num_candidates.to(losses.pair_loss.dtype).clamp(min=1)

    def measured(of_pairs: Tensor) -> Tensor:
        mean = mean_by_horizon(of_pairs, pairs.valid, pairs.num_pairs)
        return torch.where(pairs.num_pairs > 0, mean, torch.nan)  # [K]

    accuracy = measured(losses.correct)
    loss = measured(losses.pair_loss)
    return {
        "accuracy": accuracy.nanmean(),
        "chance": measured(1 / candidates).nanmean(),
        "bound": (measured(candidates.log()) - loss).nanmean(),
        "loss_by_horizon": loss,
        "accuracy_by_horizon": accuracy,
    }
