"""Names of the files in a run's folder, beside the checkpoints (`records.checkpoint`)."""

CONFIG_FILE = "config.yaml"  # the settings, and what each start ran on
PROGRESS_FILE = "progress.csv"  # a row of metrics for every log.every_frames
HORIZON_FILE = "aux_by_horizon.csv"  # the auxiliary loss by prediction step, as often
EPISODES_FILE = "episodes.csv"  # a row for each finished episode
EVALUATION_FILE = "evaluation.csv"  # a row for each evaluation during training
AGENT_FILE = "agent.safetensors"  # an agent to hand on, which is no run: records.weights
