//! `kafka-dev`.

fn main() {}
