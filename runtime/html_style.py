"""How the report looks: on wide and narrow screens, light and dark, and printed.

Losses are red and gains blue, which readers who see no red or green tell apart too; an arrow and a
sign say the same.
"""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --panel: #f5f6f8; --ink: #1b1f24; --soft: #59636e; --line: #d5dae0;
  --accent: #2f5fb3; --worse: #b3261e; --better: #1d5fa8; --bars: #8fa3bf; --shade: #b3261e26;
  --hue0: #2f5fb3; --hue1: #b8472c; --hue2: #1f7a6c; --hue3: #8e4ea8; --hue4: #8a5a00;
  --hue5: #4d7020; --hue6: #a83a6b; --hue7: #2b6f8f; --hue8: #667085; --hue9: #5b54c2;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171b; --panel: #1d2127; --ink: #e6e9ed; --soft: #9aa5b1; --line: #363d46;
    --accent: #8ab4ff; --worse: #ff8f85; --better: #7fb6ff; --bars: #6f87a8; --shade: #ff8f8533;
    --hue0: #8ab4ff; --hue1: #f0906f; --hue2: #4fc1ae; --hue3: #c99ae2; --hue4: #d9a94a;
    --hue5: #9cc162; --hue6: #ee92b9; --hue7: #6cc0de; --hue8: #98a4b3; --hue9: #b3adff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 68rem; background: var(--ground);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.75rem; border-bottom: 1px solid var(--line);
  padding-bottom: 0.25rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 0.5rem; }
p, li { max-width: 46rem; overflow-wrap: anywhere; }
code { font: 0.86em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
a { color: var(--accent); }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; padding: 0; margin: 1rem 0;
  list-style: none; }
.lead, footer, figcaption, caption, .card p { color: var(--soft); }
.warning { color: var(--worse); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 0.75rem; }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
  padding: 0.9rem 1rem; }
.card h3 { margin: 0; }
.card p { margin: 0.15rem 0; }
.big { font-size: 2rem; font-weight: 600; color: var(--ink); font-variant-numeric: tabular-nums; }
.figures { grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); }
.option { white-space: nowrap; }
.scroll { overflow-x: auto; margin: 0.75rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.92rem; }
caption { text-align: left; padding: 0 0 0.35rem; }
caption > span { display: block; max-width: min(46rem, calc(100vw - 2.5rem)); }
th, td { padding: 0.3rem 0.75rem 0.3rem 0; text-align: right; vertical-align: baseline;
  border-bottom: 1px solid var(--line); }
thead th { font-weight: 600; color: var(--soft); vertical-align: bottom; }
th:first-child, .text { text-align: left; }
td.text { min-width: 7.5rem; overflow-wrap: anywhere; }
tbody th { font-weight: 500; }
.number { white-space: nowrap; }
.worse { color: var(--worse); }
.better { color: var(--better); }
.same { color: var(--soft); }
figure { margin: 0; }
figcaption { font-size: 0.86rem; }
.cases { display: grid; gap: 1.5rem; }
.tiles { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 0.5rem;
  align-items: start; max-width: 62rem; }
.tiles img { width: 100%; height: auto; display: block; border-radius: 4px; }
.tiles span { font-size: 0.8rem; color: var(--soft); }
.beside { display: flex; flex-wrap: wrap; gap: 1rem 3rem; align-items: start; }
.ranges { display: grid; grid-template-columns: repeat(auto-fill, minmax(13.5rem, 1fr));
  gap: 1.25rem 1.5rem; margin: 1rem 0; }
.ranges figcaption > * { display: block; }
svg { display: block; width: 100%; height: auto; }
svg.bar { display: inline-block; width: 5rem; height: 0.6rem; background: var(--panel);
  vertical-align: baseline; fill: var(--accent); }
svg.bar.worse { fill: var(--worse); }
svg.bar.better { fill: var(--better); }
svg.scatter { max-width: 26rem; flex: 1 1 18rem; }
svg text { fill: var(--soft); font-size: 12px; }
.grid { stroke: var(--line); fill: none; }
.equal { stroke: var(--soft); stroke-dasharray: 4 3; fill: none; }
.points { stroke: var(--accent); stroke-width: 3.4; stroke-linecap: round; stroke-opacity: 0.55;
  fill: none; }
.bars { fill: var(--bars); }
.clip { stroke: var(--worse); stroke-width: 1.5; }
.clipped { fill: var(--shade); }
.axis { stroke: var(--line); }
svg.fluid { overflow: visible; }
svg.fluid text { paint-order: stroke; stroke: var(--ground); stroke-width: 3px; }
.part { stroke: var(--ground); stroke-width: 1; }
svg.fluid .inside { fill: var(--ground); stroke: none; }
.mark { stroke: var(--ink); stroke-dasharray: 2 3; }
.interval { stroke: currentColor; stroke-width: 2; }
.forest circle { fill: currentColor; }
.curve { stroke: currentColor; stroke-width: 2; }
.series circle { fill: currentColor; }
.series text { fill: currentColor; font-weight: 600; }
svg.swatch { display: inline-block; width: 0.75rem; height: 0.75rem; margin-right: 0.4rem; }
.hue0 { fill: var(--hue0); color: var(--hue0); }
.hue1 { fill: var(--hue1); color: var(--hue1); }
.hue2 { fill: var(--hue2); color: var(--hue2); }
.hue3 { fill: var(--hue3); color: var(--hue3); }
.hue4 { fill: var(--hue4); color: var(--hue4); }
.hue5 { fill: var(--hue5); color: var(--hue5); }
.hue6 { fill: var(--hue6); color: var(--hue6); }
.hue7 { fill: var(--hue7); color: var(--hue7); }
.hue8 { fill: var(--hue8); color: var(--hue8); }
.hue9 { fill: var(--hue9); color: var(--hue9); }
.sum { font-weight: 600; border-top: 1px solid var(--soft); }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
  padding: 0.75rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere; }
details { margin: 0.75rem 0; }
summary { cursor: pointer; color: var(--accent); }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 0.75rem;
  font-size: 0.86rem; }
@media (max-width: 30rem) {
  body { padding: 1rem 0.9rem 3rem; }
  .tiles { gap: 0.25rem; }
  .figures .big { font-size: 1.6rem; }
  .ranges { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem 0.75rem; }
}
@media print {
  :root { color-scheme: light; }
  body { max-width: none; font-size: 10.5pt; }
  nav { display: none; }
  figure, .card, tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .scroll { overflow: visible; }
}
"""

# Paper cannot be unfolded.
SCRIPT = """
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
"""
