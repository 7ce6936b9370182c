"""Numbers and tables as a reader sees them."""

DAY = 86_400
UNITS = {
    "bytes": ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1, "bytes")),
    "seconds": ((365 * DAY, "years"), (2 * DAY, "days"), (3600, "h"), (60, "min"), (0, "s")),
}


def short(count):
    """A count in few characters, str."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if count >= size:
            return f"{_digits(count / size)}{letter}"
    return f"{count:,.0f}"


def _digits(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def written(value, unit):
    """A value with its unit, str."""
    if unit == "count":
        return short(value)
    if unit not in UNITS:
        return f"{value:,.0f} {unit}"
    size, name = next((size, name) for size, name in UNITS[unit] if value >= size)
    size = {"days": DAY, "s": 1}.get(name, size)
    return f"{_digits(value / size)} {name}"


def markdown(some):
    """Tables as Markdown, str.

    Args:
        some (list of Table): stage by stage.
    """
    lines = []
    for table in some:
        lines += [f"### {table.title}", "", f"| | {' | '.join(table.columns)} | rests on |"]
        lines += ["|---" * (len(table.columns) + 2) + "|"]
        for row in table.rows:
            values = " | ".join(written(value, row.unit) for value in row.values)
            lines.append(f"| {row.what} | {values} | {row.basis} |")
        lines.append("")
    return "\n".join(lines)
