"""Between sqlsmith and pgglass: hands every byte on, looks for the canary in what goes to the client, counts answers.

    sqlsmith_relay.py PORT PGGLASS-PORT CANARY FILE      until SIGTERM, then writes FILE
    sqlsmith_relay.py --report FILE                      prints it; exit status 1 when something must not be

The file also has a statement for every reason.
"""

import collections
import json
import re
import signal
import socket
import struct
import sys
import threading

COUNTS = collections.Counter()
REASONS = collections.Counter()
SAMPLES = {}
CANARIES = []
LOST = []
LOCK = threading.Lock()


def fields(body):
    """Severity, SQLSTATE and message of an ErrorResponse."""
    return {part[:1].decode(): part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}


def reason(message):
    """A refusal without the names in it, so that refusals of a kind are counted together."""
    message = re.sub(r'(function|relation|operator|setting|column) [^ ]+', r'\1 ...', message)
    return re.sub(r'clinic\.\w+|"[^"]*"|ref_\d+|subq_\d+|\d+', "...", message)[:140]


def listen(server, client, canary, state):
    """Reads the messages of the server, each a type, a length and a body."""
    data = b""
    while True:
        try:
            piece = server.recv(1 << 16)
        except OSError:
            piece = b""
        if not piece:
            with LOCK:
                if not state["terminated"]:
                    LOST.append(state["last"][-400:])
            break
        try:
            client.sendall(piece)
        except OSError:
            break
        data += piece
        while len(data) >= 5:
            length = struct.unpack("!I", data[1:5])[0] + 1
            if len(data) < length:
                break
            kind, body, data = data[:1], data[5:length], data[length:]
            with LOCK:
                if canary in body:
                    CANARIES.append([kind.decode(), body[:200].decode("utf-8", "replace"), state["last"]])
                if kind == b"E":
                    error = fields(body)
                    if "GLS-" in error.get("M", ""):
                        COUNTS["refused"] += 1
                        REASONS[reason(error["M"])] += 1
                        SAMPLES.setdefault(reason(error["M"]), state["last"])
                    else:
                        COUNTS["errors of the server"] += 1
                        COUNTS["error " + error.get("C", "")] += 1
                elif kind == b"C" and body.split(b" ")[0].rstrip(b"\0") not in (b"BEGIN", b"COMMIT", b"ROLLBACK", b"SET"):
                    COUNTS["answered"] += 1
                elif kind == b"D":
                    COUNTS["rows"] += 1
    for end in (server, client):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def session(client, port, canary):
    server = socket.create_connection(("127.0.0.1", port))
    state = {"terminated": False, "last": ""}
    COUNTS["sessions"] += 1
    threading.Thread(target=listen, args=(server, client, canary, state), daemon=True).start()
    while True:
        try:
            piece = client.recv(1 << 16)
        except OSError:
            piece = b""
        if not piece or piece.endswith(b"X\0\0\0\4"):
            state["terminated"] = True
        if not piece:
            break
        state["last"] = (state["last"] + piece.decode("utf-8", "replace"))[-4000:] if piece[:1] != b"Q" else piece[5:].decode("utf-8", "replace")
        try:
            server.sendall(piece)
        except OSError:
            break
    try:
        server.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def relay(port, to, canary, file):
    def ended(*_):
        with LOCK, open(file, "w") as out:
            json.dump({"counts": COUNTS, "reasons": REASONS, "samples": SAMPLES, "canaries": CANARIES[:20], "lost": LOST[:20]}, out)
        sys.exit(0)

    signal.signal(signal.SIGTERM, ended)
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        client, _ = listener.accept()
        threading.Thread(target=session, args=(client, to, canary), daemon=True).start()


def report(file):
    with open(file) as source:
        told = json.load(source)
    counts = told["counts"]
    for name, count in sorted(counts.items()):
        print(f"{count:>7}  {name}")
    refused = counts.get("refused", 0)
    queries = refused + counts.get("answered", 0) + counts.get("errors of the server", 0)
    print(f"refused: {100 * refused / max(queries, 1):.1f} % of {queries} statements, by reason:")
    for why, count in sorted(told["reasons"].items(), key=lambda item: -item[1]):
        print(f"{count:>7}  {why}")
    for kind, body, statement in told["canaries"]:
        print(f"A HIDDEN ROW in a message {kind!r}: {body}\n  of: {statement}")
    for statement in told["lost"]:
        print(f"A SESSION was lost behind: {statement}")
    return 1 if told["canaries"] or told["lost"] or queries < 100 else 0


if __name__ == "__main__":
    if sys.argv[1] == "--report":
        sys.exit(report(sys.argv[2]))
    relay(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode(), sys.argv[4])
