"""A replay's report as one HTML file that needs nothing else: the picture, the table and what they rest on."""

from __future__ import annotations

from html import escape

from tuppence.evidence.replay.plot import as_svg
from tuppence.evidence.replay.report import Report
from tuppence.evidence.replay.telling import HEADINGS, sentences, table

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 76rem; margin: 2rem auto;
       padding: 0 1.5rem; }
h1 { font-size: 1.35rem; margin: 0 0 1rem; }
figure { margin: 0 0 1.5rem; }
svg { width: 100%; height: auto; max-width: 62rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .4rem .9rem .4rem 0; border-bottom: 1px solid #e3e3e3; vertical-align: top; }
thead th { border-bottom: 2px solid #767676; white-space: nowrap; }
tbody th { font-weight: 600; min-width: 11rem; }
td { min-width: 5rem; }
td small { display: block; white-space: nowrap; color: #595959; }
li { margin: .2rem 0; }
"""


def as_html(report: Report, *, title: str = "Replay") -> str:
    """Return the whole page; raises `ConfigError` where there is nothing to draw."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in HEADINGS)
    rows = "\n".join(_row(cells) for cells in table(report))
    said = "\n".join(f"<li>{escape(line)}</li>" for line in sentences(report))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<figure role="img" aria-label="Cost against quality; the table below holds the same numbers">
{as_svg(report)}
</figure>
<div class="wide"><table>
<thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>
<ul>
{said}
</ul>
</body>
</html>
"""


def _row(cells: tuple[str, ...]) -> str:
    first, *others = cells
    return f'<tr><th scope="row">{escape(first)}</th>{"".join(map(_cell, others))}</tr>'


def _cell(text: str) -> str:
    """Put an interval on a line of its own, which no browser then breaks."""
    value, bracket, interval = text.partition(" (")
    return f"<td>{escape(value)}{f'<small>({escape(interval)}</small>' if bracket else ''}</td>"
