"""The model server: KServe's Python server with TF Serving's two protocols beside KServe's own."""
