//! `kafka-consume`.

fn main() {}
