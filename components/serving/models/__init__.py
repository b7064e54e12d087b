"""The served versions: finding, loading, warming up and running them."""
