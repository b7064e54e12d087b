"""TF Serving's and KServe's protocols, each over REST and gRPC."""
