"""Uses the shipped page in a real browser, as a visitor would."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.chromium import Page

_VISIT = """
(async (rows) => {
  const element = (id) => document.getElementById(id);
  const idle = async () => {
    while (element("classify").disabled) await new Promise((resolve) => setTimeout(resolve));
    if (!element("error").hidden) throw new Error(element("error").textContent);
  };
  const told = [];
  await idle();
  for (const texts of rows) {
    element("bars").replaceChildren();
    texts.forEach((text, i) => (element(`text-${i}`).value = text));
    element("form").requestSubmit();
    await idle();
    const bars = [...document.querySelectorAll("#bars tr")];
    const shown = bars.map((row) => [row.querySelector("th").textContent, Number(row.dataset.probability)]);
    told.push([element("label").textContent, Object.fromEntries(shown)]);
  }
  return told;
})
"""


@contextlib.contextmanager
def static_server(folder: Path) -> Iterator[str]:
    """Any static server: Python's own."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def ready(page: Page, url: str) -> None:
    """Opens the page and waits for its model."""
    page.go(url)
    page.wait_for("document.body && document.body.dataset.state === 'ready'")


def classify(page: Page, rows: Sequence[Sequence[str]]) -> list[tuple[str, dict[str, float]]]:
    """Writes the texts of each row into the fields and sends the form.

    Returns:
        The label that the page shows, and label -> probability of its bars, from top to bottom.
    """
    return [(label, shown) for label, shown in page.run(f"{_VISIT}({json.dumps(rows)})")]
