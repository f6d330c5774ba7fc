# SPDX-License-Identifier: BSD-2-Clause
"""What sched.sh runs: each workload with known answers, against the kernel's own counts of the same threads."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from truth import *

need_root()

TIMES = ("cpu_ns", "runq_ns", "sleep_ns", "blocked_ns", "iowait_ns", "residual_ns")


def run(*args, settle=0.3):
    """A workload watched from before its work until after it, with the kernel's counts of its main thread around it."""
    workload = Workload("sched", *args)
    sleep(0.1)
    before = task_counts(workload.pid)
    monitor = Monitor("-p", workload.pid, "-i", "500ms")
    said = workload.go()
    sleep(settle)
    try:
        after = task_counts(workload.pid)
    except FileNotFoundError:
        after = None
    monitor.stop()
    return workload, monitor, monitor.process_row(workload.pid), before, after, said


def adds_up(row, what):
    """The times are all of wall time; what is left over is at most 0.5% and what interrupts and the hypervisor took."""
    wall, taken = row["wall_ns"], monitor.taken_ns
    total = sum(row[key] for key in TIMES)
    equal(total, wall, f"{what}: times add up to wall time")
    check(abs(row["residual_ns"]) <= wall * 0.005 + taken, f"{what}: residual below 0.5% of wall",
          f"{row['residual_ns']} of {wall}, {taken} taken")


# One thread that does nothing but fault: every count exact.
workload, monitor, row, before, after, said = run("fault", 5000)
delta = growth(before, after)
equal(row["minflt"], delta["minflt"], "faults: minor, exact")
equal(row["majflt"], delta["majflt"], "faults: major, exact")
check(row["minflt"] >= 5000, "faults: at least the pages touched", row["minflt"])
equal(row["voluntary"], delta["voluntary"], "faults: voluntary switches, exact")
equal(row["involuntary"], delta["involuntary"], "faults: involuntary switches, exact")
adds_up(row, "faults")
workload.end()

# Two threads waking each other: tens of thousands of switches, counted exactly although one of them ended.
workload, monitor, row, before, after, said = run("pingpong", 20000)
# getrusage() forgets what a thread does after it was taken out of its process: it may be preempted once on its last steps.
over = row["voluntary"] + row["involuntary"] - (
    said["voluntary"] + said["involuntary"] - before["voluntary"] - before["involuntary"] + 1)
check(over in (0, 1), "pingpong: switches as getrusage (and one to wait for the end)", over)
adds_up(row, "pingpong")
equal(row["runq"]["count"], row["voluntary"] + row["involuntary"] + 1, "pingpong: one wait for each switch and for the end of a thread")
workload.end()

# More busy threads than CPUs; they end inside the run. The sum of their CPU time is the process's.
n_cpus = os.cpu_count()
workload, monitor, row, before, after, said = run("burn", 4 * n_cpus, 3000)
near(row["cpu_ns"], said["cpu_us"] * 1000 - before["cpu_ns"], 0.005, "burn: CPU time as getrusage")
wall = 4 * n_cpus * 3.0e9
check(row["runq_ns"] > wall * 0.5, "burn: most of the time of 4 threads a CPU is waiting", row["runq_ns"] / wall)
adds_up(row, "burn")
check(row["runq"]["sum_ns"] <= row["runq_ns"] * 1.001, "burn: the distribution's sum is within the total wait")
workload.end()

# The same, moved between CPUs while waiting.
workload, monitor, row, before, after, said = run("burn", 8, 3000, "hop")
near(row["cpu_ns"], said["cpu_us"] * 1000 - before["cpu_ns"], 0.005, "hop: CPU time as getrusage")
adds_up(row, "hop")
workload.end()

# A burner, a sleeper, and one that does both: every thread's time has a name.
workload, monitor, row, before, after, said = run("mix", 2000)
adds_up(row, "mix")
near(row["cpu_ns"], said["cpu_us"] * 1000 - before["cpu_ns"], 0.005, "mix: CPU time as getrusage", slack=2_000_000)
check(row["sleep_ns"] > 2.0e9 + 1.0e9, "mix: the sleeper's and the mixer's sleep are there", row["sleep_ns"])
workload.end()

# The distribution of a real run against the sorted list of its waits.
workload, monitor, row, before, after, said = run("waits", 600)
waits = sorted(said["waits"])
for name, share in (("p50_ns", 0.5), ("p90_ns", 0.9), ("p99_ns", 0.99)):
    # A nap in which the workload was preempted too has two waits in one of its numbers: ranks may be that much further.
    more = row["runq"]["count"] - len(waits) + 2
    at = int(share * len(waits))
    low, high = waits[max(at - more, 0)], waits[min(at + more, len(waits) - 1)]
    check(low * 0.9375 <= row["runq"][name] <= high * 1.0625, f"waits: {name} within 6.25% of the sorted waits",
          f"got {row['runq'][name]}, sorted {low}..{high}")
delta = growth(before, after)
near(row["runq_ns"], delta["runq_ns"], 0.005, "waits: time waited as schedstat")
near(row["runq"]["sum_ns"], delta["runq_ns"], 0.005, "waits: the distribution's sum as schedstat")
workload.process.kill()

if os.environ.get("QUICK"):
    finish()

# Live threads against schedstat, with everything at work at once.
workload = Workload("sched", "burn", 6, 4000)
monitor = Monitor("-p", workload.pid, "-i", "1s")
workload.process.stdin.write("go\n")
workload.process.stdin.flush()
sleep(1)
first = task_counts(workload.pid)
sleep(2)
second = task_counts(workload.pid)
workload.line()
monitor.stop()
rows = [monitor.process_row(workload.pid, s) for s in monitor.samples]
rows = [r for r in rows if r]
busiest = rows[1:3]
delta = growth(first, second)
near(sum(r["cpu_ns"] for r in busiest) / 2, delta["cpu_ns"] / 2, 0.02, "burn: CPU time of whole intervals as schedstat over 2 s")
workload.end()

# exec from a second thread: the pid stays, the name changes, nothing jumps.
workload, monitor, row, before, after, said = run("exec")
check(row is not None and row["comm"] == "exe", "exec: the row has the new name", row and row["comm"])
adds_up(row, "exec")
equal(len([p for p in monitor.summary["processes"] if p["pid"] == workload.pid]), 1, "exec: one row")
workload.end()

# A process whose main thread has ended goes on counting.
workload, monitor, row, before, after, said = run("leaderless", 1000)
near(row["cpu_ns"], said["cpu_us"] * 1000, 0.005, "leaderless: CPU time of the thread that is left")
equal(row["threads"], 1, "leaderless: one thread is left")
adds_up(row, "leaderless")
workload.end()

# 10,000 processes that live under 10 ms: none missing, by name and parent.
workload = Workload("sched", "fork", 10000)
monitor = Monitor("-i", "500ms", "--source", "sched,fault", "--max-overhead", "20")
workload.go()
sleep(0.2)
monitor.stop()
children = {}
for row in (p for s in monitor.samples for p in s["processes"] if p["ppid"] == workload.pid):
    key = row["pid"], row["start_ns"]
    children[key] = children.get(key, 0) + row["cpu_ns"]
equal(len(children), 10000, "fork: 10,000 children, each with a row")
check(min(children.values()) > 0, "fork: each with its CPU time", min(children.values()))
equal(monitor.summary["trust"]["lost"], 0, "fork: nothing lost")
workload.end()

# Without sched a thread's last record comes when it begins to exit: one that takes its time to do so is counted once.
monitor = Monitor("--source", "fault", "-i", "100ms")
workload = Workload("sched", "fault", 150000)
workload.go()
workload.process.stdin.close()
usage = os.wait4(workload.pid, 0)[2]
workload.process.returncode = 0
sleep(0.5)
monitor.stop()
equal(monitor.process_row(workload.pid)["minflt"], usage.ru_minflt, "slow exit without sched: minor faults, exact")
equal(monitor.summary["trust"]["lost"], 0, "slow exit without sched: nothing lost")

# In a PID namespace: all pids are as it sees them, parents' too.
said = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c",
                       '(while :; do :; done) & "$0" monitor -n 1 -i 300ms -f json; kill $!', MBTRACE],
                      stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
rows = {p["pid"]: p["ppid"] for p in json.loads(said[1])["processes"]}
equal(rows.get(2), 1, "PID namespace: the parent is the one of the namespace")
check(max(rows) < 10, "PID namespace: its own processes only", rows)

# 5,000 threads and 2,000 processes at once.
workload = Workload("sched", "threads", 5000)
monitor = Monitor("-i", "1s")
workload.go()
sleep(2.2)
monitor.stop()
row = monitor.process_row(workload.pid)
equal(row["threads"], 5001, "5,000 threads: all there")
check(not monitor.summary["trust"]["shed"], "5,000 threads: within the budget")
adds_up(row, "5,000 threads")
workload.end()

workload = Workload("sched", "procs", 2000)
monitor = Monitor("-i", "1s")
workload.go()
sleep(2.2)
monitor.stop()
rows = [p for p in monitor.summary["processes"] if p["ppid"] == workload.pid]
equal(len(rows), 2000, "2,000 processes: all there")
check(not monitor.summary["trust"]["shed"], "2,000 processes: within the budget")
workload.end()
finish()
