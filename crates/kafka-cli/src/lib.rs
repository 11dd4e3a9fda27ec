//! What the Kafka tools share: connection flags, profiles, formats, tables, exit codes, progress.

mod color;
mod connection;
pub mod exit;
mod printable;
mod run;
mod runtime;
pub mod trace;
mod trouble;

pub use color::Color;
pub use connection::{ConnectionArgs, Session};
pub use exit::{Exit, Failure};
pub use printable::printable;
pub use run::run;
pub use runtime::{Runtime, Stop};
