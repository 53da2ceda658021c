"""Compares two JUnit reports of one test suite: straight to PostgreSQL, and through pgglass.

    suites_compare.py DIRECT.xml PGGLASS.xml AGAIN.xml KNOWN.txt

AGAIN.xml holds what failed through pgglass and was run once more.

Counts only tests that pass directly: each must pass through pgglass as well, or stand in KNOWN.txt
(one test a line, then " # " and the cause, which is a line of KNOWN_LIMITATIONS.md). A known
difference that passes is reported too, so that the list shrinks. Exit status 1 if either occurs, and
when nothing passes directly. A cause that begins with "at times" belongs to a race: both are right.
"""

import collections
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def outcomes(path):
    """Test name to (outcome, first line of what it said)."""
    found = {}
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        outcome, said = "passed", ""
        for child in case:
            if child.tag in ("failure", "error", "skipped"):
                outcome = child.tag
                said = next(iter((child.get("message") or "").splitlines()), "")
                break
        # A test whose teardown fails has two entries: the worse one counts.
        if found.get(name, ("passed", ""))[0] == "passed":
            found[name] = (outcome, said)
    return found


def known_differences(path):
    """Test name to the cause of its difference."""
    file = pathlib.Path(path)
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    pairs = (line.split(" # ", 1) for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): cause.strip() for name, cause in pairs}


def main():
    direct, proxied = outcomes(sys.argv[1]), outcomes(sys.argv[2])
    proxied.update(outcomes(sys.argv[3]))
    known = known_differences(sys.argv[4])
    passed = [name for name, (outcome, _) in direct.items() if outcome == "passed"]
    lost = {n: proxied.get(n, ("missing", "")) for n in passed if proxied.get(n, ("missing", ""))[0] != "passed"}
    print(f"directly: {dict(collections.Counter(o for o, _ in direct.values()))}")
    print(f"pgglass:  {dict(collections.Counter(o for o, _ in proxied.values()))}")
    for name in sorted(set(lost) & set(known)):
        print(f"known: {name}: {known[name]}")
    new = sorted(set(lost) - set(known))
    for name in new:
        print(f"DIFFERENT: {name}: {lost[name][0]}: {lost[name][1]}")
    # A part of the suite (SUITE_TESTS) says nothing about the rest of the list.
    stale = sorted(name for name, cause in known.items()
                   if name in proxied and name not in lost and not cause.startswith("at times"))
    for name in stale:
        print(f"NO LONGER DIFFERENT: {name}: take it out of {sys.argv[4]}")
    print(f"{len(passed)} pass directly, {len(passed) - len(lost)} of them through pgglass, "
          f"{len(lost) - len(new)} known differences, {len(new)} new")
    sys.exit(1 if new or stale or not passed else 0)


if __name__ == "__main__":
    main()
