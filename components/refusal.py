"""The property of a node's output that says that a gate rejected it. Imports nothing."""

from __future__ import annotations

# Custom property of a blessing, a pushed model and an exported model: the reasons, "" if there are none.
REFUSED = "refused"
