"""The user's own parts: how nodes get them, and how they are tried before a run."""
