# SPDX-License-Identifier: BSD-2-Clause
"""Runs `mbtrace monitor` beside a workload and compares what it says with the kernel's own counts."""
import json
import os
import signal
import subprocess
import sys
import threading
import time

TOP = os.environ.get("TOP") or os.getcwd()
BUILD = os.environ.get("BUILD") or os.path.join(TOP, "build")
MBTRACE = os.environ.get("MBTRACE") or os.path.join(BUILD, "mbtrace")
failures = 0


def check(good, what, detail=""):
    """One TAP line; counts failures."""
    global failures
    if not good:
        failures += 1
    print(("ok - " if good else "not ok - ") + what + (f" ({detail})" if detail and not good else ""), flush=True)
    return good


def equal(got, want, what):
    return check(got == want, what, f"got {got}, want {want}")


def near(got, want, share, what, slack=0):
    """Within `share` of what is wanted, or `slack` in its unit."""
    return check(abs(got - want) <= max(abs(want) * share, slack), what, f"got {got}, want {want} within {share:.2%}")


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def finish():
    sys.exit(1 if failures else 0)


def need_root():
    if os.geteuid() != 0:
        skip("needs root")


class Workload:
    """A program of tests/workload that says "ready", does its work on a line of input, says what it did, and ends at the end of input."""

    def __init__(self, *args):
        self.process = subprocess.Popen([os.path.join(BUILD, "tests/workload", args[0]), *map(str, args[1:])],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.ready = self.line()

    def line(self):
        return json.loads(self.process.stdout.readline())

    def go(self):
        """Lets it work; what it says of it."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.line()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Monitor:
    """`mbtrace monitor -f json`, attached when the constructor returns."""

    def __init__(self, *args, env=None):
        self.process = subprocess.Popen([MBTRACE, "--log-level", "warning", "monitor", "-f", "json", *map(str, args)],
                                        stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
        first = self.process.stdout.readline()
        if not first:
            raise RuntimeError(f"monitor ended with {self.process.wait()} before its header")
        self.header = json.loads(first)
        self.taken_before = taken_ns()
        self.samples, self.summary, self.alerts = [], None, []
        self.reader = threading.Thread(target=self.read_all)
        self.reader.start()

    def stop(self):
        """Ends the run by SIGINT and reads the rest."""
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self):
        self.code = self.process.wait()
        self.reader.join()
        self.taken_ns = taken_ns() - self.taken_before
        return self

    def read_all(self):
        for line in self.process.stdout:
            record = json.loads(line)
            if record["type"] == "sample":
                self.samples.append(record)
            elif record["type"] == "alert":
                self.alerts.append(record)
            elif record["type"] == "summary":
                self.summary = record

    def process_row(self, pid, where=None):
        """The summary's row of a process."""
        rows = [p for p in (where or self.summary)["processes"] if p["pid"] == pid]
        return rows[0] if rows else None


def read(path):
    with open(path) as f:
        return f.read()


def task_counts(pid):
    """The kernel's counts of all live threads of a process."""
    total = {"cpu_ns": 0, "runq_ns": 0, "slices": 0, "voluntary": 0, "involuntary": 0, "minflt": 0, "majflt": 0}
    for tid in os.listdir(f"/proc/{pid}/task"):
        base = f"/proc/{pid}/task/{tid}"
        cpu, wait, slices = map(int, read(base + "/schedstat").split())
        total["cpu_ns"] += cpu
        total["runq_ns"] += wait
        total["slices"] += slices
        for line in read(base + "/status").splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total["voluntary"] += int(line.split()[1])
            elif line.startswith("nonvoluntary_ctxt_switches"):
                total["involuntary"] += int(line.split()[1])
        fields = read(base + "/stat").rsplit(")", 1)[1].split()
        total["minflt"] += int(fields[7])
        total["majflt"] += int(fields[9])
    return total


def taken_ns():
    """Time of all CPUs that went to interrupts and to the hypervisor, as far as the kernel accounts it."""
    fields = list(map(int, read("/proc/stat").split("\n", 1)[0].split()[1:]))
    return (fields[5] + fields[6] + fields[7]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def growth(before, after):
    return {key: after[key] - before[key] for key in after}


def sleep(seconds):
    time.sleep(seconds)
