# Where Kafka comes from and how one node is run: a container, or a Java process on jars. Sourced by kafka.sh.
# Nothing here knows what stands in a node's configuration.

IMAGE=apache/kafka:$KAFKA_VERSION
JVM_OPTS=${KAFKA_JVM_OPTS:--Xms256m -Xmx512m}

# Sets `runtime`, and fetches what it needs.
runtime_find() {
  case ${KAFKA_RUNTIME:-} in
    docker | maven | home) runtime=$KAFKA_RUNTIME ;;
    '')
      if timeout 10 docker info >/dev/null 2>&1 && docker_image; then runtime=docker
      elif command -v java >/dev/null && { command -v mvn >/dev/null || [[ -d $CACHE_ROOT/libs ]]; }; then runtime=maven
      elif [[ -n ${KAFKA_HOME:-} ]]; then runtime=home
      else die "needs a Docker engine, or Java 17 with Maven, or KAFKA_HOME with Java"; fi ;;
    *) die "KAFKA_RUNTIME is docker, maven or home, not '$KAFKA_RUNTIME'" ;;
  esac
  runtime_use
}

# Sets `libs` for the runtime chosen.
runtime_use() {
  case $runtime in
    docker) docker_image || die "the image $IMAGE is not to be had" ;;
    maven) libs=$CACHE_ROOT/libs; [[ -d $libs ]] || jars_fetch ;;
    home) libs=${KAFKA_HOME:?KAFKA_HOME is not set}/libs; [[ -d $libs ]] || die "no jars in $libs" ;;
  esac
}

docker_image() {
  docker image inspect "$IMAGE" >/dev/null 2>&1 || timeout 300 docker pull -q "$IMAGE" >/dev/null 2>&1
}

# The jars appear under their final name only when all of them are there; two callers at once do no harm.
jars_fetch() {
  say "fetching Kafka $KAFKA_VERSION from Maven Central (about 55 MB, once)"
  mkdir -p "$CACHE_ROOT"
  local work
  work=$(mktemp -d "$CACHE_ROOT/fetch.XXXXXX")
  cat >"$work/pom.xml" <<EOF
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId> <artifactId>kafka-jars</artifactId> <version>1</version>
  <dependencies>
    <dependency> <groupId>org.apache.kafka</groupId> <artifactId>kafka_2.13</artifactId> <version>$KAFKA_VERSION</version> </dependency>
    <dependency> <groupId>org.apache.kafka</groupId> <artifactId>kafka-tools</artifactId> <version>$KAFKA_VERSION</version> </dependency>
    <dependency> <groupId>org.slf4j</groupId> <artifactId>slf4j-simple</artifactId> <version>1.7.36</version> </dependency>
  </dependencies>
</project>
EOF
  mvn -B -q -f "$work/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory="$work/libs" </dev/null >"$work/mvn.log" 2>&1 ||
    { tail -n 20 "$work/mvn.log" >&2; rm -rf "$work"; die "Maven could not fetch Kafka"; }
  mv -T "$work/libs" "$CACHE_ROOT/libs" 2>/dev/null || [[ -d $CACHE_ROOT/libs ]] || die "cannot write $CACHE_ROOT/libs"
  rm -rf "$work"
}

# The command line that runs a class of Kafka in the foreground, into the array `command`.
class_command() {
  if [[ $runtime == docker ]]; then
    command=(docker run --rm -i --network host -v "$RUN_ROOT:$RUN_ROOT" --entrypoint /opt/kafka/bin/kafka-run-class.sh "$IMAGE")
  else
    command=(java -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$libs/*")
  fi
  command+=("$@")
}

new_cluster_id() { head -c 16 /dev/urandom | base64 | tr '+/' 'ab' | cut -c1-22; }

node_format() {
  local scram=() command
  ((sasl)) && security_scram_arguments scram
  class_command kafka.tools.StorageTool format -t "$cluster_id" -c "$dir/node-$1/server.properties" "${scram[@]}"
  "${command[@]}" </dev/null >"$dir/node-$1/format.log" 2>&1 ||
    { tail -n 20 "$dir/node-$1/format.log" >&2; return 1; }
}

container() { echo "kafka-sh-$name-$1"; }

node_start() {
  local home=$dir/node-$1
  : >"$home/ready.mark"
  [[ -f $home/log ]] && wc -c <"$home/log" >"$home/ready.mark"
  if [[ $runtime == docker ]]; then
    docker rm -f "$(container "$1")" >/dev/null 2>&1 || true
    docker run -d --name "$(container "$1")" --network host --user "$(id -u)" -v "$RUN_ROOT:$RUN_ROOT" \
      -e KAFKA_HEAP_OPTS="$JVM_OPTS" -e LOG_DIR="$home" --entrypoint /opt/kafka/bin/kafka-server-start.sh \
      "$IMAGE" "$home/server.properties" >/dev/null
    docker logs -f "$(container "$1")" </dev/null >>"$home/log" 2>&1 &
    docker inspect -f '{{.State.Pid}}' "$(container "$1")" >"$home/pid"
  else
    # shellcheck disable=SC2086
    setsid java $JVM_OPTS -Dkafka.sh.cluster="$name" -Dorg.slf4j.simpleLogger.showDateTime=true \
      -cp "$libs/*" kafka.Kafka "$home/server.properties" </dev/null >>"$home/log" 2>&1 9>&- &
    echo $! >"$home/pid"
    start_time "$!" >"$home/born"
  fi
}

# Kafka says this only after the controller has unfenced the broker: from then on it answers.
node_wait_ready() {
  local home=$dir/node-$1 from deadline=$((SECONDS + START_TIMEOUT_S))
  from=$(<"$home/ready.mark")
  until tail -c "+$((${from:-0} + 1))" "$home/log" | grep -q 'Kafka Server started'; do
    if ! node_alive "$1" || ((SECONDS > deadline)); then
      tail -n 30 "$home/log" >&2
      say "node $1 did not start (its log: $home/log)"
      return 1
    fi
    sleep 0.1
  done
}

# Field 22 of /proc/PID/stat tells a process from a later one that got its number.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20 || true; }

node_pid() { if node_alive "$1"; then cat "$dir/node-$1/pid"; else echo -; fi; }

node_alive() {
  local home=$dir/node-$1
  [[ -s $home/pid ]] || return 1
  if [[ $runtime == docker ]]; then
    [[ $(docker inspect -f '{{.State.Running}}' "$(container "$1")" 2>/dev/null) == true ]]
  else
    kill -0 "$(<"$home/pid")" 2>/dev/null && [[ $(start_time "$(<"$home/pid")") == "$(<"$home/born")" ]]
  fi
}

node_state() {
  if ! node_alive "$1"; then echo stopped
  elif [[ $runtime == docker ]]; then
    if [[ $(docker inspect -f '{{.State.Paused}}' "$(container "$1")") == true ]]; then echo frozen; else echo running; fi
  elif [[ $(sed 's/.*) //' "/proc/$(<"$dir/node-$1/pid")/stat") == T* ]]; then echo frozen
  else echo running; fi
}

node_signal() {
  node_alive "$2" || return 0
  if [[ $runtime == docker ]]; then
    case $1 in
      STOP) docker pause "$(container "$2")" ;;
      CONT) docker unpause "$(container "$2")" ;;
      KILL) docker rm -f "$(container "$2")" ;;
      *) docker kill -s "$1" "$(container "$2")" ;;
    esac >/dev/null
  else
    kill -s "$1" "$(<"$dir/node-$2/pid")" 2>/dev/null || true
  fi
}

node_wait_gone() {
  local deadline=$((SECONDS + STOP_TIMEOUT_S))
  while node_alive "$1"; do
    ((SECONDS <= deadline)) || return 1
    sleep 0.05
  done
}
