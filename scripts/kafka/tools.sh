# Apache's own command-line tools, by the name of their script without `kafka-` and `.sh`. Sourced by kafka.sh.

tool_class() {
  case $1 in
    acls) echo org.apache.kafka.tools.AclCommand ;;
    broker-api-versions) echo org.apache.kafka.tools.BrokerApiVersionsCommand ;;
    cluster) echo org.apache.kafka.tools.ClusterTool ;;
    configs) echo kafka.admin.ConfigCommand ;;
    console-consumer) echo org.apache.kafka.tools.consumer.ConsoleConsumer ;;
    console-producer) echo org.apache.kafka.tools.ConsoleProducer ;;
    console-share-consumer) echo org.apache.kafka.tools.consumer.ConsoleShareConsumer ;;
    consumer-groups) echo org.apache.kafka.tools.consumer.group.ConsumerGroupCommand ;;
    consumer-perf-test) echo org.apache.kafka.tools.ConsumerPerformance ;;
    delegation-tokens) echo org.apache.kafka.tools.DelegationTokenCommand ;;
    delete-records) echo org.apache.kafka.tools.DeleteRecordsCommand ;;
    dump-log) echo kafka.tools.DumpLogSegments ;;
    e2e-latency) echo org.apache.kafka.tools.EndToEndLatency ;;
    features) echo org.apache.kafka.tools.FeatureCommand ;;
    get-offsets) echo org.apache.kafka.tools.GetOffsetShell ;;
    groups) echo org.apache.kafka.tools.GroupsCommand ;;
    leader-election) echo org.apache.kafka.tools.LeaderElectionCommand ;;
    log-dirs) echo org.apache.kafka.tools.LogDirsCommand ;;
    metadata-quorum) echo org.apache.kafka.tools.MetadataQuorumCommand ;;
    producer-perf-test) echo org.apache.kafka.tools.ProducerPerformance ;;
    reassign-partitions) echo org.apache.kafka.tools.reassign.ReassignPartitionsCommand ;;
    replica-verification) echo org.apache.kafka.tools.ReplicaVerificationTool ;;
    share-groups) echo org.apache.kafka.tools.consumer.group.ShareGroupCommand ;;
    storage) echo kafka.tools.StorageTool ;;
    streams-groups) echo org.apache.kafka.tools.streams.StreamsGroupCommand ;;
    topics) echo org.apache.kafka.tools.TopicCommand ;;
    transactions) echo org.apache.kafka.tools.TransactionsCommand ;;
    verifiable-consumer) echo org.apache.kafka.tools.VerifiableConsumer ;;
    verifiable-producer) echo org.apache.kafka.tools.VerifiableProducer ;;
    *) return 1 ;;
  esac
}

# tool NAME ARGUMENTS...: becomes that tool, so that signals, stdin, stdout and the exit code are its own.
tool() {
  local name=${1:-} class command
  name=${name#kafka-} name=${name%.sh}
  class=$(tool_class "$name") || usage_error "which tool? e.g. topics, console-producer, console-consumer, consumer-groups, configs, get-offsets, acls"
  shift
  runtime_find
  class_command "$class" "$@"
  exec "${command[@]}"
}
