"""CPC's predictions against what came: how well the past knew the present."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# (contexts [T, 1, H], actions [T, 1], anchors [A]) -> predictions [S, A, 1, E] of S steps ahead
Predict = Callable[[Tensor, Tensor, Tensor], Tensor]


class Hits(NamedTuple):
    """For each of S steps ahead, how the prediction of the present fared that was made then."""

    rank: NDArray[np.int64]  # [S] of the present among the candidates, 1 the best; 0: no prediction
    picked: NDArray[np.int64]  # [S] how many agent steps ago the best candidate was seen


class PastPredictions:
    """Keeps an episode's latest embeddings, contexts and actions, and ranks the present by them.

    The candidates are the last `num_candidates` observations of the episode, of which the present
    one is right: as in training with aux.negatives=sequence, but for those that come later. Before
    there are so many, nothing is ranked, so that chance is always 1 / `num_candidates`.
    """

    def __init__(self, predict: Predict, steps: Sequence[int], num_candidates: int) -> None:
        self.steps, self.num_candidates = tuple(steps), num_candidates
        self._predict = predict
        rows = max(*self.steps, num_candidates - 1) + 1
        self._embeddings: deque[Tensor] = deque(maxlen=rows)
        self._contexts: deque[Tensor] = deque(maxlen=rows)
        self._actions: deque[int] = deque(maxlen=rows)

    def begin(self) -> None:
        """Forget the last episode."""
        for rows in (self._embeddings, self._contexts, self._actions):
            rows.clear()

    def see(self, embedding: Tensor, context: Tensor) -> Hits:
        """Rank the present observation: embedding [E], context [H] of the network for it."""
        self._embeddings.append(embedding)
        self._contexts.append(context)
        S, now = len(self.steps), len(self._embeddings) - 1
        hits = Hits(np.zeros(S, np.int64), np.zeros(S, np.int64))
        if now + 1 < self.num_candidates:
            return hits
        made = [i for i, k in enumerate(self.steps) if k <= now]
        anchors = torch.tensor([now - self.steps[i] for i in made])
        actions = torch.tensor(list(self._actions)[-now:])  # at the rows before the present one
        contexts = torch.stack(list(self._contexts)).unsqueeze(1)  # [now+1, 1, H]
        predictions = self._predict(contexts, actions.unsqueeze(1), anchors)[:, :, 0]  # [S, A, E]
        own = predictions[made, torch.arange(len(made))]  # [A, E]
        candidates = torch.stack(list(self._embeddings)[-self.num_candidates :])  # [N, E]
        scores = own @ candidates.T  # [A, N], the present last
        hits.rank[made] = 1 + (scores > scores[:, -1:]).sum(1).numpy()
        hits.picked[made] = self.num_candidates - 1 - scores.argmax(1).numpy()
        return hits

    def act(self, action: int) -> None:
        """Take note of the action that follows the observation that was seen last."""
        self._actions.append(action)
