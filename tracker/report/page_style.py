"""The style sheet of an HTML report: light and dark, the dashboard's palette, and for paper."""

__all__ = ["STYLE"]

STYLE = """
:root {
  color-scheme: light dark;
  --back: #ffffff; --panel: #f3f5f9; --text: #1b2330; --weak: #586376; --line: #d9dee8;
  --worse: #a8232f; --worse-back: #fbebed; --better: #14683d; --better-back: #e6f4ec;
  --open: #8a5a00; --open-back: #fdf3df; --plain: #3d5a96; --band: #586376;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #10151d; --panel: #1a212c; --text: #e5e9f0; --weak: #9aa5b8; --line: #303a49;
    --worse: #ff8a91; --worse-back: #3a1c22; --better: #6fd6a0; --better-back: #15301f;
    --open: #f0c063; --open-back: #33280f; --plain: #93b6ff; --band: #9aa5b8;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 32px 24px 64px; }
code, pre, .name, figcaption { font-family: ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace;
  font-size: 13px; }
header { border-left: 6px solid var(--plain); background: var(--panel); border-radius: 8px;
  padding: 20px 24px; --tone: var(--plain); --tone-back: var(--panel); }
header.pass, header.improvement { --tone: var(--better); --tone-back: var(--better-back); }
header.regression, header.broken { --tone: var(--worse); --tone-back: var(--worse-back); }
header.inconclusive, header.invalid, header.infrastructure { --tone: var(--open); --tone-back: var(--open-back); }
header { border-left-color: var(--tone); background: var(--tone-back); }
.project { margin: 0 0 6px; color: var(--weak); }
h1 { margin: 0 0 12px; font-size: 21px; line-height: 1.4; font-weight: 600; overflow-wrap: anywhere; }
.badge { display: inline-block; background: var(--tone); color: var(--back); border-radius: 6px;
  padding: 0 10px; font-weight: 700; letter-spacing: .02em; }
.commits { display: grid; gap: 2px; overflow-wrap: anywhere; }
.arm { display: inline-block; min-width: 3em; color: var(--weak); }
.effort { margin: 12px 0 0; color: var(--weak); overflow-wrap: anywhere; }
section, details { margin-top: 28px; }
h2, summary { font-size: 16px; font-weight: 600; margin: 0 0 10px; }
summary { cursor: pointer; color: var(--weak); }
details[open] > summary { color: var(--text); }
.warning ul, .alarm ul { margin: 0; padding: 12px 16px 12px 34px; border-radius: 8px;
  background: var(--open-back); overflow-wrap: anywhere; }
.alarm ul { background: var(--worse-back); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; min-width: 900px; }
th { text-align: left; font-weight: 500; color: var(--weak); vertical-align: bottom; padding: 0 8px 6px; }
td { border-top: 1px solid var(--line); padding: 6px 8px; vertical-align: top; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.name { overflow-wrap: anywhere; min-width: 220px; }
.place, .unit, .note { color: var(--weak); }
.unit { font-size: 12px; }
.note { font: 13px/1.45 system-ui, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
.regression, .broken { --tone: var(--worse); } .improvement { --tone: var(--better); }
.inconclusive { --tone: var(--open); } .pass { --tone: var(--plain); } .none { --tone: var(--weak); }
.word, .change { color: var(--tone); font-weight: 600; white-space: nowrap; }
tr.blocks td:first-child { box-shadow: inset 3px 0 var(--worse); }
svg { display: block; overflow: visible; }
svg text { fill: var(--weak); font: 11px system-ui, "DejaVu Sans", sans-serif; }
.axis, .effect { width: 300px; height: auto; }
.effect { margin: -3px 0; }
.grid { stroke: var(--line); stroke-width: 1; }
.zero { stroke: var(--weak); stroke-width: 1; }
.band { fill: var(--band); opacity: .12; }
.interval { stroke: var(--tone); stroke-width: 2; }
.dot, .arrow { fill: var(--tone); }
.cards { display: grid; gap: 16px; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); }
figure { margin: 0; padding: 12px 14px; border: 1px solid var(--line); border-radius: 8px; }
figcaption { overflow-wrap: anywhere; margin-bottom: 6px; }
.pairs { width: 100%; height: auto; }
.key { color: var(--weak); margin: 0 0 10px; --tone: var(--plain); }
.key svg { display: inline-block; width: 12px; height: 12px; vertical-align: -1px; }
circle.base { fill: var(--back); stroke: var(--weak); stroke-width: 1.5; }
circle.head { fill: var(--tone); }
.link { stroke: var(--tone); stroke-width: 1.5; opacity: .35; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 0; }
dt { color: var(--weak); } dd { margin: 0; overflow-wrap: anywhere; }
pre { margin: 0; padding: 12px 16px; border-radius: 8px; background: var(--panel); white-space: pre-wrap;
  overflow-wrap: anywhere; }
@media (max-width: 640px) { main { padding: 16px 12px 40px; } dl { grid-template-columns: 1fr; }
  dt { margin-top: 6px; } }
@media print { main { max-width: none; } details:not([open]) > :not(summary) { display: block; } }
"""
