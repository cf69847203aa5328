"""What was measured, and what follows from it."""
import statistics

# How a row is called: the program, and whether the client asks it to store.
BARE, NGINX, PEER, PEER_STORED, OURS, OURS_STORED = 'bare', 'nginx', 'peer', 'peer, store', 'ours', 'ours, store'


class Value:
    """The median of repetitions, and half their range."""

    def __init__(self, values):
        values = list(values)
        self.median = statistics.median(values)
        self.spread = (max(values) - min(values)) / 2

    def text(self, unit=''):
        if self.spread == 0:
            return number(self.median) + unit
        return f'{number(self.median)} ± {number(self.spread)}{unit}'


def number(value):
    size = abs(value)
    if size >= 10000:
        return f'{value / 1000:,.1f}k'
    return f'{value:.0f}' if size >= 100 else f'{value:.1f}' if size >= 10 else f'{value:.2f}'


class Measured:
    """One scenario: for each row the reports of its repetitions, in their order."""

    def __init__(self, key, title, connections, per_event=False, rows=None):
        self.key, self.title, self.connections, self.per_event = key, title, connections, per_event
        self.rows = rows if rows is not None else {}

    def good(self, row):
        """A wrong answer is never fast: a row with one has no figures."""
        reports = self.rows.get(row)
        return bool(reports) and not any(report['wrong'] for report in reports)

    def each(self, row, figure):
        return [figure(report) for report in self.rows[row]]

    def value(self, row, figure):
        return Value(self.each(row, figure)) if self.good(row) else None

    def beside_bare(self, row, figure, how):
        """Repetition by repetition: each was measured beside its own bare."""
        if not (self.good(row) and self.good(BARE)):
            return None
        return Value(how(mine, bare) for mine, bare in zip(self.each(row, figure), self.each(BARE, figure)))

    def added(self, row, figure):
        return self.beside_bare(row, figure, lambda mine, bare: mine - bare)

    def times(self, row, figure):
        return self.beside_bare(row, figure, lambda mine, bare: mine / bare)

    # Figures of one report.

    def cpu_us(self, report):
        """Per request, or per event that the upstream sent."""
        events = self.rows[BARE][0]['events'] if self.per_event else 1
        return report['cpu_s'] * 1e6 / report['requests'] / max(1, events)

    def memory_kb(self, report):
        """Per open stream."""
        return (report['rss_peak_kb'] - report['rss_before_kb']) / self.connections

    @staticmethod
    def rate(report):
        return report['requests'] / report['seconds']

    def as_json(self):
        return {'key': self.key, 'title': self.title, 'connections': self.connections, 'per_event': self.per_event, 'rows': self.rows}


def figure(name):
    return lambda report: report[name]
