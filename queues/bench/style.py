"""How pages and pictures look, light and dark."""

COLOURS = """
:root { color-scheme: light dark; --paper: #faf8f4; --card: #ffffff; --ink: #24211b; --faint: #6f695f; --line: #e6e1d6;
  --bar: #cdc6b8; --others: #948c7d; --celery: #2f7d4f; --dramatiq: #2b6ca3; --memory: #8a5fa8; --bad: #bd4a28; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #161512; --card: #1f1e1a; --ink: #ebe7dc; --faint: #9d968a; --line: #38352e;
    --bar: #625d52; --others: #8d8678; --celery: #74c795; --dramatiq: #78b7e4; --memory: #c79fe0; --bad: #f08c68; } }
"""
PICTURES = """
svg text { font: 12px ui-sans-serif, system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--ink); }
svg .faint { fill: var(--faint); font-size: 11px; } svg .number { font-variant-numeric: tabular-nums; }
svg .name { font-size: 11px; } svg .title { font-size: 14px; font-weight: 600; }
svg .title .unit { font-size: 12px; font-weight: 400; fill: var(--faint); }
.grid { stroke: var(--line); } .lead { stroke: var(--faint); stroke-width: .6; fill: none; }
.whisker { stroke: var(--ink); stroke-opacity: .6; stroke-width: 1.5; } .bound { stroke: var(--ink); stroke-width: 5; }
rect { fill: var(--bar); } rect.card { fill: var(--card); stroke: var(--line); } rect.track { fill: var(--line); }
polyline { fill: none; stroke: var(--others); stroke-width: 1.2; stroke-linejoin: round; stroke-linecap: round; }
.celery rect, .held rect.value, .close rect.value { fill: var(--celery); } .dramatiq rect { fill: var(--dramatiq); }
.memory rect { fill: var(--memory); } .missed rect.value { fill: var(--bad); }
.celery polyline { stroke: var(--celery); stroke-width: 2.5; }
.dramatiq polyline { stroke: var(--dramatiq); stroke-width: 2.5; } .memory polyline { stroke: var(--memory); }
.dashed polyline { stroke-dasharray: 6 4; }
svg .celery text, svg .dramatiq text, svg .memory text { font-weight: 600; }
"""
PAGE = """
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1320px; padding: 2.5rem 1.2rem 4rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 ui-sans-serif, system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.9rem; letter-spacing: -.02em; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; letter-spacing: -.01em; margin: 2.8rem 0 .1rem; }
h3 { font-size: .95rem; margin: 0; } h3 small { color: var(--faint); font-weight: 400; margin-left: .4rem; }
p { margin: .2rem 0 1rem; color: var(--faint); max-width: 72ch; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin: 0; padding: 0; list-style: none; font-size: 14px; }
.legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: 3px; margin-right: .4rem;
  vertical-align: -1px; background: var(--bar); }
.legend .celery i { background: var(--celery); } .legend .dramatiq i { background: var(--dramatiq); }
.legend .memory i { background: var(--memory); }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 360px), 1fr)); }
.tiles { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 168px), 1fr)); }
.card, .tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: .9rem 1rem; }
.card svg { margin-top: .5rem; } svg { width: 100%; height: auto; display: block; }
.tile { display: flex; flex-direction: column; justify-content: space-between; font-size: 13px; line-height: 1.35; }
.tile b { display: block; font-size: 1.7rem; line-height: 1.2; letter-spacing: -.02em; }
.tile b small { font-size: .9rem; font-weight: 400; letter-spacing: 0; }
.tile svg { margin: .5rem 0 .3rem; }
.tile footer { color: var(--faint); display: flex; justify-content: space-between; }
.held b, .close b { color: var(--celery); } .missed b, .missed em { color: var(--bad); } em { font-style: normal; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .4rem 0; font-size: 14px; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
.invalid { color: var(--bad); }
code { font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; color: var(--ink); }
"""
