"""Processes under measurement: start on a chosen CPU, what they used, end. Linux."""
import os, random, resource, shlex, shutil, signal, socket, subprocess, sys

TASKSET = shutil.which("taskset")


def free_port():
    """Below the ports that the kernel gives to outgoing connections: the load opens thousands of those."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def raise_descriptor_limit():
    """Children inherit it. The answer is how many one process may have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = 200_000 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def end_children_with_us():
    """A SIGTERM unwinds like Ctrl-C does, so that whoever started something also stops it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def pinned(core):
    """The words that keep a command on one CPU, where there are two and the program for it."""
    return [TASKSET, "-c", str(core)] if TASKSET and (os.cpu_count() or 1) > 1 else []


def spawn(command, core, log):
    """core None: on any."""
    words = ([] if core is None else pinned(core)) + shlex.split(command)
    return subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)


def stop(process):
    """Ends the process and all that it started: they are a session of their own."""
    for signum in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signum)
            process.wait(3)
            return
        except ProcessLookupError:
            process.wait()
            return
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def forget(command):
    """Lets the kernel read a program's file anew. One that was just built lies in memory in large pieces, which count as the process's own: some 4 MB for sluice."""
    for word in shlex.split(command):
        file = shutil.which(word)
        if file is None:
            continue
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def tree(pid):
    """pid and all its descendants."""
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        try:
            for t in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{t}/children") as file:
                    todo += [int(c) for c in file.read().split()]
        except OSError:
            pass
    return out


def cpu_us(pid):
    """User and system time of the tree, in microseconds."""
    ticks = 0
    for p in tree(pid):
        try:
            with open(f"/proc/{p}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return ticks * 1e6 / os.sysconf("SC_CLK_TCK")


def memory_kb(pid):
    """Proportional set size of the tree: pages that processes share are counted once."""
    total = 0
    for p in tree(pid):
        try:
            with open(f"/proc/{p}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:
            pass
    return total
