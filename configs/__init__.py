"""Settings: a run's schema, yaml files and composition, and the learner they make; evaluation's."""

from configs.compose import RunRequest, compose_runs, parse_runs
from configs.evaluation import EvaluationSettings, parse_evaluation
from configs.from_mapping import from_mapping
from configs.learners import AnyLearner, load_agent, make_learner, play_evaluation, take_weights
from configs.run_config import RunConfig
from configs.stored_run import config_of_run
from configs.trained_run import TrainedRun

__all__ = [
    "AnyLearner",
    "EvaluationSettings",
    "RunConfig",
    "RunRequest",
    "TrainedRun",
    "compose_runs",
    "config_of_run",
    "from_mapping",
    "load_agent",
    "make_learner",
    "parse_evaluation",
    "parse_runs",
    "play_evaluation",
    "take_weights",
]
