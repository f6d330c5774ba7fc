# SPDX-License-Identifier: BSD-2-Clause
"""What the benches share: running tools and reading what their BPF programs cost, medians, and rows of the results.

A *tool* is a running program with BPF programs attached: mbtrace, a peer, or the empty program. Only programs that the tool
itself holds are read (the kernel lists them in /proc/PID/fdinfo), so others on the machine don't matter. Everything that a
bench starts or changes is a context manager, and is undone however it ends.
"""
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

TOP = os.environ.get("TOP") or os.getcwd()
BUILD = os.environ.get("BUILD") or os.path.join(TOP, "build")
MBTRACE = os.environ.get("MBTRACE") or os.path.join(BUILD, "mbtrace")
STATS_SYSCTL = "/proc/sys/kernel/bpf_stats_enabled"
ATTACH_LIMIT = 20  # seconds until a tool must have attached
SETTLED = 0.3  # seconds without a new link: it has attached all

os.environ["PATH"] += ":/usr/sbin:/sbin"


def read(path):
    with open(path) as f:
        return f.read()


# --- what is printed ---

def row(what, ours, peer, ratio, goal, met):
    """One figure: a row of the table of docs/benchmarks.md. `met` is true or false, or says why there is no verdict."""
    verdict = met if isinstance(met, str) else "met" if met else "**missed**"
    print(f"| {what} | {ours} | {peer} | {ratio} | {goal} | {verdict} |", flush=True)


def note(text):
    print(f"- {text}", flush=True)


def spread(values, form="{:.2f}"):
    """The median, and the least and greatest."""
    middle, least, most = (form.format(v) for v in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least}–{most})"


median = statistics.median


# --- processes ---

def stop(process, how=signal.SIGINT):
    """Ends a process that we started."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def started(*argv, **options):
    process = subprocess.Popen(list(map(str, argv)), **options)
    try:
        yield process
    finally:
        stop(process, signal.SIGTERM)


@contextlib.contextmanager
def workload(name, *args):
    """A program of tests/workload that has done its work and goes on until its input ends. Some wait for a word to begin."""
    process = subprocess.Popen([os.path.join(BUILD, "tests/workload", name), *map(str, args)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        said = process.stdout.readline()
        if "ready" in said:
            process.stdin.write("go\n")
            process.stdin.flush()
            said = process.stdout.readline()
        if not said:
            raise RuntimeError(f"workload {name} {' '.join(map(str, args))} exited with {process.wait()}")
        yield process
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.read()
        process.wait()


@contextlib.contextmanager
def scratch(in_memory=False):
    """A folder of our own."""
    path = tempfile.mkdtemp(prefix="mbtrace-bench-", dir="/dev/shm" if in_memory else None)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def output_of(*argv):
    return subprocess.run(list(map(str, argv)), check=True, text=True, capture_output=True).stdout


def cpu_ns(pid):
    """CPU time of a process of one thread."""
    return int(read(f"/proc/{pid}/schedstat").split()[0])


def peak_rss(pid):
    """The most it ever had resident, in bytes."""
    return next(int(line.split()[1]) * 1024 for line in read(f"/proc/{pid}/status").splitlines() if line.startswith("VmHWM"))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


# --- BPF programs ---

def libbpf():
    lib = ctypes.CDLL("libbpf.so.1", use_errno=True)
    for name in ("bpf_object__open_file", "bpf_object__find_program_by_name", "bpf_program__attach"):
        getattr(lib, name).restype = ctypes.c_void_p
    return lib


@contextlib.contextmanager
def run_statistics():
    """The kernel times each run of each program meanwhile (as kernel.bpf_stats_enabled does, but it ends with us)."""
    fd = libbpf().bpf_enable_stats(0)
    if fd < 0:
        raise RuntimeError("the kernel does not count the time of BPF programs (5.8 does), or not for this user")
    try:
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def no_run_statistics():
    """The statistics cost time themselves: off, whoever left them on, and back as they were."""
    before = read(STATS_SYSCTL).strip()
    if before != "0":
        with open(STATS_SYSCTL, "w") as f:
            f.write("0")
    try:
        yield
    finally:
        if before != "0":
            with open(STATS_SYSCTL, "w") as f:
                f.write(before)


def descriptors(pid):
    """What the kernel says of each open file of a process."""
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(OSError):
            lines = read(f"/proc/{pid}/fdinfo/{fd}").splitlines()
            yield dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def program_name(number, known={}):
    if number not in known:
        known[number] = json.loads(output_of("bpftool", "-j", "prog", "show", "id", number))["name"]
    return known[number]


class Programs:
    """The BPF programs that a process holds."""

    def __init__(self, pid):
        self.pid = pid

    def links(self):
        return [d for d in descriptors(self.pid) if "link_type" in d]

    def wait_attached(self, process=None):
        """Until there are links, and no more come."""
        last, since, end = 0, time.monotonic(), time.monotonic() + ATTACH_LIMIT
        while not last or time.monotonic() - since < SETTLED:
            if time.monotonic() > end or (process and process.poll() is not None):
                raise RuntimeError(f"{process.args[0] if process else 'a tool'} has not attached any BPF program")
            time.sleep(0.02)
            if len(self.links()) != last:
                last, since = len(self.links()), time.monotonic()

    def runs(self):
        """Program → (ns, runs), since they were loaded."""
        return {d["prog_id"]: (int(d["run_time_ns"]), int(d["run_cnt"])) for d in descriptors(self.pid) if "run_cnt" in d}

    def during(self, work):
        """What the programs did while `work` ran."""
        iterators = {d["prog_id"] for d in self.links() if d["link_type"] == "iter"}
        before = self.runs()
        result = work()
        after = self.runs()
        grown = {p: (ns - before[p][0], runs - before[p][1]) for p, (ns, runs) in after.items() if p in before}
        return Growth({p: g for p, g in grown.items() if p not in iterators},
                      {p: g for p, g in grown.items() if p in iterators}, result)


class Growth:
    """Time and runs of programs in a window: those at hooks, and the iterators (which user space runs, once an interval)."""

    def __init__(self, hooks, iterators, result):
        self.hooks, self.iterators, self.result = hooks, iterators, result

    def per_event(self, event, kind):
        """
        Time and runs per event of all programs at hooks whose names begin with `kind`, together. The program whose name has
        `event` in it runs once an event.
        """
        programs = [(program_name(p), ns, runs) for p, (ns, runs) in self.hooks.items()]
        events = sum(runs for name, _, runs in programs if event in name)
        alike = [(ns, runs) for name, ns, runs in programs if name.startswith(kind)]
        return sum(ns for ns, _ in alike) / events, sum(runs for _, runs in alike) / events


@contextlib.contextmanager
def tool(*argv, stdout=subprocess.DEVNULL):
    """A tool that has attached; (process, programs)."""
    process = subprocess.Popen(list(map(str, argv)), stdout=stdout, stderr=subprocess.DEVNULL)
    try:
        programs = Programs(process.pid)
        programs.wait_attached(process)
        yield process, programs
    finally:
        stop(process)


def monitor(*args, stdout=subprocess.DEVNULL):
    return tool(MBTRACE, "--quiet", "monitor", "--format", "json", *args, stdout=stdout)


@contextlib.contextmanager
def empty(name):
    """A program of empty.bpf.c, attached by this process."""
    lib = libbpf()
    path = os.path.join(BUILD, "bench/empty.bpf.o").encode()
    bpf_object = ctypes.c_void_p(lib.bpf_object__open_file(path, None))
    if not bpf_object:
        raise RuntimeError("there is no empty program: `make bench` builds it")
    link = ctypes.c_void_p()
    try:
        programs = {n: ctypes.c_void_p(lib.bpf_object__find_program_by_name(bpf_object, n.encode()))
                    for n in ("empty_switch", "empty_complete")}
        for n, program in programs.items():
            lib.bpf_program__set_autoload(program, n == name)
        if lib.bpf_object__load(bpf_object):
            raise RuntimeError("the empty program does not load")
        link = ctypes.c_void_p(lib.bpf_program__attach(programs[name]))
        if not link:
            raise RuntimeError("the empty program does not attach")
        yield None, Programs(os.getpid())
    finally:
        lib.bpf_link__destroy(link)
        lib.bpf_object__close(bpf_object)


def net_costs(tools, work, rounds):
    """
    Rounds of the same work under ours, the peer and the empty program in turn; `tools` has for each a function that starts it and
    what Growth.per_event wants. Three lists, ns per event: of ours and of the peer, net of what an empty program costs per run,
    and of the empty one.
    """
    net_ours, net_peer, none = [], [], []
    with run_statistics():
        for _ in range(rounds):
            costs = []
            for start, event, kind in tools:
                with start() as (_, programs):
                    costs.append(programs.during(work).per_event(event, kind))
            price = costs[2][0]
            net_ours.append(costs[0][0] - price * costs[0][1])
            net_peer.append(costs[1][0] - price * costs[1][1])
            none.append(price)
    return net_ours, net_peer, none


def ratios(ours, peer):
    return [a / b for a, b in zip(ours, peer)]
