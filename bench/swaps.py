#!/usr/bin/env python3
"""Certificates that change under load: 50 swaps by rename while clients shake hands as fast as they can and others stay.

  bench/swaps.py [--proxy dist/sluice] [--swaps 50] [--standing 200]

Prints how many handshakes there were, how many of them failed, how many standing sessions were cut, and how many swaps the log tells of. Linux,
a C compiler, OpenSSL with its headers.
"""
import argparse, json, os, shlex, subprocess, sys, tempfile, time
from processes import end_children_with_us, free_port, pinned, spawn, stop

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Files are looked at once a second.
SWAP_EVERY_S = 1.2


def make_pair(work, number):
    subprocess.run(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost "
                    f"-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout {work}/{number}.key -out {work}/{number}.pem").split(), check=True, stderr=subprocess.DEVNULL)


def swap(work, number):
    """Key and certificate are two files: between the two renames they do not fit, and the pair is left alone."""
    for kind in ("key", "pem"):
        os.rename(f"{work}/{number}.{kind}", f"{work}/live.{kind}")


def load(work, words):
    return subprocess.Popen(pinned(1) + [f"{work}/mqload"] + shlex.split(words), stdout=subprocess.PIPE, text=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxy", default=os.path.join(ROOT, "dist/sluice"))
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--standing", type=int, default=200)
    options = parser.parse_args()
    end_children_with_us()
    seconds = options.swaps * SWAP_EVERY_S + 3
    with tempfile.TemporaryDirectory(prefix="sluice-swaps-") as work, open(f"{work}/log", "w") as log, open(os.devnull, "w") as nowhere:
        subprocess.run(["cc", "-O2", "-w", "-o", f"{work}/mqload", os.path.join(ROOT, "bench/mqload.c"), "-lssl", "-lcrypto"], check=True)
        for number in range(options.swaps + 1):
            make_pair(work, number)
        swap(work, 0)
        sink, port = free_port(), free_port()
        broker = spawn(f"{work}/mqload sink -p {sink}", 1, nowhere)
        proxy = spawn(f"{options.proxy} --listen mqtts://127.0.0.1:{port} --cert {work}/live.pem --key {work}/live.key --to mqtt://127.0.0.1:{sink} --log-format json", 0, log)
        try:
            time.sleep(2)
            standing = load(work, f"idle -p {port} -c {options.standing} -d {seconds} -T")
            churn = load(work, f"churn -p {port} -c 8 -d {seconds} -T")
            for number in range(1, options.swaps + 1):
                time.sleep(SWAP_EVERY_S)
                swap(work, number)
            shaken, stayed = json.loads(churn.communicate()[0]), json.loads(standing.communicate()[0])
        finally:
            stop(proxy)
            stop(broker)
        with open(f"{work}/log") as file:
            told = [line for line in file if '"certificate.loaded"' in line]
        print(f"handshakes: {shaken['done']} ({shaken['per_s']} a second), failed: {shaken['errors'] + shaken['closed']}")
        print(f"standing:   {stayed['up']} sessions, cut: {stayed['errors'] + stayed['closed']}")
        print(f"swaps:      {options.swaps} made, {len(told)} in the log")
        sys.exit(0 if shaken["errors"] + shaken["closed"] + stayed["errors"] + stayed["closed"] == 0 else 1)


main()
