"""Runs ours, kcat and the floor in turn on one broker and prints wall, CPU and memory with spread and ratios.

Started by scripts/bench.sh, which brings the broker and the release builds. CPU seconds are user plus system time of the
program and what it started (wait4); peak memory is what GNU time says, because a child of Python inherits Python's peak.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

PARTITIONS = 6
# What a deleted topic held leaves the disk about two seconds later (bench.sh sets the delays); that must not fall into
# the next program's time.
SETTLE_S = 3
SEED = 20260131


@dataclass
class Sample:
    wall: float
    cpu: float
    rss_mb: float = 0.0


class Bench:
    def __init__(self, options):
        self.options = options
        self.bootstrap = options.bootstrap
        self.programs = Path(options.programs)
        self.work = Path(options.work)
        self.topics = 0

    # Programs ------------------------------------------------------------------------------------------------------

    def ours(self, name):
        return [str(self.programs / f"kafka-{name}"), "-b", self.bootstrap]

    def floor(self, verb, topic, *more):
        return [str(self.programs / "examples/floor"), verb, self.bootstrap, topic, str(PARTITIONS), *map(str, more)]

    def topic(self, settings=()):
        self.topics += 1
        name = f"bench-{os.getpid()}-{self.topics}"
        call(self.ours("admin") + ["create-topic", name, "--partitions", str(PARTITIONS), *settings])
        return name

    def drop(self, topic):
        call(self.ours("admin") + ["delete-topic", topic, "--yes"])
        time.sleep(SETTLE_S)

    def count(self, topic):
        """Records in the topic, as kcat sees its end offsets."""
        query = [word for partition in range(PARTITIONS) for word in ("-t", f"{topic}:{partition}:-1")]
        said = call(["kcat", "-Q", "-b", self.bootstrap, *query])
        return sum(int(line.rsplit(None, 1)[1]) for line in said.splitlines() if "offset" in line)

    # Input ---------------------------------------------------------------------------------------------------------

    def lines(self, keyed=False):
        """A file of lines of about 100 bytes, the same in every run; keyed ones begin with a key and a tab."""
        path = self.work / ("keyed" if keyed else "lines")
        if not path.exists():
            chance = random.Random(SEED)
            words = ["north", "south", "rider", "update", "street", "corner", "turning", "waiting", "arrived", "delayed"]
            with path.open("w") as out:
                for number in range(self.options.lines):
                    text = " ".join(chance.choices(words, k=12))
                    key = f"rider-{chance.randrange(50_000)}\t" if keyed else ""
                    out.write(f"{key}{number:08} {text:.90}\n")
        return str(path)


def call(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nexit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def measure(command, stdout=subprocess.DEVNULL):
    """One run of a program to its end."""
    rss = os.path.join(tempfile.gettempdir(), f"bench-rss-{os.getpid()}")
    started = time.perf_counter()
    with open(os.devnull) as nothing:
        child = subprocess.Popen(["/usr/bin/time", "-o", rss, "-f", "%M", *command], stdin=nothing, stdout=stdout,
                                 stderr=subprocess.PIPE)
        complaint = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)}\nexit {child.returncode}: {complaint.decode(errors='replace')[-2000:]}")
    with open(rss) as said:
        memory = int(said.read().split()[-1]) / 1024
    os.unlink(rss)
    return Sample(wall, usage.ru_utime + usage.ru_stime, memory)


def measure_floor(command):
    """The floor measures itself: what it encodes beforehand does not count."""
    words = call(command).split()
    return Sample(float(words[1]), float(words[3]))


# Results -----------------------------------------------------------------------------------------------------------

def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}..{max(values):.{digits}f})"


def report(title, samples, digits=2):
    """samples: name -> list of Sample, one per round; `kcat` is what the others are compared with."""
    print(f"\n{title}")
    print(f"  {'':8}{'wall s':>24}{'CPU s':>24}{'peak MB':>24}")
    for name, rounds in samples.items():
        columns = [spread([getattr(sample, field) for sample in rounds], digits) for field in ("wall", "cpu")]
        memory = spread([sample.rss_mb for sample in rounds], 1) if rounds[0].rss_mb else "-"
        print(f"  {name:8}" + "".join(f"{column:>24}" for column in [*columns, memory]))
    for base in ("kcat", "floor"):
        if base in samples and "ours" in samples:
            ratios = [compare(samples["ours"], samples[base], field) for field in ("wall", "cpu", "rss_mb")]
            print(f"  ours / {base:6}" + "".join(f"{ratio:>23} " for ratio in ratios))
    sys.stdout.flush()


def compare(ours, theirs, field):
    """Ratio per round, so that what the machine does meanwhile hits both."""
    pairs = [(getattr(a, field), getattr(b, field)) for a, b in zip(ours, theirs)]
    return spread([a / b for a, b in pairs if b > 0]) if all(b > 0 for _, b in pairs) else "-"


def rounds(bench, contenders):
    """Runs each contender once per round, another one first each time; two rounds warm the broker up and do not count."""
    samples = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(bench.options.rounds + 2):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            sample = contenders[name]()
            if number >= 2:
                samples[name].append(sample)
    return samples


# Benchmarks --------------------------------------------------------------------------------------------------------

def produce(bench):
    variants = {
        "plain": (False, [], []),
        "lz4": (False, ["-X", "compression.type=lz4"], ["-z", "lz4"]),
        "keyed": (True, ["--key-separator", "\t"], ["-K", "\t"]),
    }
    for title, (keyed, our_flags, kcat_flags) in variants.items():
        file = bench.lines(keyed)

        def into_fresh_topic(command_for, run=measure):
            topic = bench.topic()
            sample = run(command_for(topic))
            there = bench.count(topic)
            if there != bench.options.lines:
                sys.exit(f"{command_for(topic)}: {there} records arrived of {bench.options.lines}")
            bench.drop(topic)
            return sample

        contenders = {
            "ours": lambda: into_fresh_topic(
                lambda topic: bench.ours("produce") + [topic, "--raw", "--file", file, *our_flags]),
            "kcat": lambda: into_fresh_topic(
                lambda topic: ["kcat", "-P", "-b", bench.bootstrap, "-t", topic, "-l", *kcat_flags, file]),
        }
        if title == "plain":
            contenders["floor"] = lambda: into_fresh_topic(
                lambda topic: bench.floor("produce", topic, file), measure_floor)
        report(f"produce, {title}: {bench.options.lines} lines", rounds(bench, contenders))


def consume(bench):
    fresh = iter(range(1_000_000))
    for codec in ("plain", "lz4"):
        topic = bench.topic()
        flags = ["-z", "lz4"] if codec == "lz4" else []
        call(["kcat", "-P", "-b", bench.bootstrap, "-t", topic, "-l", *flags, bench.lines()])

        def to_file(command):
            path = bench.work / "out"
            with path.open("wb") as out:
                sample = measure(command, out)
            with path.open("rb") as read:
                got = sum(chunk.count(b"\n") for chunk in iter(lambda: read.read(1 << 20), b""))
            if got != bench.options.lines:
                sys.exit(f"{' '.join(command)}: {got} lines of {bench.options.lines}")
            return sample

        without_group = {
            "ours": lambda: to_file(bench.ours("consume") + ["--no-group", topic, "-f", "%v\\n", "--exit"]),
            "kcat": lambda: to_file(["kcat", "-C", "-q", "-e", "-b", bench.bootstrap, "-t", topic, "-o", "beginning"]),
            "floor": lambda: measure_floor(bench.floor("consume", topic)),
        }
        report(f"consume, {codec}: {bench.options.lines} records", rounds(bench, without_group))
        if codec == "plain":
            with_group = {
                "ours": lambda: to_file(
                    bench.ours("consume") + [f"bench-{next(fresh)}", topic, "-f", "%v\\n", "--exit"]),
                "kcat": lambda: to_file(
                    ["kcat", "-q", "-e", "-b", bench.bootstrap, "-X", "auto.offset.reset=earliest", "-G",
                     f"bench-{next(fresh)}", topic]),
            }
            report("consume as a fresh group", rounds(bench, with_group))
            first_record(bench, topic, fresh)
        bench.drop(topic)


def first_record(bench, topic, fresh):
    """From the start of the process to the first byte on its stdout, for a group nobody knows yet."""
    def first(command):
        started = time.perf_counter()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        child.stdout.read(1)
        wall = time.perf_counter() - started
        child.kill()
        child.stdout.close()
        _, _, usage = os.wait4(child.pid, 0)
        child.returncode = 0
        return Sample(wall, usage.ru_utime + usage.ru_stime)

    contenders = {
        "ours": lambda: first(bench.ours("consume") + [f"first-{next(fresh)}", topic, "--max-messages", "1"]),
        "kcat": lambda: first(["kcat", "-q", "-u", "-b", bench.bootstrap, "-X", "auto.offset.reset=earliest", "-c", "1",
                               "-G", f"first-{next(fresh)}", topic]),
    }
    report("first record of a fresh group", rounds(bench, contenders), digits=3)


def latency(bench):
    """Timestamped lines at 1,000 a second into a producer's stdin; a consumer's stdout tells when they came out."""
    seconds, rate = 10, 1000
    contenders = {
        "ours": (
            lambda topic: bench.ours("produce") + [topic, "--raw", "-X", "linger.ms=0"],
            lambda topic: bench.ours("consume") + ["--no-group", topic, "-f", "%v\\n"],
        ),
        "kcat": (
            lambda topic: ["kcat", "-P", "-b", bench.bootstrap, "-t", topic, "-X", "linger.ms=0"],
            lambda topic: ["kcat", "-C", "-q", "-u", "-b", bench.bootstrap, "-t", topic],
        ),
        "java": (
            lambda topic: apache(bench, "console-producer", topic, "--producer-property", "linger.ms=0"),
            lambda topic: apache(bench, "console-consumer", topic, "--from-beginning"),
        ),
    }
    print(f"\nlatency at {rate} records a second for {seconds} s, milliseconds")
    print(f"  {'':8}{'p50':>24}{'p99':>24}{'max':>24}")
    results = {name: [] for name in contenders}
    for number in range(bench.options.rounds + 1):
        for name, (producer, consumer) in contenders.items():
            topic = bench.topic()
            delays = end_to_end(producer(topic), consumer(topic), seconds, rate)
            bench.drop(topic)
            if number > 0:
                results[name].append([delays[len(delays) // 2], delays[len(delays) * 99 // 100], delays[-1]])
    for name, found in results.items():
        print(f"  {name:8}" + "".join(f"{spread([r[i] for r in found]):>24}" for i in range(3)))


def apache(bench, tool, topic, *more):
    return ["scripts/kafka.sh", "tool", tool, "--bootstrap-server", bench.bootstrap, "--topic", topic, *more]


def end_to_end(producer, consumer, seconds, rate):
    """Sorted delays in milliseconds. What is sent before the first line came out, and a second longer, does not count."""
    reader = subprocess.Popen(consumer, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    writer = subprocess.Popen(producer, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wanted, delays, flowing = rate * seconds, [], threading.Event()

    def receive():
        while len(delays) < wanted:
            line = reader.stdout.readline()
            now = time.perf_counter_ns()
            if not line:
                return
            flowing.set()
            sent, counts, _ = line.split()
            if int(counts):
                delays.append((now - int(sent)) / 1e6)

    receiver = threading.Thread(target=receive)
    receiver.start()
    padding = "x" * 80
    start = due = time.perf_counter()
    left = wanted + rate
    while left > 0 and due - start < 60:
        due += 1 / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        writer.stdin.write(f"{time.perf_counter_ns()} {int(left <= wanted)} {padding}\n".encode())
        writer.stdin.flush()
        left -= flowing.is_set()
    writer.stdin.close()
    writer.wait(30)
    receiver.join(30)
    reader.terminate()
    reader.wait()
    if len(delays) != wanted:
        sys.exit(f"{' '.join(consumer)}: {len(delays)} of {wanted} records came out")
    return sorted(delays)


def startup(bench):
    for _ in range(5):
        bench.topic()
    contenders = {
        "ours": lambda: measure(bench.ours("admin") + ["list-topics"]),
        "kcat": lambda: measure(["kcat", "-L", "-b", bench.bootstrap]),
    }
    report("list topics", rounds(bench, contenders), digits=3)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    benchmarks = {"produce": produce, "consume": consume, "latency": latency, "startup": startup}
    parser.add_argument("what", choices=benchmarks)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--lines", type=int, default=2_000_000)
    for required in ("--bootstrap", "--programs", "--work"):
        parser.add_argument(required, required=True)
    options = parser.parse_args()
    options.rounds = options.rounds or {"startup": 20, "latency": 3}.get(options.what, 5)
    benchmarks[options.what](Bench(options))


if __name__ == "__main__":
    main()
