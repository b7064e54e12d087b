"""Copies TFRecord shards into the pipeline unchanged and verifies them on the way."""
