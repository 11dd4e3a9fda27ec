#!/usr/bin/env bash
# Benchmarks against kcat and against the floor, interleaved on one real Kafka of its own.
#
#   scripts/bench.sh produce|consume|latency|startup|dev [--rounds N] [--lines N]
#
# produce   2,000,000 lines of about 100 bytes into six partitions: plain, lz4, keyed
# consume   the same lines to a file: plain, lz4, and as a fresh group; time to the first record of a fresh group
# latency   1,000 records a second through producer and consumer, each library with itself
# startup   listing topics
# dev       kafka-dev: its start and idle memory, and kcat writing to it and to the real Kafka in turn
#
# Figures are medians with the smallest and largest round; a ratio below 1 is better than kcat. Needs kcat, Python 3 and
# GNU time. What is measured, and how, is in bench/bench.py.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."

case ${1:-} in
  produce | consume | latency | startup | dev) what=$1 ;;
  *) sed -n '2,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
for program in kcat python3 /usr/bin/time; do
  command -v "$program" >/dev/null || { echo "bench.sh: needs $program (Debian: apt-get install kcat python3 time)" >&2; exit 1; }
done

target=${CARGO_TARGET_DIR:-target}
if [[ $what == dev ]]; then
  cargo build --release --locked --quiet -p kafka-admin -p kafka-dev
else
  cargo build --release --locked --quiet -p kafka-admin -p kafka-produce -p kafka-consume
  cargo build --release --locked --quiet -p kafka-core --example floor
fi

name=bench-$$
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/kafka-bench.XXXXXX")
trap 'scripts/kafka.sh down --name "$name"; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
# Deleted topics leave the disk at once: each round writes 200 MB per program.
bootstrap=$(KAFKA_JVM_OPTS='-Xms1g -Xmx1g' scripts/kafka.sh up --name "$name" --free-ports --owner $$ \
  --set log.segment.delete.delay.ms=1000 --set file.delete.delay.ms=1000)
if [[ $what == dev ]]; then
  shift
  apache=$(scripts/kafka.sh status --name "$name" | awk '$1 == "node" { print $3 }')
  python3 scripts/bench/dev.py "$@" --apache-pid "$apache" --bootstrap "$bootstrap" --programs "$target/release" --work "$work"
  exit
fi
python3 scripts/bench/bench.py "$@" --bootstrap "$bootstrap" --programs "$target/release" --work "$work"
