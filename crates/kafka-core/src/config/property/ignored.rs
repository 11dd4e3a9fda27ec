//! Names that Java's clients and librdkafka know and that change nothing here: a file is shared as it is.

use super::{Kind, PropertyInfo, Scope};

/// Rows: the client, why there is nothing to set, the names.
macro_rules! ignored {
    ($($scope:ident, $doc:literal, $($name:literal)*;)*) => {
        pub(super) const ROWS: &[&PropertyInfo] = &[$($(&PropertyInfo {
            name: $name,
            aliases: &[],
            scope: Scope::$scope,
            kind: Kind::Ignored,
            default: None,
            doc: $doc,
        },)*)*];
    };
}

ignored! {
    Client, "No effect: when all known brokers are gone, the bootstrap servers are always asked again (KIP-899).",
        "metadata.recovery.strategy";
    Client, "No effect: every address of a name is always tried (KIP-602).",
        "client.dns.lookup";
    Client, "No effect: telemetry is never sent to the broker (KIP-714).",
        "enable.metrics.push";
    Security, "No effect: the content of a store or file tells its kind; a JKS store is refused with the keytool line that converts it.",
        "ssl.truststore.type" "ssl.keystore.type";
    Security, "No effect: where the token comes from is told by which of its properties are set.",
        "sasl.oauthbearer.method";
    Producer, "No effect: delivery.timeout.ms is how long a batch is sent again; retries never duplicate or reorder.",
        "retries" "message.send.max.retries";
    Producer, "No effect: batch.size is the limit of a batch.",
        "batch.num.messages";
    Consumer, "No effect: reading never creates a topic.",
        "allow.auto.create.topics";
    Client, "No effect: names Java classes.",
        "key.serializer" "value.serializer" "key.deserializer" "value.deserializer" "interceptor.classes"
        "metric.reporters" "config.providers" "security.providers" "ssl.engine.factory.class";
    Client, "No effect: metrics of the Java clients.",
        "metrics.num.samples" "metrics.recording.level" "metrics.sample.window.ms" "auto.include.jmx.reporter";
    Client, "No effect: sockets are left to the operating system, and small requests always leave at once.",
        "send.buffer.bytes" "receive.buffer.bytes" "socket.send.buffer.bytes" "socket.receive.buffer.bytes"
        "socket.keepalive.enable" "socket.nagle.disable" "socket.max.fails" "socket.blocking.max.ms"
        "connections.max.idle.ms" "socket.connection.setup.timeout.max.ms" "reconnect.backoff.jitter.ms" "broker.address.ttl" "broker.address.family" "socket.copy.max.bytes"
        "message.copy.max.bytes" "max.in.flight.requests";
    Client, "No effect: versions are always negotiated with the broker.",
        "api.version.request" "api.version.request.timeout.ms" "api.version.fallback.ms" "broker.version.fallback"
        "allow.auto.create.topics.on.metadata" "client.software.name" "client.software.version";
    Client, "No effect: metadata is refreshed by age and whenever an error asks for it.",
        "metadata.max.idle.ms" "metadata.recovery.rebootstrap.trigger.ms" "metadata.cluster.check.enable"
        "topic.metadata.refresh.fast.interval.ms" "topic.metadata.refresh.fast.cnt" "topic.metadata.refresh.sparse"
        "topic.metadata.propagation.max.ms" "topic.blacklist" "enable.sparse.connections"
        "bootstrap.controllers";
    Client, "No effect: librdkafka's logging and internals.",
        "debug" "log_level" "log.queue" "log.thread.name" "log.connection.close" "statistics.interval.ms"
        "enable.random.seed" "internal.termination.signal" "builtin.features" "plugin.library.paths"
        "delivery.report.only.error" "enabled_events" "max.background.threads";
    Security, "No effect: this mechanism or option is not supported.",
        "sasl.kerberos.service.name" "sasl.kerberos.principal" "sasl.kerberos.kinit.cmd" "sasl.kerberos.keytab"
        "sasl.kerberos.min.time.before.relogin" "sasl.kerberos.ticket.renew.jitter"
        "sasl.kerberos.ticket.renew.window.factor" "sasl.client.callback.handler.class"
        "sasl.login.callback.handler.class" "sasl.login.class" "sasl.login.read.timeout.ms"
        "sasl.login.refresh.buffer.seconds" "sasl.login.refresh.min.period.seconds" "sasl.login.refresh.window.jitter" "sasl.login.retry.backoff.ms"
        "sasl.login.retry.backoff.max.ms" "sasl.oauthbearer.config" "enable.sasl.oauthbearer.unsecure.jwt"
        "sasl.oauthbearer.clock.skew.seconds" "sasl.oauthbearer.expected.audience"
        "sasl.oauthbearer.expected.issuer" "sasl.oauthbearer.header.urlencode"
        "sasl.oauthbearer.jwks.endpoint.refresh.ms" "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms"
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms" "sasl.oauthbearer.jwks.endpoint.url"
        "sasl.oauthbearer.scope.claim.name" "sasl.oauthbearer.sub.claim.name"
        "ssl.cipher.suites" "ssl.curves.list" "ssl.sigalgs.list" "ssl.crl.location" "ssl.provider"
        "ssl.providers" "ssl.engine.location" "ssl.engine.id" "ssl.keymanager.algorithm"
        "ssl.trustmanager.algorithm" "ssl.secure.random.implementation" "ssl.ca.certificate.stores"
        "ssl_engine_callback_data";
    Producer, "No effect here: the producer has no such knob.",
        "partitioner.adaptive.partitioning.enable" "partitioner.availability.timeout.ms" "metadata.max.idle"
        "transaction.two.phase.commit.enable" "enable.gapless.guarantee" "queue.buffering.max.messages"
        "queue.buffering.max.kbytes" "queue.buffering.backpressure.threshold" "queuing.strategy"
        "sticky.partitioning.linger.ms" "request.timeout.ms.broker" "dr_cb" "dr_msg_cb" "msg_order_cmp"
        "produce.offset.report" "auto.create.topics";
    Consumer, "No effect: what is handed out at once is one answer's records of a partition, limited in bytes.",
        "max.poll.records";
    Consumer, "No effect: checksums are always checked.",
        "check.crcs";
    Consumer, "No effect: patterns never match Kafka's own topics.",
        "exclude.internal.topics";
    Consumer, "No effect here: the consumer has no such knob.",
        "coordinator.query.interval.ms" "group.protocol.type" "enable.auto.offset.store"
        "queued.min.messages" "queued.max.messages.kbytes" "fetch.queue.backoff.ms" "fetch.error.backoff.ms"
        "enable.partition.eof" "consume.callback.max.messages" "offset.store.path"
        "offset.store.sync.interval.ms" "offset.store.method" "internal.leave.group.on.close"
        "internal.throw.on.fetch.stable.offset.unsupported" "share.acknowledgement.mode";
}
