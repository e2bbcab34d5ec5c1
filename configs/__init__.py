"""Settings: a run's schema, yaml files and composition, and the learner they make; evaluation's."""

from configs.compose import Job, compose_jobs, jobs_from_command_line
from configs.evaluation import EvaluationSettings, parse_evaluation
from configs.learners import AnyLearner, make_learner, take_weights
from configs.run_config import LogConfig, ResumeConfig, RunConfig
from configs.stored_run import config_of_run
from configs.typed import from_mapping

__all__ = [
    "AnyLearner",
    "EvaluationSettings",
    "Job",
    "LogConfig",
    "ResumeConfig",
    "RunConfig",
    "compose_jobs",
    "config_of_run",
    "from_mapping",
    "jobs_from_command_line",
    "make_learner",
    "parse_evaluation",
    "take_weights",
]
