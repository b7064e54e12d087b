"""What people look at after a run: the dashboard's pages and one HTML page, made from the other nodes' outputs."""
