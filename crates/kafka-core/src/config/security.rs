//! From the `ssl.*` and `sasl.*` properties to what the wire needs. Files are read here, once, when a client is made.

mod certificates;
mod jaas;
mod pkcs12;
mod sasl;
mod tls;

use super::{Config, property};
use crate::error::Result;
use crate::wire::Security;

/// Encryption and authentication as `security.protocol` asks for them.
pub(crate) fn read(config: &Config) -> Result<Security> {
    let protocol = config.get(property::SECURITY_PROTOCOL);
    let tls = if protocol.ends_with("SSL") { Some(tls::read(config)?) } else { None };
    let sasl = if protocol.starts_with("SASL") { Some(sasl::read(config)?) } else { None };
    Ok(Security { tls, sasl })
}
