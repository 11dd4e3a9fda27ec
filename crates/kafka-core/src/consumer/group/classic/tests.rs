//! The classic machine, driven by hand: every code and every silence has a way on.
