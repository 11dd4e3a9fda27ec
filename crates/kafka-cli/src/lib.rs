//! What the Kafka tools share: connection flags, profiles, formats, tables, exit codes, progress.

pub mod base64;
mod color;
mod configuration;
mod confirm;
mod connection;
pub mod exit;
mod msgpack;
pub mod offset_spec;
mod payload;
mod printable;
mod profile;
pub mod record_format;
pub mod record_json;
mod reference;
pub mod render;
mod run;
mod runtime;
mod suggest;
pub mod time;
pub mod trace;
mod trouble;

pub use color::Color;
pub use confirm::confirm;
pub use connection::{ConnectionArgs, Session};
pub use exit::{Exit, Failure};
pub use payload::PayloadFormat;
pub use printable::printable;
pub use profile::Profiles;
pub use run::run;
pub use runtime::{Runtime, Stop};
pub use suggest::nearest;
pub use trouble::Troubles;
