"""A run's settings: their schema, yaml files and composition, and the learner they make."""

from configs.compose import Job, compose_jobs, jobs_from_command_line
from configs.learners import AnyLearner, make_learner
from configs.run_config import LogConfig, ResumeConfig, RunConfig
from configs.stored_run import config_of_run
from configs.typed import from_mapping

__all__ = [
    "AnyLearner",
    "Job",
    "LogConfig",
    "ResumeConfig",
    "RunConfig",
    "compose_jobs",
    "config_of_run",
    "from_mapping",
    "jobs_from_command_line",
    "make_learner",
]
