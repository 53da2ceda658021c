"""Compares the outcomes of one test suite: straight to PostgreSQL, and through pgglass.

    compare.py KNOWN.txt DIRECT PGGLASS [AGAIN...]

The three are files with JUnit reports or TAP logs, or folders of such files. AGAIN holds tests that were
run through pgglass once more: what passes there passes.

Counts only tests that pass directly: each must pass through pgglass as well, or stand in KNOWN.txt
(one test a line, then " # " and the cause, which is a line of KNOWN_LIMITATIONS.md). A known
difference that passes is reported too, so that the list shrinks. Exit status 1 if either occurs, and
when nothing passes directly. A cause that begins with "at times" belongs to a race: both are right.
"""

import collections
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree


def junit(path, found):
    """Adds the tests of a JUnit report. A test with two entries (its teardown failed) has the worse outcome."""
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        outcome, said = "passed", ""
        for child in case:
            if child.tag in ("failure", "error", "skipped"):
                outcome = child.tag
                said = next(iter((child.get("message") or child.text or "").strip().splitlines()), "")
                break
        if found.get(name, ("passed", ""))[0] == "passed":
            found[name] = (outcome, said)


TAP = re.compile(r"(not )?ok(?: \d+)? *(?:- )?(.*?)(?: *# *((?:skip|todo)\b.*))?", re.IGNORECASE)


def tap(path, found):
    """Adds the tests of a TAP log, named after its file. Of tests with one name the n-th is compared with the n-th."""
    times = collections.Counter()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        match = TAP.fullmatch(line)
        if not match:
            continue
        failed, said, directive = match.groups()
        times[said] += 1
        name = f"{path.stem}::{said}" + (f" ({times[said]})" if times[said] > 1 else "")
        outcome = "skipped" if directive else "failure" if failed else "passed"
        found[name] = (outcome, directive or "")


def outcomes(name):
    """Test name to (outcome, first line of what it said), of a file or of a folder's files."""
    found = {}
    path = pathlib.Path(name)
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if file.suffix == ".xml":
            junit(file, found)
        elif file.suffix == ".tap":
            tap(file, found)
    return found


def known_differences(path):
    """Test name to the cause of its difference."""
    file = pathlib.Path(path)
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    pairs = (line.split(" # ", 1) for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): cause.strip() for name, cause in pairs}


def main():
    list_of_known = sys.argv[1]
    known = known_differences(list_of_known)
    direct, proxied = outcomes(sys.argv[2]), outcomes(sys.argv[3])
    for again in sys.argv[4:]:
        proxied.update({name: seen for name, seen in outcomes(again).items() if seen[0] == "passed"})
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
        print(f"NO LONGER DIFFERENT: {name}: take it out of {list_of_known}")
    print(f"{len(passed)} pass directly, {len(passed) - len(lost)} of them through pgglass, "
          f"{len(lost) - len(new)} known differences, {len(new)} new")
    sys.exit(1 if new or stale or not passed else 0)


if __name__ == "__main__":
    main()
