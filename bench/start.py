#!/usr/bin/env python3
"""Measures how long a proxy takes from the start of its process to the first connection that it accepts, and to the first
CONNACK through it. The broker behind it is a few lines in this file.

  bench/start.py                        dist/sluice and, when they are built, the programs for Node and Deno
  bench/start.py --also old='/tmp/sluice-before --listen mqtt://127.0.0.1:{listen} --to mqtt://127.0.0.1:{to}'
"""
import argparse, os, socket, statistics, sys, threading, time
import proxies
from processes import end_children_with_us, free_port, memory_kb, spawn, stop

CONNECT = bytes.fromhex("100f00044d5154540402003c00037374") + b"a"
CONNACK = bytes.fromhex("20020000")


def answer(server):
    """A broker that says CONNACK to whatever comes first."""
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(client,), daemon=True).start()


def serve(client):
    with client:
        try:
            if client.recv(4096):
                client.sendall(CONNACK)
            while client.recv(4096):
                pass
        except OSError:
            pass


def once(command, to, log):
    port = free_port()
    began = time.perf_counter()
    process = spawn(command.format(listen=port, to=to), None, log)
    try:
        while True:
            try:
                client = socket.create_connection(("127.0.0.1", port), 5)
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() - began > 15:
                    raise RuntimeError(f"does not accept: {command}")
                time.sleep(0.0005)
        accepted = time.perf_counter()
        with client:
            client.settimeout(10)
            client.sendall(CONNECT)
            if client.recv(4) != CONNACK:
                raise RuntimeError("the first answer is no CONNACK")
            answered = time.perf_counter()
            time.sleep(0.2)
            return (accepted - began) * 1000, (answered - began) * 1000, memory_kb(process.pid) / 1024
    finally:
        stop(process)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--also", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    end_children_with_us()
    plain = proxies.Kind(tls=False, ws=False)
    rows = {name: proxies.sluice(program, plain) for name, program in proxies.BUILDS.items()} | proxies.also(options.also, plain)
    server = socket.create_server(("127.0.0.1", 0), backlog=64)
    threading.Thread(target=answer, args=(server,), daemon=True).start()
    print(f"{'median of ' + str(options.runs):20}{'accepts ms':>14}{'CONNACK ms':>14}{'memory MB':>14}")
    with open(os.devnull, "w") as log:
        for name, command in rows.items():
            reason = proxies.missing(command)
            if reason:
                print(f"{name} is left out: {reason}", file=sys.stderr)
                continue
            try:
                once(command, server.getsockname()[1], log)  # the first one reads it from the disk
                runs = [once(command, server.getsockname()[1], log) for _ in range(options.runs)]
            except (RuntimeError, OSError) as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
                continue
            print(f"{name:20}" + "".join(f"{statistics.median(figure):14.1f}" for figure in zip(*runs)))


if __name__ == "__main__":
    main()
