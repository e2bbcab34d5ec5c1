"""The shards of a batch: each core acts in some of the environments and learns from them."""
