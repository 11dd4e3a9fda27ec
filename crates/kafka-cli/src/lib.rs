//! What the Kafka tools share: connection flags, profiles, formats, tables, exit codes, progress.
