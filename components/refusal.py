"""How a node's output says that a gate refused it. Imports nothing."""

from __future__ import annotations

# Custom property of a blessing, a pushed and an exported model: the reasons, "" where there are none.
REFUSED = "refused"
