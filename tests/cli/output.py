"""The formats of `mbtrace monitor` on the running kernel: called by output.sh."""

import csv
import fcntl
import io
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

TOP = pathlib.Path(os.environ.get("TOP") or pathlib.Path(__file__).resolve().parents[2])
BUILD = pathlib.Path(os.environ.get("BUILD") or TOP / "build")
MBTRACE = os.environ.get("MBTRACE") or str(BUILD / "mbtrace")
CHECK = str(TOP / "tests/schema/check.py")
NAME = "sesame_open"  # of a process that shall not be seen
failed = 0


def check(good, what, detail=""):
    global failed
    if good:
        print(f"ok - {what}")
    else:
        failed += 1
        print(f"not ok - {what} ({str(detail)[:600]})")


def skip(why):
    print(why)
    sys.exit(77)


def run(*arguments, **options):
    return subprocess.run([MBTRACE, "monitor", *arguments], capture_output=True, text=True,
                          timeout=60, **options)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def samples(text):
    return [record for record in lines(text) if record["type"] == "sample"]


def schema_check(text, *options):
    return subprocess.run([CHECK, *options, "-"], input=text, capture_output=True, text=True)


def test_json():
    result = run("-n", "3", "-i", "300ms", "-f", "json")
    check(result.returncode == 0, "json: exit 0", result)
    verdict = schema_check(result.stdout, "--whole")
    check(verdict.returncode == 0, "json: a whole run as the schema says", verdict.stdout)
    check(len(samples(result.stdout)) == 3, "json: three samples", result.stdout[:200])
    processes = [p for s in samples(result.stdout) for p in s["processes"]]
    check(processes and all("cmdline" not in p for p in processes), "json: no command lines")

    result = run("-n", "2", "-i", "300ms", "-f", "json", "--histograms", "--cmdline", "--top", "3",
                 "--sort", "pid")
    verdict = schema_check(result.stdout, "--whole", "--histograms")
    check(verdict.returncode == 0, "json: histograms as the schema says", verdict.stdout)
    for sample in samples(result.stdout)[:1]:
        pids = [p["pid"] for p in sample["processes"]]
        check(len(pids) == 3 and pids == sorted(pids), "json: --top and --sort", pids)
        check(sample["trust"]["rows_hidden"] > 0, "json: hidden rows are counted", sample["trust"])
        check("cmdline" in sample["processes"][0], "json: --cmdline")


def test_csv():
    result = run("-n", "2", "-i", "300ms", "-f", "csv", "--histograms")
    rows = list(csv.reader(io.StringIO(result.stdout, newline="")))
    header, body = rows[0], rows[1:]
    check(len(set(header)) == len(header), "csv: every column once")
    check(all(len(row) == len(header) for row in body), "csv: every line has every column")
    table = [dict(zip(header, row)) for row in body]
    scopes = {(row["record"], row["scope"]) for row in table}
    check({("sample", "system"), ("sample", "process"), ("summary", "system")} <= scopes,
          "csv: lines of each kind", scopes)
    systems = [row for row in table if row["scope"] == "system" and row["record"] == "sample"]
    check(len(systems) == 2 and all(row["trust.complete"] for row in systems),
          "csv: one system line a sample, with trust", len(systems))
    processes = [row for row in table if row["scope"] == "process"]
    check(all(row["process.pid"].isdigit() for row in processes), "csv: processes have pids")
    check(all(not row[c] for row in processes for c in header if c.startswith("system.")),
          "csv: cells of other scopes are empty")
    buckets = systems[0]["system.sched.runq.buckets"]
    counted = sum(int(pair.split(":")[1]) for pair in buckets.split())
    check(counted == int(systems[0]["system.sched.runq.count"]), "csv: buckets hold count values", buckets)


def test_openmetrics():
    try:
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
        from prometheus_client.parser import text_string_to_metric_families as parse_older
    except ImportError:
        print("ok - openmetrics # SKIP python3-prometheus-client is not installed")
        return

    def series(text):
        return {(s.name, tuple(sorted(s.labels.items()))): s.value
                for family in parse(text) for s in family.samples}

    for options in ([], ["--histograms"]):
        result = run("-n", "3", "-i", "300ms", "-f", "openmetrics", *options)
        expositions = [text + "# EOF\n" for text in result.stdout.split("# EOF\n")[:-1]]
        check(len(expositions) == 3 and result.stdout.endswith("# EOF\n"),
              f"openmetrics {options}: three expositions", result)
        parsed = [series(text) for text in expositions]
        n_lines = [sum(not line.startswith("#") for line in text.splitlines()) for text in expositions]
        check([len(p) for p in parsed] == n_lines, f"openmetrics {options}: no series twice", n_lines)
        back = [(key, before[key], after[key]) for before, after in zip(parsed, parsed[1:])
                for key in before.keys() & after.keys()
                if key[0].endswith(("_total", "_bucket", "_count")) and before[key] > after[key]]
        check(not back, f"openmetrics {options}: counters never go back", back)
        check(all(p[("mbtrace_context_switches_total", ())] > 0 for p in parsed),
              f"openmetrics {options}: switches are counted")
        check(sum(1 for text in expositions for _ in parse_older(text)) > 100,
              f"openmetrics {options}: the older parser reads it too")

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "mbtrace.prom"
        child = subprocess.Popen([MBTRACE, "monitor", "-f", "openmetrics", "-i", "200ms", "-o", path],
                                 stderr=subprocess.PIPE, text=True)
        seen = []
        deadline = time.monotonic() + 20
        while len(seen) < 3 and time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.1)
            text = path.read_text() if path.exists() else ""
            value = series(text).get(("mbtrace_context_switches_total", ())) if text else None
            if value is not None and value not in seen:
                seen.append(value)
        child.send_signal(signal.SIGINT)
        errors = child.communicate(timeout=20)[1]
        check(len(seen) == 3 and seen == sorted(seen), "openmetrics: -o FILE is replaced as it goes",
              (seen, errors))
        check(child.returncode == 0, "openmetrics: -o FILE ends well", errors)
        check(os.listdir(folder) == [path.name] and path.read_text().count("# EOF") == 1,
              "openmetrics: one exposition is left, and no other file", os.listdir(folder))


def test_table():
    environment = {**os.environ, "COLUMNS": "100", "LC_ALL": "C"}
    result = run("-n", "2", "-i", "300ms", "--top", "5", env=environment)
    text = result.stdout.splitlines()
    check(result.returncode == 0 and text and text[-1].startswith("TRUST "), "table: trust is last", result)
    check(all(len(line) <= 100 for line in text), "table: as wide as COLUMNS")
    check("\x1b" not in result.stdout, "table: no sequences in a pipe")
    check(result.stdout.isascii(), "table: ASCII in the C locale")
    for label in ("CPU ", "RUNQ ", "MEM ", "FAULT ", "DISK ", "TCP ", "NET ", "SELF "):
        check(sum(line.startswith(label) for line in text) == 3, f"table: a line of {label.strip()} each time")
    check(any(line.startswith("SUMMARY of 2 samples") for line in text), "table: a summary at the end")
    result = run("-n", "1", "-i", "300ms", "--color", "always", env={**environment, "TERM": "xterm"})
    check("\x1b[" in result.stdout, "table: colour when it is asked for")
    result = run("-n", "1", "-i", "300ms", env={**environment, "LC_ALL": "nonsense", "TERM": ""})
    check(result.returncode == 0 and "TRUST" in result.stdout, "table: in a broken locale", result)


class Terminal:
    """mbtrace on a pseudo-terminal."""

    def __init__(self, rows, columns, *arguments, term="xterm"):
        self.text = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM=term, LC_ALL="C")
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execv(MBTRACE, [MBTRACE, "monitor", *arguments])

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, count):
        """Reads until so many trust lines were seen, or the end."""
        deadline = time.monotonic() + 20
        while self.text.count(b"TRUST") < count and time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    piece = os.read(self.fd, 65536)
                except OSError:
                    return
                if not piece:
                    return
                self.text += piece

    def finish(self):
        self.read_until(10**9)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def shown(text):
    """The text without escape sequences."""
    return re.sub(rb"\x1b(\[[0-9;?]*[A-Za-z]|\(B)", b"", text).decode()


def test_terminal():
    terminal = Terminal(24, 80, "-n", "4", "-i", "400ms", "--redact")
    terminal.read_until(2)
    terminal.resize(40, 120)
    status = terminal.finish()
    check(status == 0, "terminal: exit 0", status)
    # Each begins in the upper left corner; what stood there before was pushed up.
    blocks = terminal.text.split(b"\x1b[H")[1:]
    first = shown(blocks[0]).splitlines()
    check(len(blocks) == 4 and len(first) < 24 and blocks[0].endswith(b"\x1b[J"),
          "terminal: drawn over the block before, without scrolling", (len(blocks), first))
    check(all(len(line) < 80 for line in first), "terminal: lines fit 80 columns", first)
    check(any(80 <= len(line) < 120 for line in shown(blocks[-1]).splitlines()),
          "terminal: a wider window is filled", shown(blocks[-1]))
    check(b"SUMMARY" in terminal.text, "terminal: a summary stays")
    terminal = Terminal(24, 80, "-n", "1", "-i", "300ms", term="dumb")
    status = terminal.finish()
    check(status == 0 and b"TRUST" in terminal.text and b"\x1b" not in terminal.text,
          "terminal: TERM=dumb gets plain lines", terminal.text[:200])


def test_redact():
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / NAME
        shutil.copy("/bin/sleep", program)
        # Busy enough to be in every sample.
        script = f"while :; do '{program}' 0.01; done"
        child = subprocess.Popen(["/bin/sh", "-c", script])
        try:
            plain = run("-n", "2", "-i", "400ms", "-f", "json", "--cmdline").stdout
            check(NAME in plain, "redact: without it the name is there")
            for form in ("json", "csv", "openmetrics", "table"):
                result = run("-n", "2", "-i", "400ms", "-f", form, "--cmdline", "--redact", "--top", "0",
                             env={**os.environ, "COLUMNS": "400"})
                check(result.returncode == 0 and "comm-1" in result.stdout and NAME not in result.stdout,
                      f"redact: {form} hides names", result.stderr)
                if form == "json":
                    verdict = schema_check(result.stdout, "--whole")
                    check(verdict.returncode == 0, "redact: as the schema says", verdict.stdout)
        finally:
            child.kill()
            child.wait()


def test_ends():
    result = run("--sort", "cpu_secs", "-n", "1")
    check(result.returncode == 2 and "cpu" in result.stderr, "an unknown --sort is refused, exit 2", result)
    child = subprocess.Popen([MBTRACE, "monitor", "-f", "json", "-i", "300ms"], stdout=subprocess.PIPE, text=True)
    head = child.stdout.readline() + child.stdout.readline()
    child.send_signal(signal.SIGTERM)
    text = head + child.communicate(timeout=20)[0]
    verdict = schema_check(text, "--whole")
    check(child.returncode == 0 and verdict.returncode == 0, "SIGTERM ends a run with its summary",
          (child.returncode, verdict.stdout))
    with open("/dev/full", "w") as full:
        child = subprocess.run([MBTRACE, "monitor", "-f", "json", "-n", "1", "-i", "300ms"], stdout=full,
                               stderr=subprocess.PIPE, text=True, timeout=60)
    check(child.returncode == 1 and "No space left" in child.stderr, "a full disk: exit 1, and it says so", child)


if os.geteuid() != 0:
    skip("needs root: the formats are tested on the running kernel")
test_json()
test_csv()
test_openmetrics()
test_table()
test_terminal()
test_redact()
test_ends()
sys.exit(1 if failed else 0)
