"""Stops the run before Transform when the data is not what the schema and the config say."""
