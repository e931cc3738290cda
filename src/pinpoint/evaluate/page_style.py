"""How report.html looks: one style, two palettes, no width below which anything is cut off."""

STYLE = """
:root {
  --paper: #fbfaf8; --card: #ffffff; --ink: #1d2126; --muted: #666d76; --line: #dfe2e6;
  --good: #1f6f8b; --bad: #c2512d; --mark: #fff4d6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --card: #1d2126; --ink: #e9ebee; --muted: #9aa3ad; --line: #363c44;
    --good: #63b9d6; --bad: #f08a63; --mark: #38321f;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 2.2rem; line-height: 1.1; margin: 1rem 0 .25rem; }
h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
header p, .help, figcaption, .tiles p { color: var(--muted); }
header p, p { margin: 0 0 .5rem; overflow-wrap: anywhere; }
section { margin: 2rem 0; min-width: 0; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem;
  align-items: start; }
.two > * { min-width: 0; margin: 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; }
.notes { background: var(--mark); border-radius: .5rem; padding: 1rem; }
.notes ul { margin: 0; padding-left: 1.2rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .75rem; }
.tiles dt { font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.tiles p { margin: 0; font-size: .78rem; line-height: 1.3; }
figure { margin: 0; }
figure svg { display: block; width: 100%; max-width: 30rem; height: auto; margin: 0 auto .5rem; }
figcaption { font-size: .9rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { padding: .25rem .35rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top;
  font-variant-numeric: tabular-nums; }
th { font-weight: 500; }
td { white-space: nowrap; }
tbody th { overflow-wrap: anywhere; }
.words td { white-space: normal; overflow-wrap: anywhere; }
thead th { color: var(--muted); font-size: .78rem; }
th[scope=row], thead th:first-child { text-align: left; }
.scroll { overflow-x: auto; }
.matrix { width: auto; font-size: .8rem; }
.matrix th, .matrix td { padding: .2rem 0; border: 1px solid var(--paper); vertical-align: middle; }
.matrix td, .matrix thead th { text-align: center; min-width: 1.25rem; }
.matrix tbody th { max-width: 14rem; min-width: 4.5rem; padding-right: .3rem; line-height: 1.2; }
.matrix i { color: var(--muted); font-style: normal; }
.matrix .hit { background: color-mix(in srgb, var(--good) calc(var(--share) * .55), var(--card)); }
.matrix .miss { background: color-mix(in srgb, var(--bad) var(--share), var(--card)); }
details { border-bottom: 1px solid var(--line); padding: .35rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; }
details ul { margin: .5rem 0; padding-left: 1.2rem; }
li { overflow-wrap: anywhere; margin-bottom: .35rem; }
q { color: var(--muted); }
@media (min-width: 48rem) { .matrix { font-size: .9rem; } .matrix td, .matrix thead th { min-width: 2.4rem; } }
@media print { details:not([open]) > * { display: block; } }
"""
