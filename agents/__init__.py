"""The batched recurrent A2C agent: networks, rollout, losses, learner."""
