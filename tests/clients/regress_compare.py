"""Compares what psql printed for each file of PostgreSQL's regression SQL: directly and through pgglass.

    regress_compare.py OUT KNOWN.txt FILE.sql...

OUT holds the folders direct and pgglass with one FILE.out each. A statement differs when what psql
printed between its last line and the next one differs, after masks for what no two servers have in
common (MASKS). Each difference must stand in KNOWN.txt as "file:line # cause", line being that of the
statement's end, or as "file # cause" for all of a file; the cause is a line of KNOWN_LIMITATIONS.md. A
cause that begins with "at times" belongs to a race or to what differs between two direct runs too.
Exit status 1 on a difference that is not known, and on a known one that is none any more.
"""

import pathlib
import re
import sys

MASKS = [
    (re.compile(r"psql:\S*/(\w+\.sql):"), r"psql:\1:"),
    (re.compile(r"/\S*pgglass-regress\.\w+\S*"), "<path>"),
    (re.compile(r"\bport \d+"), "port <n>"),
    (re.compile(r"\bPID \d+"), "PID <n>"),
    (re.compile(r"(Process|process) \d+"), r"\1 <n>"),
    (re.compile(r"(pg_toast|pg_temp|pg_toast_temp|toast)_\d+"), r"\1_<n>"),
    (re.compile(r"\b(?:[1-9]\d{4,})\b(?= has been| is not| does not|: )"), "<n>"),
    (re.compile(r"\b(OID|oid|relation|object|tuple) \d{5,}"), r"\1 <n>"),
    (re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \w{3} \d\d \d\d:\d\d:\d\d(?:\.\d+)? 20[2-9]\d \w+"), "<now>"),
    (re.compile(r"\b2026-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d)?"), "<now>"),
    (re.compile(r"Memory: \d+kB|Memory Usage: \d+kB|Time: [\d.]+ ms"), "<size>"),
]
# What these print ends no line: the next line of the script stands behind it.
ECHO = re.compile(r"\\(echo|qecho|warn) -n\b")

# Files whose statements list the objects of the whole database: OIDs are given in another order when two run at
# once, and lines are sorted by them.
OIDS = {"alter_table", "largeobject", "oidjoins", "opr_sanity", "type_sanity"}
OID = re.compile(r"(?<![\d.])[1-9]\d{4}(?![\d.])")


def same(name, one, other):
    """Whether two lists of lines say the same."""
    if name not in OIDS or not one or not other:
        return one == other
    one, other = (sorted(" ".join(OID.sub("<oid>", line).split()) for line in lines) for lines in (one, other))
    return one == other


def masked(line):
    for pattern, replacement in MASKS:
        line = pattern.sub(replacement, line)
    return line.rstrip()


def by_line(script, output):
    """What was printed behind each line of the script: line number to lines.

    psql -a prints the script as it reads it, but for empty lines and the data of COPY FROM STDIN.
    """
    found, at = {0: []}, 0
    for line in output:
        following = next_lines(script, at)
        if line and line in following:
            at = following[line]
        elif line and at and ECHO.match(script[at - 1]) and any(line.endswith(text) for text in following):
            at = next(end for text, end in following.items() if line.endswith(text))
        elif not line and at < len(script) and not script[at]:
            at += 1
        else:
            found.setdefault(at, []).append(masked(line))
    return found, at


def without_empty(script, at):
    """The first line from there that is not empty."""
    while at < len(script) and not script[at]:
        at += 1
    return at


def next_lines(script, at):
    """The lines that psql could print next, each with the number of its line: one, or one more behind COPY data."""
    at = without_empty(script, at)
    if at == len(script):
        return {}
    following = {script[at]: at + 1}
    if at and re.match(r"\\set ECHO (none|errors)", script[at - 1]):
        end = at
        while end < len(script) and script[end] != "\\set ECHO all":
            end += 1
        end = without_empty(script, end + 1)
        return {script[end]: end + 1} if end < len(script) else {}
    if at and re.search(r"\bfrom\s+stdin\b|\\copy", " ".join(script[max(0, at - 12):at]), re.I):
        end = at
        while end < len(script) and script[end] != "\\.":
            end += 1
        end = without_empty(script, end + 1)
        if end < len(script):
            following.setdefault(script[end], end + 1)
    return following


def known_differences(path):
    file = pathlib.Path(path)
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    pairs = (line.split(" # ", 1) for line in lines if line.strip() and not line.startswith("#"))
    return {name.strip(): cause.strip() for name, cause in pairs}


def read(path):
    return path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")


def main():
    out, known = pathlib.Path(sys.argv[1]), known_differences(sys.argv[2])
    used, new, statements, files_different = set(), [], 0, 0
    for path in map(pathlib.Path, sys.argv[3:]):
        name, script = path.stem, read(path)
        if script and not script[-1]:
            script.pop()
        (direct, read_directly), (proxied, read_proxied) = (
            by_line(script, read(out / way / f"{name}.out")) for way in ("direct", "pgglass"))
        statements += sum(1 for line in script if line.rstrip().endswith(";"))
        different = sorted(n for n in direct.keys() | proxied.keys() if not same(name, direct.get(n), proxied.get(n)))
        if read_directly != read_proxied:
            different.append(min(read_directly, read_proxied))
        files_different += bool(different)
        for number in different:
            place = f"{name}:{number}" if f"{name}:{number}" in known else name
            if place in known:
                used.add(place)
            else:
                new.append((name, number))
                print(f"DIFFERENT: {name}:{number}: {script[number - 1] if number else ''}")
                was, now = direct.get(number, []), proxied.get(number, [])
                for line in [l for l in was if l not in now][:6] or was[:6]:
                    print(f"  - {line[:200]}")
                for line in [l for l in now if l not in was][:6] or now[:6]:
                    print(f"  + {line[:200]}")
    ran = {pathlib.Path(path).stem for path in sys.argv[3:]}
    stale = sorted(place for place, cause in known.items()
                   if place not in used and place.split(":")[0] in ran and not cause.startswith("at times"))
    for place in stale:
        print(f"NO LONGER DIFFERENT: {place}: take it out of {sys.argv[2]}")
    print(f"{len(ran)} files, {statements} statements; {files_different} files differ; "
          f"{len(used)} known differences, {len(new)} new")
    sys.exit(1 if new or stale else 0)


if __name__ == "__main__":
    main()
