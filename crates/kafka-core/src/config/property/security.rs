//! Encryption and authentication of every client.

use std::time::Duration;

use super::Kind::{Bool, Choice, Float, List, Millis, Secret as Hidden, Text};
use crate::config::Secret;

#[rustfmt::skip]
super::properties! { Security;
    SECURITY_PROTOCOL: &'static str = "security.protocol", Choice(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), Some("PLAINTEXT"), "Whether connections are encrypted (SSL) and authenticated (SASL); must be what the listener speaks.";
    SSL_CA_LOCATION: Option<String> = "ssl.ca.location", Text, None, "File with the certificate authorities to trust, PEM; without it and without a trust store, those of the system.";
    SSL_CA_PEM: Option<String> = "ssl.ca.pem", Text, None, "The certificate authorities to trust, as PEM text.", "ssl.truststore.certificates";
    SSL_TRUSTSTORE_LOCATION: Option<String> = "ssl.truststore.location", Text, None, "Trust store file, PEM or PKCS#12; the kind is told by its content.";
    SSL_TRUSTSTORE_PASSWORD: Option<Secret> = "ssl.truststore.password", Hidden, None, "Password of a PKCS#12 trust store.";
    SSL_KEYSTORE_LOCATION: Option<String> = "ssl.keystore.location", Text, None, "File with the client's certificate chain and private key, PEM or PKCS#12.";
    SSL_KEYSTORE_PASSWORD: Option<Secret> = "ssl.keystore.password", Hidden, None, "Password of a PKCS#12 key store.";
    SSL_KEYSTORE_CERTIFICATE_CHAIN: Option<String> = "ssl.keystore.certificate.chain", Text, None, "The client's certificate chain, as PEM text.", "ssl.certificate.pem";
    SSL_KEYSTORE_KEY: Option<Secret> = "ssl.keystore.key", Hidden, None, "The client's private key, as PEM text.", "ssl.key.pem";
    SSL_CERTIFICATE_LOCATION: Option<String> = "ssl.certificate.location", Text, None, "File with the client's certificate chain, PEM.";
    SSL_KEY_LOCATION: Option<String> = "ssl.key.location", Text, None, "File with the client's private key, PEM, encrypted or not.";
    SSL_KEY_PASSWORD: Option<Secret> = "ssl.key.password", Hidden, None, "Password of the client's private key.";
    SSL_ENDPOINT_IDENTIFICATION_ALGORITHM: &'static str = "ssl.endpoint.identification.algorithm", Choice(&["https", "none|"]), Some("https"), "https: the broker's certificate must carry the name that was connected to; none (or empty) trusts any name, which lets whoever holds any certificate of the authority stand in for the broker.";
    SSL_PROTOCOL: &'static str = "ssl.protocol", Choice(&["TLSv1.2", "TLSv1.3", "TLS"]), Some("TLS"), "The lowest TLS version to accept: TLSv1.2 or TLSv1.3; TLS means 1.2.";
    SSL_ENABLED_PROTOCOLS: Vec<String> = "ssl.enabled.protocols", List, Some("TLSv1.2,TLSv1.3"), "The TLS versions to accept.";
    ENABLE_SSL_CERTIFICATE_VERIFICATION: bool = "enable.ssl.certificate.verification", Bool, Some("true"), "false accepts any certificate: no protection against anybody on the way.";
    SASL_MECHANISM: &'static str = "sasl.mechanism", Choice(&["GSSAPI", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"]), Some("GSSAPI"), "How to authenticate: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; GSSAPI and AWS_MSK_IAM are refused with what to use instead.", "sasl.mechanisms";
    SASL_USERNAME: Option<String> = "sasl.username", Text, None, "User name for PLAIN and SCRAM.";
    SASL_PASSWORD: Option<Secret> = "sasl.password", Hidden, None, "Password for PLAIN and SCRAM.";
    SASL_JAAS_CONFIG: Option<Secret> = "sasl.jaas.config", Hidden, None, "User name and password (or OAuth client) in Java's form; PlainLoginModule, ScramLoginModule and OAuthBearerLoginModule are read.";
    SASL_OAUTHBEARER_TOKEN: Option<Secret> = "sasl.oauthbearer.token", Hidden, None, "A token to use as it is.";
    SASL_OAUTHBEARER_TOKEN_FILE: Option<String> = "sasl.oauthbearer.token.file", Text, None, "File that holds the token; read anew for every authentication.";
    SASL_OAUTHBEARER_TOKEN_COMMAND: Option<String> = "sasl.oauthbearer.token.command", Text, None, "Command whose output is the token; run anew for every authentication.";
    SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: Option<String> = "sasl.oauthbearer.token.endpoint.url", Text, None, "Where the token is fetched from with client credentials (KIP-768): http, https or file.";
    SASL_OAUTHBEARER_CLIENT_ID: Option<String> = "sasl.oauthbearer.client.id", Text, None, "Client id for the token endpoint.", "sasl.oauthbearer.client.credentials.client.id";
    SASL_OAUTHBEARER_CLIENT_SECRET: Option<Secret> = "sasl.oauthbearer.client.secret", Hidden, None, "Client secret for the token endpoint.", "sasl.oauthbearer.client.credentials.client.secret";
    SASL_OAUTHBEARER_SCOPE: Option<String> = "sasl.oauthbearer.scope", Text, None, "Scope to ask the token endpoint for.";
    SASL_OAUTHBEARER_EXTENSIONS: Vec<String> = "sasl.oauthbearer.extensions", List, Some(""), "SASL extensions to send with the token, name=value with commas (KIP-342).";
    SASL_LOGIN_CONNECT_TIMEOUT_MS: Duration = "sasl.login.connect.timeout.ms", Millis(1, 600_000), Some("10000"), "How long fetching a token may take.";
    SASL_LOGIN_REFRESH_WINDOW_FACTOR: f64 = "sasl.login.refresh.window.factor", Float(0.5, 1.0), Some("0.8"), "The part of a session's or token's lifetime after which a new one is made (KIP-368).";
}
