//! Embedded Kafka broker for learning and testing on one machine. Production is Apache Kafka.
