"""Contrastive Predictive Coding as an auxiliary loss of a recurrent agent."""

from concurrent.futures import ThreadPoolExecutor

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
from cpc_aux.linear_loss import fits, linear_loss
from cpc_aux.negatives import STRATEGIES


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

    [1] van den Oord, Li, Vinyals 2018, "Representation Learning with Contrastive Predictive
        Coding", arXiv 1807.03748; in reinforcement learning: section 3.4.
    [2] Guo et al. 2018, "Neural Predictive Belief Representations", arXiv 1811.06407 (CPC|Action;
        there the loss is a binary classifier's, here it is InfoNCE).
    """

    def __init__(
        self,
        config: AuxConfig,
        embedding_size: int,
        context_size: int,
        num_actions: int,
        num_threads: int = 1,
    ) -> None:
        super().__init__()
        self._num_threads = num_threads
        self._threads = ThreadPoolExecutor(
            num_threads, initializer=torch.set_num_threads, initargs=(1,)
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
        action: Tensor,
        is_first: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Score one rollout of T steps in B environments.

        Args:
            embedding: f32 [T+1, B, E], z. Row T is predicted but never predicted from.
            context: f32 [T+1, B, H], c. Row T is not used.
            action: i64 [T, B], taken at rows 0..T-1.
            is_first: bool [T+1, B], true where an observation opens an episode.
            generator: draws the anchors.

        Returns:
            loss: f32 scalar, nats; 0 without gradient if there is no valid pair.
            metrics: detached f32 tensors. `loss`, `accuracy`, `chance` (1/N) and `bound`
                (log N - loss, see `cpc_aux.negatives`) are means like the loss;
                `loss_by_horizon` and `accuracy_by_horizon` are [K]. NaN where there was no valid
                pair to measure (except `loss`): average with nanmean.

        Raises:
            ValueError: B is 1 and the negatives come from other environments.
        """
        if self.trains == "context":
            embedding = embedding.detach()
        elif self.trains == "embedding":
            context = context.detach()
        anchors = draw_anchors(len(action), self.num_anchors, generator).to(embedding.device)
        anchors = anchors.sort().values  # those whose targets lie beyond the rollout come last
        target_rows, valid = valid_pairs(is_first, anchors, self.horizon)
        if self.gru is None and fits(self.maps, embedding):
            loss, pair_loss, correct, num_candidates = linear_loss(
                context.index_select(0, anchors),
                self.maps,
                embedding,
                anchors,
                target_rows,
                valid,
                self.negatives,
                self._threads,
                self._num_threads,
            )
            loss_by_horizon = mean_by_horizon(pair_loss, valid)
        else:
            predictions = self._predict(context, action, anchors)
            score = STRATEGIES[self.negatives]
            logits, positive, num_candidates = score(predictions, embedding, target_rows, valid)
            pair_loss, correct = infonce(logits, positive)
            loss_by_horizon = mean_by_horizon(pair_loss, valid)
            loss = mean_over_horizons(loss_by_horizon, valid)
        with torch.no_grad():
            metrics = _measure(loss_by_horizon, correct, num_candidates, valid)
        return loss, {"loss": loss.detach(), **metrics}

    def _predict(self, context: Tensor, action: Tensor, anchors: Tensor) -> Tensor:
        """W_k s_{t,k}: f32 [K, A, B, E]."""
        start = context.index_select(0, anchors).flatten(0, 1)  # [A*B, H]
        if self.gru is None:
            states = start.expand(self.horizon, -1, -1)  # [K, A*B, H]
        else:
            states, _ = self.gru(self._gru_inputs(action, anchors), start.unsqueeze(0))
        predictions = torch.bmm(states, self.maps.expand(self.horizon, -1, -1))
        return predictions.unflatten(1, (len(anchors), -1))  # [K, A*B, E] before

    def _gru_inputs(self, action: Tensor, anchors: Tensor) -> Tensor:
        """Return what the GRU reads on its way from each anchor: f32 [K, A*B, actions or 1].

        Its k-th input is the action at t+k-1, so that its k-th state has read a_t .. a_{t+k-1}.
        """
        num_steps, num_envs = action.shape
        if self.gru is None or not self.sees_actions:
            return self.maps.new_ones(self.horizon, len(anchors) * num_envs, 1)
        offsets = torch.arange(self.horizon, device=action.device)
        rows = (anchors + offsets.unsqueeze(1)).clamp(max=num_steps - 1)  # [K, A]
        taken = action[rows].flatten(1).unsqueeze(-1)  # [K, A*B, 1]
        # Not F.one_hot, which reads the data to check it: that would make a GPU wait.
        return (taken == torch.arange(self.gru.input_size, device=action.device)).to(
            self.maps.dtype
        )


def make_aux(
    config: AuxConfig,
    embedding_size: int,
    context_size: int,
    num_actions: int,
    num_threads: int = 1,
) -> nn.Module | None:
    """Build the auxiliary loss that config names; None for "none".

    num_threads: cores that share its work on a CPU.

    Raises ValueError if the config is invalid.
    """
    config.validate()
    if config.name == "none":
        return None
    return CPC(config, embedding_size, context_size, num_actions, num_threads)


def _measure(
    loss_by_horizon: Tensor, correct: Tensor, num_candidates: Tensor, valid: Tensor
) -> dict[str, Tensor]:
    """Return the metrics of `CPC.forward`, NaN where there was nothing to measure."""
    nan = torch.full_like(loss_by_horizon, torch.nan)
    has_pair = valid.any(2).any(1)  # [K]
    candidates = num_candidates.to(loss_by_horizon.dtype).clamp(min=1)

    def measured(by_horizon: Tensor) -> Tensor:
        return torch.where(has_pair, by_horizon, nan)

    accuracy = measured(mean_by_horizon(correct, valid))
    loss = measured(loss_by_horizon)
    return {
        "accuracy": accuracy.nanmean(),
        "chance": measured(mean_by_horizon(1 / candidates, valid)).nanmean(),
        "bound": (measured(mean_by_horizon(candidates.log(), valid)) - loss).nanmean(),
        "loss_by_horizon": loss,
        "accuracy_by_horizon": accuracy,
    }
