"""The curves, as SVG that can be read on light and on dark pages."""
from html import escape
from math import ceil, floor, log10

from results import BARE, NGINX, OURS, OURS_STORED, PEER, PEER_STORED

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 70, 120, 56, 58
STYLE = '''
  text { font: 13px system-ui, sans-serif; fill: #57606a }
  .title { font-size: 16px; font-weight: 600; fill: #1f2328 }
  .grid { stroke: #8c959f; stroke-opacity: .25 }
  .line { fill: none; stroke-width: 2.25; stroke-linejoin: round }
  .store { stroke-dasharray: 6 4 }
  .bare { stroke: #6e7781; fill: #6e7781 } .ours { stroke: #0969da; fill: #0969da } .peer { stroke: #bc4c00; fill: #bc4c00 }
  .nginx { stroke: #1a7f37; fill: #1a7f37 }
  .name { stroke: none } .line { fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 } .title { fill: #f0f6fc }
    .bare { stroke: #9198a1; fill: #9198a1 } .ours { stroke: #4493f8; fill: #4493f8 } .peer { stroke: #f0883e; fill: #f0883e }
    .nginx { stroke: #3fb950; fill: #3fb950 }
    .line { fill: none } .name { stroke: none }
  }
'''
ORDER = (BARE, NGINX, OURS, OURS_STORED, PEER, PEER_STORED)


def heights(values, logarithmic):
    """The marks of the vertical axis, and the place of a value on it between 0 and 1."""
    if logarithmic:
        low, high = floor(log10(min(values))), ceil(log10(max(values) * 1.02))
        return [10.0 ** decade for decade in range(low, high + 1)], lambda value: (log10(max(value, 10 ** low)) - low) / (high - low)
    rough = max(values) * 1.1 / 4
    step = next(step for decade in (10 ** floor(log10(rough)),) for step in (decade, 2 * decade, 5 * decade, 10 * decade) if step >= rough)
    marks = [step * at for at in range(ceil(max(values) * 1.02 / step) + 1)]
    return marks, lambda value: value / marks[-1]


def chart(title, x_title, y_title, series, x_text, logarithmic):
    """`series`: for each name points of x, y and spread. The horizontal axis is logarithmic."""
    xs = sorted({point[0] for points in series.values() for point in points})
    ys = [at for points in series.values() for _, value, spread in points for at in (value, value + spread) if at > 0]
    if len(xs) < 2 or not ys:
        return None
    marks, height = heights(ys, logarithmic)

    def x(value):
        return LEFT + (log10(value) - log10(xs[0])) / (log10(xs[-1]) - log10(xs[0])) * (WIDTH - LEFT - RIGHT)

    def y(value):
        return HEIGHT - BOTTOM - height(value) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<title>{escape(title)}</title>', f'<style>{STYLE}</style>',
             f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>',
             f'<text x="{LEFT}" y="{TOP - 12}">{escape(y_title)}</text>',
             f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">{escape(x_title)}</text>']
    for mark in marks:
        at = y(mark)
        parts += [f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>',
                  f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{tick(mark)}</text>']
    for value in xs:
        parts += [f'<line class="grid" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>',
                  f'<text x="{x(value):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{escape(x_text(value))}</text>']
    for name in series:
        parts += curve(name, [(x(at), y(value), y(value + spread), y(max(value - spread, 0))) for at, value, spread in series[name]])
    parts += names({name: y(points[-1][1]) for name, points in series.items()})
    body = '\n'.join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n{body}\n</svg>\n'


def tick(value):
    return f'{value:,.0f}' if value >= 1 or value == 0 else f'{value:g}'


def look(name):
    program, _, store = name.partition(', ')
    return program + (' store' if store else '')


def curve(name, points):
    path = ' '.join(f'{x:.1f},{y:.1f}' for x, y, _, _ in points)
    bars = [f'<line class="{look(name)}" stroke-opacity=".45" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>' for x, _, top, bottom in points]
    dots = [f'<circle class="{look(name)}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y, _, _ in points]
    return [*bars, f'<polyline class="{look(name)} line" points="{path}"/>', *dots]


def names(ends):
    """Each beside the end of its line, none over another."""
    parts, last = [], 0
    for name, at in sorted(ends.items(), key=lambda end: end[1]):
        last = max(at + 4, last + 16)
        parts.append(f'<text class="{look(name)} name" x="{WIDTH - RIGHT + 10}" y="{last:.1f}">{escape(name)}</text>')
    return parts


def series(loads, prefix, at):
    """CPU at each of the scenarios that begin so."""
    lines = {}
    for measured in loads.values():
        if measured.key.startswith(prefix):
            for row in ORDER:
                value = measured.value(row, measured.cpu_us) if row in measured.rows else None
                if value:
                    lines.setdefault(row, []).append((at(measured), value.median, value.spread))
    return {name: points for name, points in lines.items() if len(points) > 1}


def pictures(loads):
    """File names and what they hold."""
    size = chart('CPU of a JSON request, by its size', 'size of the request', 'µs per request',
                 series(loads, 'body ', lambda it: float(it.key.split()[1])), lambda kb: f'{kb:g} KB' if kb < 1000 else f'{kb / 1000:g} MB', True)
    streams = chart('CPU of an event, by the number of open streams', 'open streams', 'µs per event',
                    series(loads, 'streams ', lambda it: float(it.connections)), lambda streams: f'{streams:g}', False)
    return {name: text for name, text in (('body-size.svg', size), ('open-streams.svg', streams)) if text}
