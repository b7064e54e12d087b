"""The page in a real browser, in a frame like that of Kubeflow's run page. Skipped if there is no Chromium."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from components.report.page import page
from tests.components.report.sample import make_contents

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)")

# The frontend's frame has no allow-same-origin: the test needs it to look inside, which only loosens the frame.
FRAME = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="f" sandbox="allow-scripts allow-same-origin" style="width:{width}px;height:700px;border:0" srcdoc="{page}">
</iframe><pre id="told"></pre><script>
document.getElementById("f").onload = () => {{
  const d = document.getElementById("f").contentDocument;
  document.getElementById("told").textContent = JSON.stringify({{
    scripts: d.scripts.length, images: d.images.length,
    wide: d.documentElement.scrollWidth, room: d.documentElement.clientWidth,
    charts: [...d.querySelectorAll("svg")].map(s => s.getBoundingClientRect().width),
    outside: d.defaultView.performance.getEntriesByType("resource").length,
    quotes: d.querySelectorAll("blockquote").length,
    font: d.defaultView.getComputedStyle(d.body).fontSize,
    verdict: d.querySelector("[role=status]").textContent,
  }});
}};
</script>"""


def told_by_the_browser(folder: Path, width: int) -> dict:
    """What a script outside the frame finds in it."""
    framed = folder / "frame.html"
    framed.write_text(FRAME.format(width=width, page=html.escape(page(make_contents()))), encoding="utf-8")
    shown = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",  # of the browser's own processes: containers do not allow it
            "--disable-gpu",
            f"--user-data-dir={folder / 'profile'}",
            "--virtual-time-budget=5000",
            "--dump-dom",
            framed.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    found = re.search(r'<pre id="told">(.+?)</pre>', shown.stdout)
    assert found, shown.stderr[-2000:]
    return json.loads(html.unescape(found[1]))


@pytest.mark.parametrize("width", [1100, 360])
def test_page_is_drawn_whole_and_runs_and_fetches_nothing(tmp_path, width):
    told = told_by_the_browser(tmp_path, width)
    assert told["verdict"] == "Accepted by the Evaluator and the Canary"
    assert (told["scripts"], told["images"], told["outside"]) == (0, 0, 0)
    assert told["quotes"] == 8
    assert told["wide"] <= told["room"] <= width
    assert len(told["charts"]) == 5
    assert all(min(width, 540) * 0.5 < wide <= width for wide in told["charts"])
    assert told["font"] == "15px"  # the page's own policy allows the style sheet
