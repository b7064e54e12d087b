"""The page's style sheet: light or dark by the reader's setting, one column on a phone."""

CSS = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6576; --paper: #ffffff; --card: #f5f7fa;
  --edge: #dde2ea; --good: #127a4b; --bad: #b42318; --warn: #93580a; --a: #2563eb; --b: #d9730d;
  --a-rgb: 37, 99, 235; --b-rgb: 217, 90, 13; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf1; --soft: #9aa5b8; --paper: #12161d;
  --card: #1a202a; --edge: #2c3544; --good: #4ccb8c; --bad: #ff8a7a; --warn: #e7b15a; --a: #6ea2ff; --b: #ffa257;
  --a-rgb: 90, 145, 255; --b-rgb: 255, 140, 60; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 22px 60px; }
h1 { font-size: 25px; line-height: 1.25; margin: 0 0 14px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 40px 0 4px; padding-top: 14px; border-top: 1px solid var(--edge); }
h3 { font-size: 15px; margin: 22px 0 6px; }
p { margin: 6px 0 12px; max-width: 75ch; }
.soft { color: var(--soft); }
.verdict { padding: 14px 18px; border-radius: 8px; background: var(--card); border-left: 5px solid var(--good); }
.verdict.no { border-left-color: var(--bad); }
.verdict b { font-size: 17px; }
.verdict ul { margin: 6px 0 0; padding-left: 20px; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 12px; margin: 18px 0 6px; }
.card { background: var(--card); border-radius: 8px; padding: 12px 14px; }
.mark { font-style: normal; font-weight: 600; margin-left: 6px; }
.card b { font-weight: 600; }
.beside { display: flex; flex-wrap: wrap; gap: 0 48px; align-items: flex-start; }
.beside > * { max-width: 100%; }
.mistakes { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 10px;
  align-items: start; }
.card span { display: block; color: var(--soft); font-size: 13px; }
.card strong { display: block; font-size: 25px; line-height: 1.3; font-variant-numeric: tabular-nums; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.scroll { overflow-x: auto; margin: 8px 0; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 12px 5px 0; text-align: right; vertical-align: baseline; border-bottom: 1px solid var(--edge);
  white-space: nowrap; }
th { color: var(--soft); font-weight: 500; font-size: 13px; }
th:first-child, td:first-child, .left { text-align: left; }
td.words { white-space: normal; min-width: 16em; overflow-wrap: anywhere; text-align: left; }
bdi.name { display: inline-block; max-width: 17em; overflow: hidden; text-overflow: ellipsis; vertical-align: bottom; }
.meter { display: inline-block; width: 84px; height: 8px; margin-left: 8px; border-radius: 4px;
  background: rgba(var(--a-rgb), .16); }
.meter i { display: block; height: 100%; border-radius: 4px; background: var(--a); }
.matrix td, .matrix th { text-align: center; padding: 6px 9px; border: 1px solid var(--paper); min-width: 40px; }
.matrix th:first-child { text-align: right; }
.matrix td { background: rgba(var(--b-rgb), var(--v, 0)); color: var(--ink); }
.matrix td.hit { background: rgba(var(--a-rgb), var(--v, 0)); }
.matrix td.zero { background: var(--card); color: var(--soft); }
.matrix thead th { vertical-align: bottom; }
.matrix.many thead bdi { writing-mode: vertical-rl; transform: rotate(180deg); max-width: none; max-height: 10em; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 18px; }
figure { margin: 10px 0; max-width: 540px; }
figcaption { font-size: 14px; display: flex; flex-wrap: wrap; gap: 2px 14px; }
svg { width: 100%; height: auto; display: block; }
svg text { font-size: 13px; fill: var(--soft); }
svg .grid { stroke: var(--edge); } svg .guide { stroke: var(--soft); stroke-dasharray: 5 4; fill: none; }
svg .line { fill: none; stroke-width: 2.2; stroke-linejoin: round; } svg .bar { fill: rgba(var(--a-rgb), .55); }
svg .s0 { stroke: var(--a); } svg .s1 { stroke: var(--b); } circle.s0 { fill: var(--a); } circle.s1 { fill: var(--b); }
.key { color: var(--soft); } .key i { display: inline-block; width: 14px; height: 3px; margin: 0 6px 3px 0; }
i.s0 { background: var(--a); } i.s1 { background: var(--b); }
.mistake { background: var(--card); border-radius: 8px; padding: 11px 14px; }
.mistake blockquote { margin: 0 0 6px; white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate;
  max-height: 15em; overflow-y: auto; }
.mistake blockquote + blockquote { border-top: 1px dashed var(--edge); padding-top: 6px; }
.mistake div { font-size: 14px; color: var(--soft); overflow-wrap: anywhere; }
@media (max-width: 520px) { main { padding: 18px 14px 40px; } h1 { font-size: 21px; }
  .cards { grid-template-columns: 1fr 1fr; } .card strong { font-size: 21px; } .meter { display: none; }
  bdi.name { max-width: 9em; } td.words { min-width: 11em; } }
"""
