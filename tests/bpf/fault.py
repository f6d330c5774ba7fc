# SPDX-License-Identifier: BSD-2-Clause
"""What fault.sh runs: each kind of page fault, a known number of them, against getrusage and /proc."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from truth import *

need_root()

# Many, so that what the rest of the machine does meanwhile is little beside it.
PAGES = 50000


def run(*args):
    """A workload watched from before its work until after it, and what the kernel counted for it meanwhile."""
    workload = Workload("fault", *args)
    if "skip" in workload.ready:
        print(f"ok - {args[0]} # SKIP {workload.ready['skip']}")
        workload.end()
        return None
    before = task_counts(workload.pid)
    monitor = Monitor("-i", "200ms", "--max-overhead", 100, "--max-memory", "1G")
    said = workload.go()
    after = task_counts(workload.pid)
    sleep(0.3)
    monitor.stop()
    workload.end()
    return monitor, monitor.process_row(workload.pid), growth(before, after), said


def counts(name, result):
    """What holds for every kind."""
    monitor, row, delta, said = result
    fault = monitor.summary["system"]["fault"]
    equal(monitor.code, 0, f"{name}: monitor ends well")
    check(said["minflt"] + said["majflt"] >= said["provoked"], f"{name}: the workload provoked what it meant to", said)
    equal(row["minflt"], delta["minflt"], f"{name}: minor faults of the process, exact")
    equal(row["majflt"], delta["majflt"], f"{name}: major faults of the process, exact")
    check(fault["minor"] >= row["minflt"], f"{name}: the system's minor faults include them", fault)
    # A fault that userfaultfd serves is major for the task; /proc/vmstat has counted it so only since Linux 6.5.
    if name != "slow":
        check(fault["major"] >= row["majflt"], f"{name}: the system's major faults include them", fault)
    latency = row["fault_latency"]
    if measured(monitor):
        # To the last one: the faults of before the first program was attached are not in the growth either.
        near(latency["count"], row["minflt"] + row["majflt"], 0, f"{name}: one latency for each fault", 3)
        check(fault["latency"]["count"] >= latency["count"], f"{name}: the system's latencies include them", fault)
        equal(monitor.summary["trust"]["discarded"], 0, f"{name}: no latency without a beginning")
    else:
        equal(latency, None, f"{name}: the latency of a process is null where it cannot be measured")
        equal(fault["latency"], None, f"{name}: and the system's")
    return fault


def measured(monitor):
    return "fentry" in (monitor.header["sources"]["fault"]["mode"] or "")


result = run("touch", PAGES)
fault = counts("touch", result)
source = result[0].header["sources"]["fault"]
if not measured(result[0]):
    equal(source["status"], "degraded", "without fentry the source is degraded")
    check("fentry" in source["reason"], "and the reason names fentry", source["reason"])
    # Where fentry works and we say that it does not, this is a lie: BTF and a 6.1 or later kernel of Debian allow it.
    check(os.environ.get("VM") not in ("5.10", "6.1", "6.12"), "fentry works on Debian's kernels")
if "perf event" in source["mode"]:
    check(fault["user"] >= PAGES, "touch: faults in user mode", fault)
    result = run("kernel", PAGES)
    kernel = counts("kernel", result)
    check(kernel["kernel"] >= PAGES, "kernel: faults in the kernel", kernel)
    check(fault["kernel"] < kernel["kernel"] - PAGES / 2, "kernel: told apart from those in user mode", f"{fault} and {kernel}")
    check(kernel["user"] < fault["user"] + PAGES / 2, "user: told apart from those in the kernel", f"{fault} and {kernel}")
else:
    equal((fault["user"], fault["kernel"]), (None, None), "without perf events user and kernel are null")

# /tmp is in memory on many machines, and has no major faults then; the build is more likely on a disk.
with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR") or BUILD) as folder:
    pages = 500
    result = run("file", os.path.join(folder, "file"), pages)
    fault = counts("file", result)
    # A folder in memory has no major faults; nor does a kernel that reads around.
    if result[3]["majflt"] == pages:
        equal(result[1]["majflt"], pages, "file: each page a major fault")
        # A retried fault is one: were it counted twice, minor faults would be as many more.
        check(fault["minor"] <= fault["user"] + fault["kernel"] if fault["user"] is not None else True,
              "file: a fault that was tried twice counts once", fault)
    else:
        print(f"ok - file: major faults # SKIP {result[3]['majflt']} of {pages} went to the disk")

# The kernel gives these up, waits 20 ms for the handler, and tries them again: one fault, one latency, all of the wait.
faults, ms = 30, 20
result = run("slow", faults, ms)
if result:
    counts("slow", result)
    if measured(result[0]):
        latency = result[1]["fault_latency"]
        check(latency["max_ns"] >= ms * 1e6, "slow: the wait is part of the latency", latency)
        check(latency["sum_ns"] >= faults * ms * 1e6, "slow: of each of them", latency)
        check(latency["count"] <= result[3]["minflt"] + result[3]["majflt"] + 3, "slow: a fault that was tried twice has one latency", latency)
finish()
