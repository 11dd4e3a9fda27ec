#!/usr/bin/env bash
# Every check of the project, in the order in which a mistake costs least: format, lints, docs, then all tests, with a
# real Apache Kafka of one node, of three nodes, and with TLS and SASL beside them.
#
#   scripts/test.sh            all of it; without Java or Docker the tests that need Kafka say so and are skipped
#   scripts/test.sh --quick    no real Kafka
#
# Under CI=true a real Kafka and kcat must be there. Whatever was started is stopped at the end, however it comes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

quick=0
case ${1:-} in
  '') ;;
  --quick) quick=1 ;;
  *) echo "usage: scripts/test.sh [--quick]" >&2; exit 2 ;;
esac

log=$(mktemp)
fuzz_log=$(mktemp)
clusters=()
cleanup() {
  local name
  for name in "${clusters[@]}"; do scripts/kafka.sh down --name "$name"; done
  rm -f "$log" "$fuzz_log"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

step() { printf '\n== %s (after %s s)\n' "$*" "$SECONDS"; }

# start_kafka VARIABLE NAME OPTIONS...: starts a cluster of that name and tells the tests by the variable.
start_kafka() {
  local variable=$1 name="$2-$$"
  clusters+=("$name")
  if scripts/kafka.sh up --name "$name" --free-ports --proxied --owner $$ "${@:3}"; then
    export "$variable=$name"
  elif [[ ${CI:-} == true ]]; then
    echo "a real Kafka must be there under CI=true" >&2
    exit 1
  fi
}

step format and scripts
cargo fmt --all -- --check
for script in .ci/run scripts/*.sh scripts/*/*.sh; do bash -n "$script"; done

step lints
cargo clippy --workspace --all-targets --locked -- -D warnings

step documentation
RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet

step dependencies
if cargo deny --version >/dev/null 2>&1; then
  cargo deny --locked check licenses bans sources
  # The advisory database may be out of reach; an advisory that is known here must not pass unseen.
  cargo deny --offline --locked check advisories || echo "advisories: not clean, or the database is not here" >&2
else
  echo "cargo-deny is not installed: licences and sources were not checked"
fi

step build
cargo build --workspace --all-targets --locked
export KAFKA_TEST_BUILT=1

if ((!quick)); then
  step a real Kafka
  start_kafka KAFKA_TEST_ONE_NODE test-one
  # A rack for each node, followers to be read from; and sessions as short as the tests' classic members have them, for
  # members whose session the broker decides on.
  start_kafka KAFKA_TEST_THREE_NODES test-three --nodes 3 --set 'broker.rack=rack-{node}' \
    --set replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector \
    --set group.consumer.min.session.timeout.ms=5000 --set group.consumer.session.timeout.ms=6000 \
    --set group.consumer.min.heartbeat.interval.ms=1000 --set group.consumer.heartbeat.interval.ms=2000
  # Streams groups are there for whoever asks for what is not stable yet.
  start_kafka KAFKA_TEST_SECURE test-secure --tls --sasl --set connections.max.reauth.ms=3000 \
    --set delegation.token.secret.key=for-tests-only --set unstable.api.versions.enable=true \
    --set unstable.feature.versions.enable=true --set group.coordinator.rebalance.protocols=classic,consumer,share,streams
fi

step tests
result=0
cargo test --workspace --locked --no-fail-fast 2>&1 | tee "$log" || result=1

cargo test -p kafka-compression --features zstd-c --locked 2>&1 | tee -a "$log" || result=1

# The same tests as above, which ran on the embedded broker: where the two differ, the embedded one is wrong.
if [[ -n ${KAFKA_TEST_ONE_NODE:-} ]]; then
  step conformance
  KAFKA_TEST_CONFORMANCE=apache cargo test --workspace --locked --no-fail-fast \
    --test conformance --test interop --test admin 2>&1 | tee -a "$log" || result=1
fi

if cargo +nightly fuzz --version >/dev/null 2>&1; then
  step fuzz targets
  for target in fuzz/fuzz_targets/*.rs; do
    target=$(basename "$target" .rs)
    # What is found goes to the first folder; the second one is only read.
    mkdir -p "fuzz/target/corpus/$target"
    # A line per input found says nothing to a reader, and there are thousands.
    if cargo +nightly fuzz run "$target" "$PWD/fuzz/target/corpus/$target" "$PWD/fuzz/corpus/$target" \
      -- -max_total_time=5 -rss_limit_mb=1024 >"$fuzz_log" 2>&1; then
      echo "$target: $(tail -n 1 "$fuzz_log")"
    else
      tail -n 100 "$fuzz_log"
      result=1
    fi
  done
fi

# Where only the end of this output is kept, what failed must be there.
if ((result)); then
  step what failed
  awk '/^failures:$/ { show = 1 } /^test result:/ { show = 0 } show' "$log"
  grep -E '^(error|warning: build failed)' "$log" || true
fi

# What cargo says per test binary, added up.
printf '\n'
awk '/^test result:/ { passed += $4; failed += $6; skipped += $8 }
  END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$log"
exit "$result"
