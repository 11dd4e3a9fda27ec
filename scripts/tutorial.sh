#!/usr/bin/env bash
# Plays the tutorial's main scene by itself: a broker, a topic with two partitions, three consumers in two groups, four
# lines typed at a real prompt, and a member that leaves. Ends with exit 0 if everybody got what they should.
#
#   scripts/tutorial.sh              on kafka-dev, the embedded broker: needs nothing but Rust
#   scripts/tutorial.sh --kafka      on a real Apache Kafka (scripts/kafka.sh)
#   --profile NAME                   cargo profile to build with (default release)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

real=0 profile=release
while (($#)); do
  case $1 in
    --kafka) real=1; shift ;;
    --profile) profile=${2:?--profile needs a name}; shift 2 ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  esac
done

PORT=${TUTORIAL_PORT:-$((20000 + RANDOM % 12000))}
WAIT_S=30
topic=rider-updates
work=$(mktemp -d)
name=tutorial-$$
pids=()

cleanup() {
  local code=$?
  exec 7>&- 2>/dev/null || true
  ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
  ((${#pids[@]} == 0)) || wait "${pids[@]}" 2>/dev/null || true
  ((!real)) || scripts/kafka.sh down --name "$name" || true
  rm -rf "$work"
  exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi
chapter() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
show() { printf '%s$ %s%s\n' "$dim" "$*" "$plain"; }
die() { printf 'tutorial.sh: %s\n' "$*" >&2; tail -n 5 "$work"/*.err >&2 2>/dev/null || true; exit 1; }

# wait_for WHAT CONDITION...: until the command CONDITION succeeds.
wait_for() {
  local what=$1 deadline=$((SECONDS + WAIT_S))
  shift
  until "$@"; do ((SECONDS < deadline)) || die "waited $WAIT_S s in vain for $what"; sleep 0.05; done
}
count_is() { [[ $(grep -c "$3" "$1" || true) -ge $2 ]]; }

chapter "Building (the first time takes a few minutes)"
cargo build --profile "$profile" --locked --quiet -p kafka-admin -p kafka-produce -p kafka-consume -p kafka-dev
folder=$profile
[[ $profile == dev ]] && folder=debug
programs=$(cd "${CARGO_TARGET_DIR:-target}/$folder" && pwd)
export PATH="$programs:$PATH"

chapter "A broker"
if ((real)); then
  KAFKA_BOOTSTRAP_SERVERS=$(scripts/kafka.sh up --name "$name" --free-ports --owner $$)
  echo "Apache Kafka on $KAFKA_BOOTSTRAP_SERVERS"
else
  show kafka-dev
  kafka-dev --memory --listen "127.0.0.1:$PORT" >"$work/broker.out" 2>"$work/broker.err" &
  pids+=($!)
  KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:$PORT
  echo "kafka-dev on $KAFKA_BOOTSTRAP_SERVERS"
fi
export KAFKA_BOOTSTRAP_SERVERS
wait_for "the broker" eval 'kafka-admin list-topics >/dev/null 2>&1'

chapter "A topic with two partitions"
show kafka-admin create-topic "$topic" --partitions 2
kafka-admin create-topic "$topic" --partitions 2

chapter "Three consumers in two groups"
# consumer LABEL GROUP: starts one; its records go to LABEL.out, its rebalances to LABEL.err.
consumer() {
  show "kafka-consume $2   # $1"
  kafka-consume "$2" >"$work/$1.out" 2>"$work/$1.err" </dev/null &
  pids+=($!)
}
members_are() { [[ $(kafka-admin describe-group "$1" -o json 2>/dev/null | grep -o '"member_id"' | wc -l) -ge $2 ]]; }
consumer first user-1
first=$!
consumer second user-1
consumer third user-2
for each in first second third; do wait_for "$each's partitions" test -s "$work/$each.err"; done

chapter "Four lines at the prompt"
mkfifo "$work/keys"
prompt() {
  # A terminal of its own, so that what runs is the prompt a person gets.
  if command -v script >/dev/null && script --version >/dev/null 2>&1; then
    TERM=xterm script -qfec kafka-produce "$work/screen" >/dev/null 2>&1 <"$work/keys"
  else
    echo "(no 'script' here: the lines come through a pipe)" >&2
    kafka-produce <"$work/keys" >"$work/screen" 2>&1
  fi
}
prompt &
pids+=($!)
exec 7>"$work/keys"
sent=0
type_line() {
  printf '> %s\n' "$1"
  printf '%s\r' "$1" >&7
  sent=$((sent + 1))
  local where
  [[ ${1,,} == *north ]] && where='\[0\]' || where='\[1\]'
  wait_for "the acknowledgement of '$1'" count_is "$work/screen" 1 "$topic$where"
}
type_line "tony north"
type_line "tony south"
type_line "maria north"
type_line "maria south"

received() { cat "$work/$1.out"; }
all_received() { [[ $(cat "$work/first.out" "$work/second.out" | wc -l) -ge $1 && $(wc -l <"$work/third.out") -ge $1 ]]; }
who_got_what() {
  local each
  for each in first second third; do
    [[ $each == first && -n ${left:-} ]] && continue
    printf '%s%s consumer:%s\n' "$bold" "$each" "$plain"
    sed 's/^/  /' "$work/$each.out"
  done
}
wait_for "all lines in both groups" all_received "$sent"
chapter "Who got what: user-1 shares, user-2 gets everything"
who_got_what

chapter "The first consumer leaves (Ctrl-C); its partition goes to the second"
before=$(wc -c <"$work/second.err")
kill -INT "$first"
wait "$first" || die "the consumer should leave with exit 0"
left=1
wait_for "the hand-over" eval '(($(wc -c <"$work/second.err") > before))'
sed 's/^/  /' "$work/second.err"
type_line "tony north"
type_line "tony south"
wait_for "all lines in both groups" all_received "$sent"
who_got_what

printf '\004' >&7
exec 7>&-
chapter "Done: $sent lines typed, each read once by every group"
[[ $(cat "$work/first.out" "$work/second.out" | wc -l) == "$sent" ]] || die "user-1 read something twice"
[[ $(wc -l <"$work/third.out") == "$sent" ]] || die "user-2 read something twice"
