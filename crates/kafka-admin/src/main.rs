//! `kafka-admin`.

fn main() {}
