"""Takes TFRecord shards into the pipeline as they are, verified while they are copied."""
