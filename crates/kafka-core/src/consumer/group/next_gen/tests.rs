//! The KIP-848 machine, driven by hand: every code and every silence has a way on.
