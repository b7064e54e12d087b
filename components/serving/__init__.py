"""The model server: KServe's Python server with TF Serving's two protocols in addition to KServe's own."""
