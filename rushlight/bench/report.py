"""The results as text: one line of a table per row, and a bar chart."""

import math
from xml.sax.saxutils import escape

__all__ = ["HEADER", "chart", "line"]

HEADER = (
    f"| {'workload':44} | PyTorch | rushlight | ratio | aim | achieved | of the limit | memory: PyTorch | rushlight |",
    f"|{'-' * 46}|---|---|---|---|---|---|---|---|",
)


def scaled(value, units):
    """``value`` with three digits in the largest of ``units`` ((name, size), ascending) that leaves at least 1."""
    name, size = next((unit for unit in reversed(units) if value >= unit[1]), units[0])
    return f"{value / size:.3g} {name}"


def duration(seconds):
    """A time in the unit that suits it.

    >>> duration(0.0021)
    '2.1 ms'
    """
    return scaled(seconds, (("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)))


def size(nbytes):
    """Bytes in the unit that suits them."""
    return scaled(nbytes, (("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)))


def line(result, limits):
    """The table's line of one result. limits: bytes and flops per second that the machine reaches."""
    if result.error:
        return f"| {result.row.name:44} | {result.error} |"
    ratio, aim, target = "", "", result.row.target
    if result.ratio is not None:
        below = target is not None and result.ratio < target
        ratio, aim = f"{result.ratio:.2f}{' below' if below else ''}", "" if target is None else str(target)
    rate, share = "", ""
    for amount, limit, scale, unit in zip(result.work, limits, (1e9, 1e9), ("GB/s", "GFLOP/s")):
        if amount and not rate:
            speed = amount / result.ours
            rate, share = f"{speed / scale:.0f} {unit}", f"{speed / limit:.0%}"
    theirs = "" if result.theirs is None else duration(result.theirs)
    memory = ["" if peak is None else size(peak) for peak in result.peaks]
    return (f"| {result.row.name:44} | {theirs} | {duration(result.ours)} | {ratio} | {aim} | {rate} | {share} | {memory[0]} "
            f"| {memory[1]} |")  # fmt: skip


BAR, GAP, LABEL, WIDTH = 16, 6, 330, 520


def chart(results, title):
    """The ratios as an SVG picture: a bar per row from 1 (equally fast) to the right where rushlight is faster, else to the left.

    The axis is logarithmic, so that twice as fast and half as fast are equally long.
    """
    rows = [r for r in results if not r.error and r.ratio]
    low = min([1.0, *(r.ratio for r in rows)])
    high = max([2.0, *(r.ratio for r in rows)])
    unit = WIDTH / math.log(high / low)

    def at(ratio):
        return LABEL + unit * math.log(ratio / low)

    height = 64 + len(rows) * (BAR + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABEL + WIDTH + 70}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="100%" fill="#fff"/><text x="10" y="18" font-size="14">{escape(title)}</text>',
    ]
    for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100):
        if low <= tick <= high:
            x, colour = at(tick), "#333" if tick == 1 else "#ddd"
            parts.append(f'<line x1="{x:.1f}" y1="42" x2="{x:.1f}" y2="{height - 10}" stroke="{colour}"/>')
            parts.append(f'<text x="{x:.1f}" y="38" text-anchor="middle" fill="#555">{tick:g}x</text>')
    for i, result in enumerate(rows):
        y = 48 + i * (BAR + GAP)
        left, right = sorted((at(1.0), at(result.ratio)))
        colour = "#2a7f62" if result.ratio >= 1 else "#c0504d"
        parts.append(f'<text x="{LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(result.row.name)}</text>')
        parts.append(f'<rect x="{left:.1f}" y="{y}" width="{max(right - left, 1):.1f}" height="{BAR}" fill="{colour}"/>')
        parts.append(f'<text x="{right + 5:.1f}" y="{y + 12}" fill="#333">{result.ratio:.2f}</text>')
    return "\n".join([*parts, "</svg>", ""])
