"""Stops the run before Transform if the data breaks the schema or the config's rules."""
