"""The report on a run: the dashboard's pages and one HTML page, made from the outputs of the other nodes."""
