# SPDX-License-Identifier: BSD-2-Clause
"""What losses.sh runs: maps and rings that are too small, and budgets that are."""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from truth import *

need_root()


def trust_of(env, workload_args, *args, stopped=False):
    """The summary's trust of a run beside a workload, with the sizes of `env`; `stopped`: the monitor sleeps through the work."""
    workload = Workload("sched", *workload_args)
    monitor = Monitor("-i", "500ms", *args, env=env)
    if stopped:
        monitor.process.send_signal(signal.SIGSTOP)
    workload.go()
    if stopped:
        monitor.process.send_signal(signal.SIGCONT)
    sleep(0.3)
    monitor.stop()
    workload.end()
    return monitor.summary["trust"]


# A ring that holds 16 records: threads that end at once overflow it.
trust = trust_of({"MBTRACE_TEST_RING_BYTES": "4096"}, ("fork", 300), "--source", "sched", stopped=True)
check(trust["lost"] > 0, "ring too small: lost is counted", trust)
check(not trust["complete"], "ring too small: not complete")

# No room for histograms: two threads that switch thousands of times need one.
trust = trust_of({"MBTRACE_TEST_SLOTS": "1"}, ("pingpong", 5000), "--source", "sched")
check(trust["map_full"] > 0, "one histogram only: map_full is counted", trust)
check(not trust["complete"], "one histogram only: not complete")

# Accounts that cannot be made: a hash of 8 threads.
trust = trust_of({"MBTRACE_TEST_WITHOUT": "BPF_MAP_TYPE_TASK_STORAGE", "MBTRACE_TEST_TABLE_ENTRIES": "8"},
                 ("pingpong", 1000), "--source", "sched")
check(trust["map_full"] > 0, "accounts that cannot be made: map_full is counted", trust)
check(not trust["complete"], "accounts that cannot be made: not complete")

# With room for all, nothing of that.
trust = trust_of({}, ("pingpong", 1000), "--source", "sched")
equal((trust["lost"], trust["map_full"]), (0, 0), "room for all: nothing lost")

# A budget that cannot be kept: sources go in the stated order, and come back when there is room.
monitor = Monitor("-i", "100ms", "-n", 150, "--max-overhead", "0.0001")
monitor.wait()
orders = []
for sample in monitor.samples:
    if not orders or orders[-1] != sample["trust"]["shed"]:
        orders.append(sample["trust"]["shed"])
equal(orders, [[], ["tcp"], ["block", "tcp"], ["fault", "block", "tcp"], ["sched", "fault", "block", "tcp"]],
      "budget: sources are shed in the stated order")
check(monitor.samples[-1]["system"]["tcp"]["opened"] is None, "budget: what was shed is null")
check(not monitor.summary["trust"]["complete"], "budget: not complete")

def usual_cost():
    """What a sample of 100 ms costs here and now, as a share of all CPUs."""
    monitor = Monitor("-i", "100ms", "-n", 15, "--max-overhead", "100").wait()
    costs = sorted(s["self"]["cpu_ns"] / s["interval_ns"] for s in monitor.samples[1:])
    return 100 * costs[len(costs) // 2] / os.cpu_count()


# Over the budget while 3,000 processes are there, within it when they are gone: a budget between the two costs.
calm = usual_cost()
workload = Workload("sched", "procs", 3000)
workload.go()
dear = usual_cost()
limit = max(2.5 * calm, 0.5 * dear)
check(dear > limit, "budget: 3,000 processes cost more than none", f"{dear:.2f}% against {calm:.2f}%")
monitor = Monitor("-i", "100ms", "-n", 900, "--max-overhead", f"{limit:.3f}")
for _ in range(200):
    sleep(0.1)
    if monitor.samples and monitor.samples[-1]["trust"]["shed"]:
        break
workload.end()
for _ in range(600):
    sleep(0.1)
    shed = [s["trust"]["shed"] for s in monitor.samples]
    if shed and max(map(len, shed)) > len(shed[-1]):
        break
monitor.stop()
check(max(map(len, shed)) > 0, "budget: shed while it was too dear")
check(len(shed[-1]) < max(map(len, shed)), "budget: taken back when it was not", shed[-1])

monitor = Monitor("-i", "100ms", "-n", 50, "--max-memory", "1M")
monitor.wait()
check("tcp" in monitor.summary["trust"]["shed"], "memory budget: a source is shed")
finish()
