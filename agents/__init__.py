"""The batched recurrent A2C agent: networks, rollout, losses, learner, and a run's bookkeeping."""
