#!/usr/bin/env python3
"""Measures what a proxy between MQTT clients and a broker costs, beside HAProxy, nginx and a bare C relay, in one run.

  bench/compare.py                                     dist/sluice beside what is installed of haproxy and nginx, and the floor
  bench/compare.py --tls --also node --also deno       TLS on the client side; the builds for Node and Deno in rows of their own
  bench/compare.py --ws --only relay                   WebSocket on the client side, beside sluice itself without it; --tls --ws: wss
  bench/compare.py --policy --only relay,churn         beside sluice with routes, affinity, a password file and CONNECT rewriting; all clients log in
  bench/compare.py --also old='/tmp/sluice-before --listen mqtt://127.0.0.1:{listen} --to mqtt://127.0.0.1:{to}'

Every proxy runs alone on CPU 0; the load generator and the sink broker share CPU 1. Rounds are interleaved, so a drift of
the machine falls on all alike. Figures are medians over the rounds: CPU microseconds of the proxy (all its processes) per
operation, operations per second, p99 latency, and resident memory per idle connection. Trust the ratios, not the times.

Workloads: relay  200 clients, one QoS 1 PUBLISH of 64 B in flight each (an operation is PUBLISH up and PUBACK down)
           paced  the same at a fixed 15,000 a second           batch  50 clients, 16 in flight, 256 B
           churn  connect, CONNECT, CONNACK, close               idle   4,000 held connections
The control row "direct" is the load generator on the sink broker with nothing between: what the machine can do at all.
Needs Linux, Python 3, a C compiler, OpenSSL with its headers (Debian: gcc libssl-dev openssl). Free ports of the loopback address.
"""
import argparse, functools, json, os, shlex, shutil, statistics, subprocess, sys, tempfile, time
import proxies
from processes import cpu_us, end_children_with_us, free_port, memory_kb, pinned, raise_descriptor_limit, spawn, stop

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = {
    "relay": "load -c 200 -w 1 -s 64 -d {d}",
    "paced": "load -c 200 -w 1 -s 64 -d {d} -r 15000",
    "batch": "load -c 50 -w 16 -s 256 -d {d}",
    "churn": "churn -c 16 -d {d}",
}
UNITS = {"cpu": "us CPU/op", "per_s": "op/s", "p99": "us p99", "kb": "KB/conn"}


def build_tools(work):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        sys.exit("build the load generator: no C compiler (Debian: apt-get install gcc libssl-dev)")
    for source, libraries in (("mqload", ["-lssl", "-lcrypto"]), ("relay", [])):
        ran = subprocess.run([compiler, "-O2", "-w", "-o", f"{work}/{source}", f"{HERE}/{source}.c"] + libraries, capture_output=True, text=True)
        if ran.returncode != 0:
            sys.exit(f"build {source}.c: {ran.stderr.strip()}\n(OpenSSL's headers are needed; Debian: apt-get install libssl-dev)")
    words = ("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost "
             f"-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout {work}/key.pem -out {work}/cert.pem")
    subprocess.run(words.split(), check=True, stderr=subprocess.DEVNULL)
    with open(f"{work}/both.pem", "w") as both:
        for part in ("cert.pem", "key.pem"):
            with open(f"{work}/{part}") as file:
                both.write(file.read())


class Bench:
    def __init__(self, work, options, sink):
        self.work, self.options, self.sink = work, options, sink
        # a proxy holds two descriptors for each connection
        self.idle_count = max(100, min(4000, (raise_descriptor_limit() - 200) // 2))

    def mqload(self, words, timeout=120):
        try:
            ran = subprocess.run(pinned(1) + [f"{self.work}/mqload"] + shlex.split(words), capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            return {"error": f"mqload {words}: not ended after {timeout} s"}
        lines = ran.stdout.strip().splitlines()
        return json.loads(lines[-1]) if lines else {"error": ran.stderr[-300:]}

    def load(self, workload, port, flags):
        r = self.mqload(WORK[workload].format(d=self.options.seconds) + f" -p {port}{flags}")
        if "done" not in r:
            raise RuntimeError(r["error"])
        return r

    def measure(self, command, port, flags, log):
        """One round of one proxy: started, warmed up, put through the workloads, ended."""
        process = spawn(command, 0, log)
        try:
            end = time.monotonic() + 10
            while time.monotonic() < end and process.poll() is None:
                time.sleep(0.25)
                r = self.mqload(f"load -p {port} -c 1 -w 1 -d 0.1{flags}", timeout=3)
                if r.get("up") == 1 and r.get("done"):
                    break
            else:
                raise RuntimeError(f"no MQTT answer on port {port} from: {command}")
            result = {"base_mb": memory_kb(process.pid) / 1024}
            self.mqload(f"load -p {port} -c 100 -w 1 -d 1.5{flags}")
            for workload in self.options.works:
                result[workload] = self.idle(process, port, flags) if workload == "idle" else self.busy(process, port, workload, flags)
            return result
        finally:
            stop(process)

    def busy(self, process, port, workload, flags):
        before = cpu_us(process.pid)
        r = self.load(workload, port, flags)
        used = cpu_us(process.pid) - before
        return {"cpu": used / max(r["done"], 1), "per_s": r["per_s"], "p99": r["p99_us"], "bad": r.get("errors", 1) + r.get("closed", 0)}

    def idle(self, process, port, flags):
        time.sleep(0.5)
        before = most = memory_kb(process.pid)
        words = f"{self.work}/mqload idle -p {port} -c {self.idle_count} -d 3{flags}"
        holder = subprocess.Popen(pinned(1) + shlex.split(words), stdout=subprocess.PIPE, text=True)
        while holder.poll() is None:
            most = max(most, memory_kb(process.pid))
            time.sleep(0.4)
        line = json.loads(holder.stdout.read())
        return {"kb": (most - before) / self.idle_count, "bad": line["errors"] + line["closed"]}

    def direct(self):
        """The control: no proxy, no TLS. Only what the clients see can be told."""
        result = {"base_mb": 0.0}
        for workload in self.options.works:
            if workload == "idle":
                result[workload] = {"kb": 0.0, "bad": 0}
            else:
                r = self.load(workload, self.sink, "")
                result[workload] = {"cpu": 0.0, "per_s": r["per_s"], "p99": r["p99_us"], "bad": r["errors"] + r["closed"]}
        return result


def choose_rows(options, work, sink):
    """Name to (command, port, flags of the load generator), and the reasons of what is left out."""
    kind = proxies.Kind(options.tls, options.ws)
    commands = {"sluice": options.proxy or proxies.sluice(proxies.BUILDS["sluice"], kind)} | proxies.also(options.also, kind)
    if options.policy:
        commands["policy"] = proxies.with_policy(proxies.BUILDS["sluice"], kind, work, sink)
    if options.ws:
        commands["without"] = proxies.sluice(proxies.BUILDS["sluice"], proxies.Kind(options.tls, False))
    rows, left_out = {}, {}
    for name, command in commands.items():
        port = free_port()
        reason = proxies.missing(command)
        if reason:
            left_out[name] = reason
        else:
            flags = (proxies.Kind(options.tls, False).flags if name == "without" else kind.flags) + (proxies.LOGIN if options.policy else "")
            rows[name] = (command.format(listen=port, to=sink, cert=f"{work}/cert.pem", key=f"{work}/key.pem"), port, flags)
    for name, make in (("haproxy", proxies.haproxy), ("nginx", proxies.nginx)):
        if name not in options.against:
            continue
        if options.ws:
            left_out[name] = "it does not take WebSocket off in front of a TCP broker"
            continue
        port = free_port()
        command, reason = make(work, port, sink, options.tls)
        if command:
            rows[name] = (command, port, kind.flags)
        else:
            left_out[name] = reason
    if "floor" in options.against and kind.flags == "":
        port = free_port()
        rows["floor"] = (f"{work}/relay {port} {sink}", port, "")
    if "direct" in options.against:
        rows["direct"] = (None, sink, "")
    return rows, left_out


def run_rounds(bench, rows, log):
    sink = subprocess.Popen(pinned(1) + [f"{bench.work}/mqload", "sink", "-p", str(bench.sink)])
    got = {name: [] for name in rows}
    try:
        time.sleep(0.3)
        if sink.poll() is not None:
            sys.exit(f"start the sink broker: port {bench.sink} was taken, try again")
        for i in range(bench.options.rounds):
            for name, (command, port, flags) in list(rows.items()):
                print(f"round {i + 1}/{bench.options.rounds} {name}", file=sys.stderr)
                try:
                    got[name].append(bench.measure(command, port, flags, log) if command else bench.direct())
                except RuntimeError as error:
                    print(f"{name} is left out: {error}", file=sys.stderr)
                    del rows[name], got[name]
    finally:
        sink.terminate()
        sink.wait()
    return got


def medians(got, works):
    def middle(name, *path):
        return statistics.median(functools.reduce(lambda value, key: value[key], path, one) for one in got[name])

    table = {}
    for name in got:
        table[name] = {"base_mb": middle(name, "base_mb")} | {w: {k: middle(name, w, k) for k in got[name][0][w]} for w in works}
    return table


def figure_lines(table, works):
    """Title and one cell per proxy, for each figure. In brackets: the first proxy over this one."""
    names = list(table)
    figures = [("base_mb", None)] + [(w, k) for w in works for k in (("kb",) if w == "idle" else ("cpu", "per_s", "p99"))]
    for w, k in figures:
        def value(name):
            return table[name][w] if k is None else table[name][w][k]

        def cell(name):
            if not value(name):
                return "-"
            ratio = "" if name == names[0] else f" ({value(names[0]) / value(name):.2f}x)"
            return f"{value(name):.2f}{ratio}" if value(name) < 1000 else f"{value(name):.0f}{ratio}"

        yield ("base MB" if k is None else f"{w} {UNITS[k]}"), [cell(name) for name in names]


def print_table(table, works, markdown):
    if markdown:
        print("| | " + " | ".join(table) + " |\n|---" * 1 + "|---:" * len(table) + "|")
        for title, cells in figure_lines(table, works):
            print(f"| {title} | " + " | ".join(cells) + " |")
    else:
        print(f"{'':20}" + "".join(f"{name:>20}" for name in table))
        for title, cells in figure_lines(table, works):
            print(f"{title:20}" + "".join(f"{cell:>20}" for cell in cells))
    first = next(iter(table))
    bad = ", ".join(f"{name} {sum(table[name][w]['bad'] for w in works):.0f}" for name in table)
    print(f"\nErrors or lost connections: {bad}. Brackets: {first} over that one; below 1.00x is better, but for op/s.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxy", help="another command for the first row, with {listen} and {to} (and {cert} {key} with --tls)")
    parser.add_argument("--also", action="append", default=[], metavar="NAME[=COMMAND]", help="one more row: node, deno, or any command; repeatable")
    parser.add_argument("--tls", action="store_true", help="TLS on the client side")
    parser.add_argument("--ws", action="store_true", help="WebSocket on the client side, and a row without it")
    parser.add_argument("--policy", action="store_true", help="one more row: sluice with all that is decided at CONNECT switched on")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--only", default="relay,paced,batch,churn,idle")
    parser.add_argument("--against", default="haproxy,nginx,floor,direct", help="peers: haproxy, nginx, floor (the bare C relay, plain only), direct")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    end_children_with_us()
    options.works = options.only.split(",")
    options.against = options.against.split(",")
    unknown = [w for w in options.works if w != "idle" and w not in WORK]
    if unknown:
        parser.error(f"no workload {unknown[0]}: choose of {', '.join(WORK)}, idle")
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as work:
        build_tools(work)
        sink = free_port()
        rows, left_out = choose_rows(options, work, sink)
        for name, reason in left_out.items():
            print(f"{name} is left out: {reason}", file=sys.stderr)
        with open(f"{work}/log", "w") as log:
            got = run_rounds(Bench(work, options, sink), rows, log)
        table = medians(got, options.works)
        if options.json:
            print(json.dumps(table))
        elif table:
            print_table(table, options.works, options.markdown)
        if "sluice" not in table:
            with open(f"{work}/log") as log:
                sys.exit(f"sluice was not measured\n{log.read()[-2000:]}".rstrip())


if __name__ == "__main__":
    main()
