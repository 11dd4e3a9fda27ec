//! The `sasl.*` properties: which mechanism, and who we are.

use super::jaas;
use crate::config::{Config, Secret, property};
use crate::error::{Error, Result};
use crate::wire::{Credentials, Sasl, ScramHash, TokenEndpoint, TokenSource};

pub(super) fn read(config: &Config) -> Result<Sasl> {
    let jaas = match config.get(property::SASL_JAAS_CONFIG) {
        Some(line) => Some(
            jaas::parse(line.expose()).map_err(|why| Error::Config(format!("sasl.jaas.config: {why}")))?,
        ),
        None => None,
    };
    let mechanism = config.get(property::SASL_MECHANISM);
    let credentials = match mechanism {
        "PLAIN" => {
            let (user, password) = user(config, jaas.as_ref(), mechanism, "PlainLoginModule")?;
            Credentials::Plain { user, password }
        }
        "SCRAM-SHA-256" | "SCRAM-SHA-512" => {
            let (user, password) = user(config, jaas.as_ref(), mechanism, "ScramLoginModule")?;
            let hash = if mechanism.ends_with("256") { ScramHash::Sha256 } else { ScramHash::Sha512 };
            Credentials::Scram { hash, user, password }
        }
        "OAUTHBEARER" => oauth(config, jaas.as_ref())?,
        other => return Err(unsupported(config, other)),
    };
    Ok(Sasl::new(credentials, config.get(property::SASL_LOGIN_REFRESH_WINDOW_FACTOR)))
}

fn unsupported(config: &Config, mechanism: &str) -> Error {
    let alternative = match mechanism {
        "AWS_MSK_IAM" => {
            "use SCRAM-SHA-512 (MSK keeps its users in AWS Secrets Manager) or TLS client certificates"
        }
        _ if config.is_set(&property::SASL_MECHANISM) => {
            "use SCRAM-SHA-512, OAUTHBEARER, PLAIN or TLS client certificates"
        }
        _ => {
            "it is the default where sasl.mechanism is not set: set it to PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
        }
    };
    Error::Config(format!("sasl.mechanism={mechanism} is not supported; {alternative}"))
}

/// User name and password: the JAAS line's, else the properties of their own.
fn user(
    config: &Config,
    jaas: Option<&jaas::Entry>,
    mechanism: &str,
    module: &str,
) -> Result<(String, Secret)> {
    check_module(jaas, mechanism, module)?;
    let from_jaas = |name| jaas.and_then(|entry| entry.option(name));
    let user = config
        .get(property::SASL_USERNAME)
        .or_else(|| from_jaas("username").map(|name| name.expose().to_owned()));
    let password = config.get(property::SASL_PASSWORD).or_else(|| from_jaas("password"));
    let missing = |name| Error::Config(format!("{name} is not set; sasl.mechanism={mechanism} needs it"));
    Ok((user.ok_or_else(|| missing("sasl.username"))?, password.ok_or_else(|| missing("sasl.password"))?))
}

fn check_module(jaas: Option<&jaas::Entry>, mechanism: &str, expected: &str) -> Result<()> {
    match jaas.map(jaas::Entry::module) {
        Some(module) if module != expected => Err(Error::Config(format!(
            "sasl.jaas.config names {module}; sasl.mechanism={mechanism} goes with {expected}"
        ))),
        _ => Ok(()),
    }
}

/// The first of the sources of tokens that is configured.
fn oauth(config: &Config, jaas: Option<&jaas::Entry>) -> Result<Credentials> {
    check_module(jaas, "OAUTHBEARER", "OAuthBearerLoginModule")?;
    let source = if let Some(token) = config.get(property::SASL_OAUTHBEARER_TOKEN) {
        TokenSource::Static(token)
    } else if let Some(file) = config.get(property::SASL_OAUTHBEARER_TOKEN_FILE) {
        TokenSource::File(file.into())
    } else if let Some(command) = config.get(property::SASL_OAUTHBEARER_TOKEN_COMMAND) {
        TokenSource::Command(command)
    } else if let Some(url) = config.get(property::SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL) {
        endpoint(config, jaas, &url)?
    } else if let Some(subject) = jaas.and_then(|entry| entry.option("unsecuredLoginStringClaim_sub")) {
        TokenSource::Unsecured { subject: subject.expose().to_owned() }
    } else {
        return Err(Error::Config(
            "sasl.mechanism=OAUTHBEARER needs a token: set sasl.oauthbearer.token, .token.file, .token.command or .token.endpoint.url"
                .into(),
        ));
    };
    Ok(Credentials::OAuthBearer { source, extensions: extensions(config, jaas)? })
}

fn endpoint(config: &Config, jaas: Option<&jaas::Entry>, url: &str) -> Result<TokenSource> {
    if let Some(path) = url.strip_prefix("file://") {
        return Ok(TokenSource::File(path.into()));
    }
    let from_jaas = |name| jaas.and_then(|entry| entry.option(name));
    let missing =
        |name| Error::Config(format!("{name} is not set; sasl.oauthbearer.token.endpoint.url needs it"));
    let client_id = config
        .get(property::SASL_OAUTHBEARER_CLIENT_ID)
        .or_else(|| from_jaas("clientId").map(|id| id.expose().to_owned()))
        .ok_or_else(|| missing("sasl.oauthbearer.client.id"))?;
    let client_secret = config
        .get(property::SASL_OAUTHBEARER_CLIENT_SECRET)
        .or_else(|| from_jaas("clientSecret"))
        .ok_or_else(|| missing("sasl.oauthbearer.client.secret"))?;
    let scope = config
        .get(property::SASL_OAUTHBEARER_SCOPE)
        .or_else(|| from_jaas("scope").map(|scope| scope.expose().to_owned()));
    // Only asked for where the endpoint is encrypted: then the authorities of the brokers are trusted there as well.
    let tls = if url.starts_with("https://") { Some(super::tls::read(config)?) } else { None };
    TokenEndpoint::new(
        url,
        &client_id,
        &client_secret,
        scope,
        tls,
        config.get(property::SASL_LOGIN_CONNECT_TIMEOUT_MS),
    )
    .map(TokenSource::Endpoint)
    .map_err(|why| Error::Config(format!("sasl.oauthbearer.token.endpoint.url: {why}")))
}

fn extensions(config: &Config, jaas: Option<&jaas::Entry>) -> Result<Vec<(String, String)>> {
    let mut found: Vec<_> = jaas
        .map(|entry| entry.options_after("extension_"))
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| (name, value.expose().to_owned()))
        .collect();
    for pair in config.get(property::SASL_OAUTHBEARER_EXTENSIONS) {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            Error::Config(format!("sasl.oauthbearer.extensions: {pair:?} is not name=value"))
        })?;
        found.push((name.to_owned(), value.to_owned()));
    }
    // RFC 7628: names are letters, values have no control characters; "auth" is the token's own.
    let is_wrong = |(name, value): &&(String, String)| {
        name == "auth"
            || name.is_empty()
            || !name.chars().all(|c| c.is_ascii_alphabetic())
            || value.chars().any(char::is_control)
    };
    match found.iter().find(is_wrong) {
        Some((name, _)) => Err(Error::Config(format!("the SASL extension {name:?} is not allowed"))),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_lines(lines: &str) -> Result<Sasl> {
        let mut config = Config::new();
        config.read_properties(lines, "f").unwrap();
        read(&config)
    }

    #[test]
    fn a_jaas_line_and_properties_of_their_own_give_the_same_credentials() {
        let jaas = read_lines(
            "sasl.mechanism=PLAIN\nsasl.jaas.config=a.b.PlainLoginModule required username=\"u\" password=\"p\";\n",
        );
        let own = read_lines("sasl.mechanisms=PLAIN\nsasl.username=u\nsasl.password=p\n");
        for sasl in [jaas, own] {
            let Credentials::Plain { user, password } = sasl.unwrap().credentials().clone() else {
                panic!("PLAIN was asked for")
            };
            assert_eq!((user.as_str(), password.expose()), ("u", "p"));
        }
    }

    #[test]
    fn what_is_missing_or_not_supported_is_named_with_what_to_set() {
        for (lines, expected) in [
            ("sasl.mechanism=PLAIN\nsasl.username=u", "sasl.password is not set"),
            ("sasl.username=u", "it is the default where sasl.mechanism is not set"),
            ("sasl.mechanism=GSSAPI", "use SCRAM-SHA-512, OAUTHBEARER"),
            ("sasl.mechanism=AWS_MSK_IAM", "AWS Secrets Manager"),
            ("sasl.mechanism=OAUTHBEARER", "sasl.oauthbearer.token"),
            (
                "sasl.mechanism=SCRAM-SHA-256\nsasl.jaas.config=x.PlainLoginModule required;",
                "names PlainLoginModule; sasl.mechanism=SCRAM-SHA-256 goes with ScramLoginModule",
            ),
            (
                "sasl.mechanism=OAUTHBEARER\nsasl.oauthbearer.token.endpoint.url=http://x/t",
                "sasl.oauthbearer.client.id is not set",
            ),
        ] {
            let error = read_lines(lines).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
