# What one node is told: listeners, ports, replication. Sourced by kafka.sh. Everything not named here stays at
# Kafka's default, so that tests meet the defaults users meet (topics are auto-created, KIP-848 and KIP-890 are on).

# Listener names of this cluster, in the order of their ports.
listeners() {
  echo PLAINTEXT
  if ((tls)); then printf '%s\n' SSL MTLS EXPIRED WRONGNAME; fi
  if ((sasl)); then echo SASL_PLAINTEXT; fi
  if ((tls && sasl)); then echo SASL_SSL; fi
  if ((proxied)); then echo PROXIED; fi
}

# Ports are claimed by a folder each, so that clusters started at the same moment do not choose the same one.
# They stay below the range the kernel hands out, so that a restarted node finds its port free.
port_claim() {
  mkdir -p "$RUN_ROOT/.ports"
  mkdir "$RUN_ROOT/.ports/$1" 2>/dev/null || return 1
  if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then rmdir "$RUN_ROOT/.ports/$1"; return 1; fi
  echo "$1" >>"$dir/ports.claimed"
}

port_claim_free() {
  local p
  for _ in {1..200}; do
    p=$((20000 + RANDOM % 12000))
    if port_claim "$p"; then echo "$p"; return; fi
  done
  die "no free port found"
}

ports_choose() {
  local i listener p
  for ((i = 1; i <= nodes; i++)); do
    for listener in CONTROLLER $(listeners) $( ((proxied)) && echo PROXY); do
      if [[ $listener == PLAINTEXT ]] && ((port)); then
        p=$((port + i - 1))
        port_claim "$p" || die "port $p is taken (--port P or --free-ports)"
      else
        p=$(port_claim_free)
      fi
      printf '%s %s %s\n' "$listener" "$i" "$p" >>"$dir/ports"
    done
  done
}

ports_release() {
  local p
  [[ -f $dir/ports.claimed ]] || return 0
  while read -r p; do rmdir "$RUN_ROOT/.ports/$p" 2>/dev/null || true; done <"$dir/ports.claimed"
}

port_of() { awk -v l="$1" -v n="$2" '$1 == l && $2 == n { print $3 }' "$dir/ports"; }

# The protocol a listener speaks; MTLS, EXPIRED, WRONGNAME and PROXIED are names of ours.
protocol_of() { case $1 in MTLS | EXPIRED | WRONGNAME) echo SSL ;; PROXIED) echo PLAINTEXT ;; *) echo "$1" ;; esac; }

join() { local IFS=,; echo "$*"; }

config_write() {
  local i=$1 l bound=() advertised=() protocols=(CONTROLLER:PLAINTEXT) voters=() replicas=1 in_sync=1 setting
  for l in $(listeners); do
    bound+=("$l://127.0.0.1:$(port_of "$l" "$i")")
    case $l in
      PLAINTEXT) advertised+=("$l://127.0.0.1:$(port_of "$l" "$i")") ;;
      PROXIED) advertised+=("$l://127.0.0.1:$(port_of PROXY "$i")") ;;
      *) advertised+=("$l://localhost:$(port_of "$l" "$i")") ;;
    esac
    protocols+=("$l:$(protocol_of "$l")")
  done
  bound+=("CONTROLLER://127.0.0.1:$(port_of CONTROLLER "$i")")
  for ((l = 1; l <= nodes; l++)); do voters+=("$l@127.0.0.1:$(port_of CONTROLLER "$l")"); done
  if ((nodes >= 3)); then replicas=3 in_sync=2; fi
  cat <<EOF
process.roles=broker,controller
node.id=$i
log.dirs=$dir/node-$i/data
listeners=$(join "${bound[@]}")
advertised.listeners=$(join "${advertised[@]}")
listener.security.protocol.map=$(join "${protocols[@]}")
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters=$(join "${voters[@]}")
default.replication.factor=$replicas
min.insync.replicas=$in_sync
offsets.topic.replication.factor=$replicas
offsets.topic.num.partitions=10
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$in_sync
transaction.state.log.num.partitions=10
share.coordinator.state.topic.replication.factor=$replicas
share.coordinator.state.topic.min.isr=$in_sync
share.coordinator.state.topic.num.partitions=10
group.initial.rebalance.delay.ms=0
EOF
  security_server_properties
  for setting in "${settings[@]}"; do echo "${setting//\{node\}/$i}"; done
}
