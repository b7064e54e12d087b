"""The versions that are served: found, loaded, warmed up, asked."""
