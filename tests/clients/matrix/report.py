"""Compares what the programs of the driver matrix printed directly and through pgglass.

    report.py FOLDER KNOWN.txt

FOLDER holds SCOPE.DRIVER.direct and SCOPE.DRIVER.pgglass, lines as checks.py prints them. Prints a
table and, for what differs, both results. KNOWN.txt: one difference a line, "SCOPE | DRIVER | CHECK |
cause", the cause being a line of KNOWN_LIMITATIONS.md. Exit status 1 for a difference that is not
in it, for one in it that is gone, and for a driver that printed nothing.
"""

import json
import pathlib
import sys

SHOWN = 400  # characters of a result that differs


def lines(path):
    """Check to result, in the order of the program."""
    found = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        name, tab, result = line.partition("\t")
        if tab:
            found[name] = result
    return found


def known_differences(path):
    entries = {}
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            scope, driver, check, cause = (part.strip() for part in line.split("|", 3))
            entries[(scope, driver, check)] = cause
    return entries


def brief(result):
    """A result for the table: an error's code, or that there was one to compare."""
    if result is None:
        return "no answer"
    try:
        value = json.loads(result)
    except ValueError:
        return "unreadable"
    if isinstance(value, dict) and "error" in value:
        return f"error {value.get('sqlstate') or value['error']}"
    return "ok"


def around_difference(one, other):
    """The part of both results where they part."""
    one, other = one or "", other or ""
    at = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
    start = max(0, at - 120)
    return one[start:start + SHOWN], other[start:start + SHOWN]


def main():
    folder, known = pathlib.Path(sys.argv[1]), known_differences(sys.argv[2])
    rows, details, seen = [], [], set()
    counts = {"same": 0, "known": 0, "DIFFERENT": 0}
    for direct_file in sorted(folder.glob("*.direct")):
        scope, driver = direct_file.stem.split(".", 1)
        direct, proxied = lines(direct_file), lines(direct_file.with_suffix(".pgglass"))
        if not direct:
            details.append(f"{scope} {driver}: printed nothing directly: "
                           + direct_file.with_suffix(".direct-log").read_text(errors="replace")[-SHOWN:])
            counts["DIFFERENT"] += 1
        for check in list(direct) + [c for c in proxied if c not in direct]:
            one, other = direct.get(check), proxied.get(check)
            verdict = "same" if one == other else "DIFFERENT"
            if one != other and (scope, driver, check) in known:
                verdict = "known"
                seen.add((scope, driver, check))
            counts[verdict] += 1
            rows.append((f"{driver} ({scope})", check, brief(one), brief(other) if one == other else f"{verdict}: {brief(other)}"))
            if verdict == "DIFFERENT":
                left, right = around_difference(one, other)
                details.append(f"{scope} | {driver} | {check}\n    direct:  {left}\n    pgglass: {right}")
    rows.insert(0, ("driver (scope)", "check", "direct", "pgglass"))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        print(" | ".join(cell.ljust(width) for cell, width in zip(row, widths)), "|", row[3])
    ran = {tuple(file.stem.split(".", 1)) for file in folder.glob("*.direct")}
    stale = sorted(entry for entry in set(known) - seen if entry[:2] in ran)
    for entry in stale:
        details.append(f"no longer different, take it out of {sys.argv[2]}: {' | '.join(entry)}")
    print()
    print("\n".join(details))
    print(f"{counts['same']} the same, {counts['known']} known differences, {counts['DIFFERENT']} new ones")
    sys.exit(1 if counts["DIFFERENT"] or stale else 0)


if __name__ == "__main__":
    main()
