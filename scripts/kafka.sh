#!/usr/bin/env bash
# A real Apache Kafka (KRaft) on this machine, for tests and benchmarks. `scripts/kafka.sh help` says how.
# Where Kafka comes from is in kafka/runtime.sh, what a node is told in kafka/config.sh, certificates and users in
# kafka/security.sh, Apache's own tools in kafka/tools.sh. Data goes to stdout, everything else to stderr.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
KAFKA_VERSION=4.1.0
RUN_ROOT=${KAFKA_RUN_DIR:-${TMPDIR:-/tmp}/kafka-sh.$(id -u)}
CACHE_ROOT=${XDG_CACHE_HOME:-$HOME/.cache}/kafka-sh/$KAFKA_VERSION
START_TIMEOUT_S=${KAFKA_START_TIMEOUT:-120}
STOP_TIMEOUT_S=20

say() { printf 'kafka.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
usage_error() { say "$*"; say "try: scripts/kafka.sh help"; exit 2; }

# shellcheck source=kafka/runtime.sh
. "$here/kafka/runtime.sh"
# shellcheck source=kafka/config.sh
. "$here/kafka/config.sh"
# shellcheck source=kafka/security.sh
. "$here/kafka/security.sh"
# shellcheck source=kafka/tools.sh
. "$here/kafka/tools.sh"

help() {
  cat <<EOF
A real Apache Kafka $KAFKA_VERSION (KRaft, broker and controller in one process per node) on this machine.

  scripts/kafka.sh up [--nodes N] [--port P|--free-ports] [--tls] [--sasl] [--proxied] [--set KEY=VALUE] [--owner PID]
                                   start a cluster, wait until it answers, print its bootstrap address
  scripts/kafka.sh status          name, addresses, one line per node and per listener (exit 1: nothing runs)
  scripts/kafka.sh down            stop and forget what 'up' started, and nothing else
  scripts/kafka.sh kill|stop|start|freeze|thaw NODE
                                   SIGKILL, SIGTERM and wait, start again and wait, SIGSTOP, SIGCONT
  scripts/kafka.sh list            names of the clusters that exist
  scripts/kafka.sh tool NAME ...   one of Apache's own tools (topics, console-producer, consumer-groups, ...)
  scripts/kafka.sh fetch           get Kafka without starting it

Options for every verb:  --name NAME  the cluster meant (default: default); several can run at once.
Options of up:
  --nodes N        1 (default) or more; from three on: replication 3 and min.insync.replicas 2
  --port P         first node's port (default 9092), the next nodes' follow; all other ports are free ones
  --free-ports     free ports throughout
  --tls            listeners SSL, MTLS (client certificate required), EXPIRED and WRONGNAME (bad certificates)
  --sasl           listener SASL_PLAINTEXT (and SASL_SSL with --tls), users admin, alice, bob, ACLs enforced
  --proxied        a listener PROXIED per node that advertises a port where nothing listens yet: a proxy of a
                   test listens there and passes on to the real one ('proxy NODE ADVERTISED REAL' in status)
  --set KEY=VALUE  a line for every server.properties (repeatable; the last one wins); {node} is the node's number
  --owner PID      stop the cluster when that process ends, however it ends

Kafka comes from the apache/kafka image where a Docker engine answers, else from Maven Central (Java 17 and Maven),
else from KAFKA_HOME. KAFKA_RUNTIME=docker|maven|home decides it by hand. Jars are kept in
$CACHE_ROOT, clusters in $RUN_ROOT.
EOF
}

# Options common to all verbs are taken out here; what is left stays in "$@" of the verb.
name=default nodes=1 port=9092 tls=0 sasl=0 proxied=0 owner='' settings=()
parse() {
  rest=()
  while (($#)); do
    case $1 in
      --name | --nodes | --port | --set | --owner) (($# > 1)) || usage_error "$1 needs a value" ;;&
      --name) name=$2; shift 2 ;;
      --nodes) nodes=$2; shift 2 ;;
      --port) port=$2; shift 2 ;;
      --free-ports) port=0; shift ;;
      --tls) tls=1; shift ;;
      --sasl) sasl=1; shift ;;
      --proxied) proxied=1; shift ;;
      --set) settings+=("$2"); shift 2 ;;
      --owner) owner=$2; shift 2 ;;
      -h | --help) help; exit 0 ;;
      -*) usage_error "unknown option $1" ;;
      *) rest+=("$1"); shift ;;
    esac
  done
  [[ $name =~ ^[A-Za-z0-9_-]+$ ]] || usage_error "--name may hold letters, digits, - and _"
  [[ $nodes =~ ^[1-9]$ ]] || usage_error "--nodes is 1 to 9"
  [[ $port =~ ^[0-9]{1,5}$ ]] || usage_error "--port is a number"
  dir=$RUN_ROOT/$name
}

load() {
  [[ -f $dir/cluster.env ]] || die "no cluster named '$name' (scripts/kafka.sh list)"
  # shellcheck disable=SC1091
  . "$dir/cluster.env"
}

check_node() {
  [[ ${1:-} =~ ^[1-9]$ ]] && (($1 <= nodes)) || usage_error "which node? 1 to $nodes"
}

bootstrap() {
  local i out=()
  for ((i = 1; i <= nodes; i++)); do out+=("127.0.0.1:$(port_of PLAINTEXT "$i")"); done
  (IFS=,; printf '%s\n' "${out[*]}")
}

up() {
  if [[ -f $dir/cluster.env ]]; then
    (load; for ((i = 1; i <= nodes; i++)); do node_alive "$i" || exit 1; done) && {
      load; say "'$name' is up already"; bootstrap; return; }
    say "'$name' is half up or dead: taking it down first"
    down
  fi
  runtime_find
  mkdir -p "$dir"
  # From here on a failure or Ctrl-C takes down what stands already.
  trap 'say "start failed: taking it down"; down' EXIT
  trap 'exit 130' INT TERM
  printf 'nodes=%q tls=%q sasl=%q proxied=%q runtime=%q cluster_id=%q\n' \
    "$nodes" "$tls" "$sasl" "$proxied" "$runtime" "$(new_cluster_id)" >"$dir/cluster.env"
  load
  ports_choose
  ((tls)) && security_make_certificates
  local i
  for ((i = 1; i <= nodes; i++)); do
    mkdir -p "$dir/node-$i"
    config_write "$i" >"$dir/node-$i/server.properties"
  done
  security_write_client_files
  in_parallel node_format
  for ((i = 1; i <= nodes; i++)); do node_start "$i"; done
  for ((i = 1; i <= nodes; i++)); do node_wait_ready "$i"; done
  [[ -z $owner ]] || watch_owner
  trap - EXIT INT TERM
  bootstrap
}

in_parallel() {
  local i pids=() pid
  for ((i = 1; i <= nodes; i++)); do "$1" "$i" & pids+=($!); done
  for pid in "${pids[@]}"; do wait "$pid"; done
}

# The cluster ends with the process that asked for it, even when that one is killed.
watch_owner() {
  setsid bash -c 'while kill -0 "$1" 2>/dev/null; do sleep 1; done; exec "$2" down --name "$3"' \
    watch_owner "$owner" "$here/kafka.sh" "$name" </dev/null >/dev/null 2>&1 9>&- &
  echo $! >"$dir/owner.pid"
}

down() {
  trap - EXIT INT TERM
  [[ -d $dir ]] || { say "nothing named '$name' runs"; return 0; }
  if [[ -f $dir/cluster.env ]]; then
    load
    local i
    for ((i = 1; i <= nodes; i++)); do node_signal KILL "$i"; done
    for ((i = 1; i <= nodes; i++)); do node_wait_gone "$i" || say "node $i does not end"; done
    ports_release
  fi
  [[ -f $dir/owner.pid ]] && [[ $(<"$dir/owner.pid") != "$$" ]] && kill "$(<"$dir/owner.pid")" 2>/dev/null
  rm -rf "$dir"
}

status() {
  load
  local i alive=0 listener
  printf 'name %s\nrun %s\nruntime %s\nbootstrap %s\n' "$name" "$dir" "$runtime" "$(bootstrap)"
  for ((i = 1; i <= nodes; i++)); do
    printf 'node %s %s %s 127.0.0.1:%s\n' "$i" "$(node_pid "$i")" "$(node_state "$i")" "$(port_of PLAINTEXT "$i")"
    if node_alive "$i"; then alive=1; fi
  done
  for listener in $(listeners); do
    printf 'listener %s localhost:%s\n' "$listener" "$(port_of "$listener" 1)"
  done
  if ((proxied)); then
    for ((i = 1; i <= nodes; i++)); do printf 'proxy %s %s %s\n' "$i" "$(port_of PROXY "$i")" "$(port_of PROXIED "$i")"; done
  fi
  security_list_files
  ((alive))
}

node_verb() {
  load
  local verb=$1 node=${2:-}
  check_node "$node"
  case $verb in
    kill) node_signal KILL "$node"; node_wait_gone "$node" ;;
    stop) node_signal TERM "$node"; node_wait_gone "$node" || die "node $node did not stop in $STOP_TIMEOUT_S s" ;;
    start) node_alive "$node" || { runtime_use; node_start "$node"; node_wait_ready "$node"; } ;;
    freeze) node_signal STOP "$node" ;;
    thaw) node_signal CONT "$node" ;;
  esac
}

list() { local d; for d in "$RUN_ROOT"/*/cluster.env; do [[ -f $d ]] && basename "$(dirname "$d")"; done; return 0; }

verb=${1:-help}
(($#)) && shift
case $verb in
  tool) tool "$@" ;;
  help | -h | --help) help ;;
  up | down | status | list | fetch | kill | stop | start | freeze | thaw)
    parse "$@"
    case $verb in
      up | down | status | list) ((${#rest[@]} == 0)) || usage_error "'$verb' takes no '${rest[0]}'"; "$verb" ;;
      fetch) runtime_find; say "runtime: $runtime" ;;
      *) node_verb "$verb" "${rest[@]}" ;;
    esac ;;
  *) usage_error "unknown verb '$verb'" ;;
esac
