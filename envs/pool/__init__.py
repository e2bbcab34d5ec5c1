"""Single Gymnasium environments in worker processes, as one batch for the learner."""

from envs.pool.process import WorkerError
from envs.pool.worker_pool import WorkerPool

__all__ = ["WorkerError", "WorkerPool"]
