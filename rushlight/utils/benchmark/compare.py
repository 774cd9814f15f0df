"""Compare: a table of measurements; a row for each sub-label, a column for each description."""

from .measurement import Measurement, select_unit, trim_sigfig, unit_to_english

__all__ = ["Compare"]

_BEST, _GOOD, _BAD, _END = "\033[92m\033[1m", "\033[34m\033[1m", "\033[31m\033[1m", "\033[0m\033[0m"


class Compare:
    """Prints measurements side by side, one table for each label. results: a list of :class:`Measurement`."""

    def __init__(self, results):
        self._results = []
        self._trim = self._colorize = self._highlight = False
        self.extend_results(results)

    def extend_results(self, results):
        """Adds measurements."""
        for result in results:
            if not isinstance(result, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(result)} instead.")
        self._results.extend(results)

    def trim_significant_figures(self):
        """From now on shows only digits that can be trusted."""
        self._trim = True

    def colorize(self, rowwise=False):
        """From now on colours the fastest of a table, or of each row."""
        self._colorize, self._rowwise = True, rowwise

    def highlight_warnings(self):
        """From now on marks measurements that fluctuated."""
        self._highlight = True

    def print(self):
        """Prints the tables."""
        print(str(self))

    def __str__(self):
        labels = {}
        for result in Measurement.merge(self._results):
            labels.setdefault(result.task_spec.label, []).append(result)
        return "\n".join(self._table(label, results) for label, results in labels.items())

    def _table(self, label, results):
        unit, scale = select_unit(min(r.median for r in results))
        columns = list(dict.fromkeys(r.task_spec.description for r in results))
        threads = list(dict.fromkeys(r.task_spec.num_threads for r in results))
        rows = list(dict.fromkeys((r.task_spec.num_threads, r.as_row_name) for r in results))
        cells = {(r.task_spec.num_threads, r.as_row_name, r.task_spec.description): r for r in results}
        texts = {key: self._cell(r, scale) for key, r in cells.items()}
        left = max(max(len(name) for _, name in rows) + 6, max(len(f"{n} threads: ") for n in threads))
        widths = [max([len(str(c)), *(len(t) for (_, _, d), t in texts.items() if d == c)]) for c in columns]
        head = " " * left + "".join(f"  |  {str(c).center(w)}" for c, w in zip(columns, widths))
        title = f" {label} " if label else " "
        lines = ["[" + title.center(len(head) - 2, "-") + "]", head]
        for count in threads:
            lines.append(f"{count} threads: ".ljust(len(head), "-"))
            for _, name in (row for row in rows if row[0] == count):
                line = f"      {name}".ljust(left)
                for column, width in zip(columns, widths):
                    key = (count, name, column)
                    line += "  |  " + self._coloured(texts.get(key, "").rjust(width), cells, key)
                lines.append(line)
        lines += ["", f"Times are in {unit_to_english(unit)}s ({unit})."]
        if self._highlight and any(r.has_warnings for r in results):
            lines.append("(! XX%) Measurement has high variance, where XX is the IQR / median * 100.")
        return "\n".join([*lines, ""])

    def _cell(self, result, scale):
        value = result.median / scale
        if self._trim:
            value = trim_sigfig(value, result.significant_figures)
        text = f"{value:.0f}" if self._trim and value >= 10 ** (result.significant_figures - 1) else f"{value:.1f}"
        if self._highlight and result.has_warnings:
            text = f"(! {100 * result.iqr / result.median:.0f}%)  {text}"
        return text

    def _coloured(self, text, cells, key):
        """The text, coloured by how it compares with the fastest of the table or of its row."""
        if not self._colorize or key not in cells:
            return text
        rivals = [r.median for other, r in cells.items() if not self._rowwise or other[:2] == key[:2]]
        factor = cells[key].median / min(rivals)
        colour = _BEST if factor < 1.05 else _GOOD if factor < 1.2 else _BAD if factor > 2 else ""
        return f"{colour}{text}{_END}" if colour else text
