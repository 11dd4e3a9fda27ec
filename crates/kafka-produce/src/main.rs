//! `kafka-produce`.

fn main() {}
