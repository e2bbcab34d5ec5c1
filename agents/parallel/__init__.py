"""One update on many cores, GPUs and machines: a batch in shards, and in ranks of torchrun."""
