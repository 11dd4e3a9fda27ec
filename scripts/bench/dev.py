"""Measures kafka-dev: start to the first answer, idle memory, and bulk produce by kcat beside a real Kafka.

Started by `scripts/bench.sh dev`, which brings the real Kafka and the release build. The brokers run interleaved on the
same lines; a broker's CPU seconds are what /proc says of its processes before and after.
"""

import argparse
import os
import socket
import struct
import subprocess
import time
from pathlib import Path

from bench import Bench, call, measure, spread

START_ROUNDS = 20
# ApiVersions version 0, correlation id 1, no client id: the first thing that any client asks.
FIRST_REQUEST = struct.pack(">ihhih", 10, 18, 0, 1, -1)


class Dev:
    """A running kafka-dev."""

    def __init__(self, program, *flags):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.started = time.perf_counter()
        command = [program, "--listen", f"127.0.0.1:{self.port}", *flags]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def first_answer(self):
        """Seconds from its start to the first answer."""
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port)) as connection:
                    connection.sendall(FIRST_REQUEST)
                    connection.recv(4)
                    return time.perf_counter() - self.started
            except ConnectionRefusedError:
                time.sleep(0.0005)

    def rss_mb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait()


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_and_idle(program):
    starts, idle = [], []
    for _ in range(START_ROUNDS):
        dev = Dev(program, "--memory")
        starts.append(dev.first_answer() * 1000)
        idle.append(dev.rss_mb())
        dev.stop()
    print(f"start to the first answer, ms: {spread(starts, 1)}; idle memory, MB: {spread(idle, 1)}", flush=True)


def produce(program, options, lines):
    """kcat writes the same lines to each broker in turn."""
    folder = Path(options.work) / "kafka-dev"
    dev = Dev(program, "--data-dir", str(folder))
    dev.first_answer()
    brokers = {"kafka-dev": (f"127.0.0.1:{dev.port}", dev.process.pid), "apache": (options.bootstrap, options.apache_pid)}
    wall, cpu = {name: [] for name in brokers}, {name: [] for name in brokers}
    for number in range(options.rounds + 1):
        for name, (bootstrap, pid) in brokers.items():
            topic = f"bench-{number}"
            admin = [str(Path(options.programs) / "kafka-admin"), "-b", bootstrap]
            call([*admin, "create-topic", topic, "--partitions", "6"])
            used = cpu_seconds(pid)
            sample = measure(["kcat", "-P", "-q", "-b", bootstrap, "-t", topic, "-X", "acks=all", "-l", lines])
            if number > 0:
                wall[name].append(options.lines / sample.wall / 1000)
                cpu[name].append(cpu_seconds(pid) - used)
            call([*admin, "delete-topic", topic, "--yes"])
    dev.stop()
    for name in brokers:
        print(f"{name:10} thousand records/s: {spread(wall[name], 0)}; CPU seconds of the broker: {spread(cpu[name])}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lines", type=int, default=2_000_000)
    for name in ("bootstrap", "programs", "work"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--apache-pid", type=int, required=True)
    options = parser.parse_args()
    program = str(Path(options.programs) / "kafka-dev")
    start_and_idle(program)
    produce(program, options, Bench(options).lines())


if __name__ == "__main__":
    main()
