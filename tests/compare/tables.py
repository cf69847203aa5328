"""The tables, as Markdown."""
from results import BARE, OURS, OURS_STORED, PEER, PEER_STORED, Value, figure, number

WRONG = 'wrong answers'


def table(head, rows):
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    return '\n'.join(lines + ['| ' + ' | '.join(row) + ' |' for row in rows])


def shown(value, unit=''):
    return '' if value is None else value.text(unit)


# The short table: what a gateway adds to bare.

def loads_summary(loads):
    """Label, scenario, how a row's value is got, unit."""
    p50, first, p99 = figure('p50_ms'), figure('first_ms'), figure('p99_ms')
    cpu = lambda at, row: at.added(row, at.cpu_us)
    memory = lambda at, row: at.added(row, at.memory_kb)
    wanted = [
        ('small JSON request, 32 at a time: CPU', 'S1 ×32', cpu, ' µs'),
        ("the same: requests per second, of bare's", 'S1 ×32', lambda at, row: at.times(row, at.rate), ' ×'),
        ('the same: upstream connections', 'S1 ×32', lambda at, row: at.value(row, figure('upstream_connections')), ''),
        ('one at a time: CPU', 'S1 ×1', cpu, ' µs'),
        ("the same: p99, of bare's", 'S1 ×1', lambda at, row: at.times(row, p99), ' ×'),
        ('stream of text and a call, 1 at a time: CPU per event', 'S2 ×1', cpu, ' µs'),
        ('32 at a time', 'S2 ×32', cpu, ' µs'),
        ('stream of a custom call, 1 at a time: CPU per event', 'S2C ×1', cpu, ' µs'),
        ('32 at a time', 'S2C ×32', cpu, ' µs'),
        ('256 open streams: memory of each', 'S2P ×256', memory, ' KB'),
        ('2,000 open streams: memory of each', 'S2P ×2000', memory, ' KB'),
        ('Codex request of 450 KB, JSON: p50', 'S3 JSON ×1', lambda at, row: at.added(row, p50), ' ms'),
        ('the same: CPU', 'S3 JSON ×1', cpu, ' µs'),
        ('as a stream: first event', 'S3 SSE ×1', lambda at, row: at.added(row, first), ' ms'),
        ('the same, 8 at a time: CPU', 'S3 SSE ×8', cpu, ' µs'),
    ]
    rows = []
    for label, key, how, unit in wanted:
        if key in loads:
            cells = []
            for row in (PEER_STORED, OURS_STORED, PEER, OURS):
                good = row not in loads[key].rows or loads[key].good(row)
                cells.append(shown(how(loads[key], row), unit) if good else WRONG)
            rows.append([label, *cells])
    return rows


def conversations_summary(kinds):
    rows = []

    def row(label, value):
        rows.append([label, value('peer'), value('ours'), '', ''])

    for kind, measured in kinds.items():
        turns = measured['turns']
        marks = sorted({10, turns})
        runs = measured['rows'].get
        row(f'{turns:,} turns, {kind}: turn {" → ".join(f"{mark:,}" for mark in marks)}',
            lambda name: ' → '.join(shown(at_mark(runs(name), mark)) for mark in marks) + ' ms' if runs(name) else '')
        row('the same: state', lambda name: state_text(runs(name)) if runs(name) else '')
    return rows


def at_mark(runs, mark):
    times = [run['at_ms'].get(mark) for run in runs]
    return Value(times) if runs and None not in times else None


def state_text(runs):
    state, said = Value(run['state'] for run in runs).median, runs[0]['said']
    return f'{number(state / 1e6)} MB, {number(state / said)} × what was said'


def footprints_summary(footprints):
    if not footprints:
        return []
    rows = []
    for label, how in (('binary', lambda it: number(it['binary_mb']) + ' MB'),
                       ('cold start', lambda it: Value(it['start_ms']).text(' ms')),
                       ('idle memory', lambda it: number(it['idle_rss_mb']) + ' MB')):
        values = {name: how(it) for name, it in footprints.items()}
        rows.append([f'{label} (bare: {values.get(BARE, "")})', values.get('peer', ''), values.get('ours', ''), '', ''])
    return rows


def summary(result):
    rows = loads_summary(result['loads']) + conversations_summary(result['conversations']) + footprints_summary(result['footprints'])
    about = ', '.join(f'{name} {version}' for name, version in result['versions'].items() if version)
    lines = [f"{result['date']}, {result['machine']}. {about}.",
             f"{result['reps']} interleaved repetitions, median ± half the range; figures are what each adds to bare in the same run, unless said."]
    return '\n\n'.join(['\n'.join(lines), table(['', PEER_STORED, OURS_STORED, PEER, OURS], rows)]) + '\n'


# The long ones: everything.

def load_table(measured):
    per = 'event' if measured.per_event else 'request'
    head = ['', 'requests', 'requests/s', 'p50 ms', 'p99 ms', 'first piece ms', f'CPU µs per {per}', 'beyond bare',
            'memory KB per connection', 'beyond bare', 'upstream connections']
    rows = []
    for row in measured.rows:
        if not measured.good(row):
            wrong = sum(times for report in measured.rows[row] for times in report['wrong'].values())
            rows.append([row, f'**{wrong} {WRONG}**'] + [''] * (len(head) - 2))
            continue
        value = measured.value
        added = (lambda figure: '' if row == BARE else shown(measured.added(row, figure)))
        rows.append([row, f"{sum(report['requests'] for report in measured.rows[row]):,}",
                     *(shown(value(row, it)) for it in (measured.rate, figure('p50_ms'), figure('p99_ms'), figure('first_ms'), measured.cpu_us)),
                     added(measured.cpu_us), shown(value(row, measured.memory_kb)), added(measured.memory_kb),
                     shown(value(row, figure('upstream_connections')))])
    return f'### {measured.key}: {measured.title}\n\n' + table(head, rows)


def conversation_table(kind, measured):
    marks = sorted({mark for runs in measured['rows'].values() for run in runs for mark in run['at_ms']})
    head = ['', *(f'turn {mark:,}, ms' for mark in marks), 'state']
    rows = []
    for name, runs in measured['rows'].items():
        state = state_text(runs) if runs and runs[0]['state'] is not None else ''
        rows.append([name, *(shown(at_mark(runs, mark)) for mark in marks), state])
    return f"### S4: {measured['turns']:,} turns, {kind}\n\n" + table(head, rows)


def everything(result):
    parts = ['# The whole run', summary(result)]
    parts += [load_table(measured) for measured in result['loads'].values()]
    parts += [conversation_table(kind, measured) for kind, measured in result['conversations'].items()]
    parts += ['**' + text + '**' for text in result['failures']]
    return '\n\n'.join(parts) + '\n'
