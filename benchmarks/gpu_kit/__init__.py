"""All that is to be measured and tried on a GPU, in one command: `benchmarks/gpu_kit.sh`."""
