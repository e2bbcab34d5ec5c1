"""A run's settings: the schema (run_config), its yaml files, and their composition (compose)."""

from configs.compose import Job, compose_jobs, jobs_from_command_line
from configs.run_config import LogConfig, ResumeConfig, RunConfig
from configs.typed import from_mapping

__all__ = [
    "Job",
    "LogConfig",
    "ResumeConfig",
    "RunConfig",
    "compose_jobs",
    "from_mapping",
    "jobs_from_command_line",
]
