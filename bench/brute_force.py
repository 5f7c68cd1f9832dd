#!/usr/bin/env python3
"""What 10,000 wrong passwords do to sluice and to its honest clients.

  bench/brute_force.py [--proxy dist/sluice] [--attempts 10000] [--rounds 2] [--rate 500] [--argon2id] [--no-ban]

One address sends wrong passwords, 500 a second unless --rate says otherwise (0: as fast as it can, which also takes the processor away from the
honest client), 50 connections at a time; another one connects with the right one every 10 ms, before and during that. Prints how long the honest client waited for its CONNACK (p50, p99), what the attacker was told, and the memory before and after.
--no-ban: no bans, so every attempt is hashed or turned away for want of room. Linux; the addresses are 127.0.0.1 and 127.0.0.2.
"""
import argparse, collections, multiprocessing, os, shlex, socket, statistics, struct, subprocess, sys, tempfile, threading, time
from processes import end_children_with_us, free_port, memory_kb, spawn, stop

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def field(text):
    return struct.pack(">H", len(text)) + text.encode()


def connect_packet(client_id, username, password):
    body = field("MQTT") + bytes([4, 0xC2, 0, 60]) + field(client_id) + field(username) + field(password)
    return bytes([0x10, len(body)]) + body


def attempt(port, source, packet):
    """The CONNACK's return code, or what happened instead, and the seconds that it took."""
    start = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(packet)
            answer = connection.recv(4)
            outcome = answer[3] if len(answer) == 4 else "closed"
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError as error:
        outcome = type(error).__name__
    return outcome, time.monotonic() - start


class Honest(threading.Thread):
    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.waits, self.failures, self.is_over = port, [], collections.Counter(), False

    def run(self):
        while not self.is_over:
            outcome, took = attempt(self.port, "127.0.0.1", connect_packet("honest", "anna", "right"))
            self.waits.append(took * 1000)
            if outcome != 0:
                self.failures[outcome] += 1
            time.sleep(0.01)

    def end(self):
        self.is_over = True
        self.join()
        waits = sorted(self.waits)
        return f"{len(waits)} connects, p50 {statistics.median(waits):.1f} ms, p99 {waits[int(len(waits) * 0.99)]:.1f} ms, failed: {dict(self.failures) or 'none'}"


def attack(port, attempts, rate, answer):
    """In a process of its own, or the honest client would wait for it."""
    told, lock, left = collections.Counter(), threading.Lock(), iter(range(attempts))

    def work():
        for number in left:
            if rate:
                time.sleep(max(0, start + number / rate - time.monotonic()))
            outcome, _ = attempt(port, "127.0.0.2", connect_packet(f"bad-{number}", "anna", f"guess-{number}"))
            with lock:
                told[outcome] += 1

    # A range's iterator is safe to share under CPython's lock.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(50)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answer.put((told, time.monotonic() - start))


def attacked(port, attempts, rate):
    answer = multiprocessing.Queue()
    process = multiprocessing.Process(target=attack, args=(port, attempts, rate, answer), daemon=True)
    process.start()
    told, took = answer.get()
    process.join()
    return told, took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxy", default=os.path.join(ROOT, "dist/sluice"))
    parser.add_argument("--attempts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--argon2id", action="store_true")
    parser.add_argument("--no-ban", action="store_true")
    options = parser.parse_args()
    end_children_with_us()
    with tempfile.TemporaryDirectory(prefix="sluice-brute-") as work:
        words = shlex.split(options.proxy)
        hash_name = "argon2id" if options.argon2id else "sha512-pbkdf2"
        subprocess.run(words + ["passwd", "--create", "--hash", hash_name, f"{work}/users.txt", "anna"], input=b"right\n", check=True, stdout=subprocess.DEVNULL)
        sink, port = free_port(), free_port()
        subprocess.run(["cc", "-O2", "-w", "-o", f"{work}/mqload", os.path.join(ROOT, "bench/mqload.c"), "-lssl", "-lcrypto"], check=True)
        bans = "" if options.no_ban else "[authentication.bans]\nfailures_max = 10\n"
        with open(f"{work}/sluice.toml", "w") as file:
            file.write(f'[[listeners]]\nlisten = "mqtt://127.0.0.1:{port}"\n[pools.default]\nbrokers = ["mqtt://127.0.0.1:{sink}"]\n'
                       f'[[authentication.checks]]\ntype = "password_file"\nfile = "users.txt"\n{bans}[log]\nlevel = "error"\n')
        with open(os.devnull, "w") as log:
            broker = spawn(f"{work}/mqload sink -p {sink}", 1, log)
            proxy = spawn(f"{options.proxy} --config {work}/sluice.toml", 0, sys.stderr)
            try:
                time.sleep(1)
                honest = Honest(port)
                honest.start()
                time.sleep(5)
                print(f"quiet:        {honest.end()}")
                memory = [memory_kb(proxy.pid)]
                for _ in range(options.rounds):
                    honest = Honest(port)
                    honest.start()
                    told, took = attacked(port, options.attempts, options.rate)
                    print(f"under attack: {honest.end()}")
                    print(f"attacker:     {options.attempts} attempts in {took:.1f} s, told {dict(told)} (CONNACK return codes: 4 wrong, 5 banned, 3 no room)")
                    time.sleep(2)
                    memory.append(memory_kb(proxy.pid))
                print(f"memory:       {', '.join(f'{kb / 1024:.1f}' for kb in memory)} MB: before, and after each attack")
            finally:
                stop(proxy)
                stop(broker)


main()
