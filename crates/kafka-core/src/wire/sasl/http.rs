//! As much of HTTP/1.1 as asking a token endpoint takes: one form posted, one bounded answer read. No redirects, so that
//! a client secret goes nowhere but to the host that was configured.

use std::fmt;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::config::Secret;
use crate::wire::transport::connect_tcp;
use crate::wire::{Address, Tls};

/// The longest answer that is read.
const MAX_ANSWER_BYTES: u64 = 1024 * 1024;

/// An `http` or `https` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    is_encrypted: bool,
    address: Address,
    /// Host and port as the `Host` header has them.
    host: String,
    path: String,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not http://host[:port]/path or https://…");
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let is_encrypted = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(wrong()),
        };
        let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
        let default_port = if is_encrypted { 443 } else { 80 };
        let is_port = |text: &str| text.parse::<u16>().is_ok();
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| is_port(port));
        let with_port = if has_port { host.to_owned() } else { format!("{host}:{default_port}") };
        if host.contains('@') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(wrong());
        }
        let address = with_port.parse().map_err(|_| wrong())?;
        Ok(Self { is_encrypted, address, host: host.to_owned(), path: format!("/{path}") })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.host, self.path)
    }
}

/// An answer's status and body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Text as a form has it.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// Posts `form`. The caller bounds the time of all of it; `connect_limit` is for the connection alone.
pub(super) async fn post_form(
    url: &Url,
    tls: Option<&Tls>,
    authorization: &Secret,
    form: &str,
    connect_limit: Duration,
) -> Result<Answer, String> {
    let tcp = connect_tcp(&url.address, connect_limit).await.map_err(|failure| failure.to_string())?;
    let request = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Accept: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{form}",
        url.path,
        url.host,
        authorization.expose(),
        form.len(),
    );
    match tls.filter(|_| url.is_encrypted) {
        Some(tls) => {
            let stream = tls.connect(tcp, &url.address.host).await.map_err(|failure| failure.to_string())?;
            exchange(stream, &request).await
        }
        None => exchange(tcp, &request).await,
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> Result<Answer, String> {
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    stream.flush().await.map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    let read = stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await;
    // Some servers end TLS without its farewell; the lengths in the answer tell whether something is missing.
    if let Err(error) = read
        && error.kind() != std::io::ErrorKind::UnexpectedEof
    {
        return Err(error.to_string());
    }
    parse(&answer)
}

fn parse(answer: &[u8]) -> Result<Answer, String> {
    let malformed = || "its answer is not HTTP".to_owned();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or_else(malformed)?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| malformed())?;
    let body = &answer[end + 4..];
    let mut lines = head.split("\r\n");
    let mut status_line = lines.next().unwrap_or_default().split(' ');
    if !status_line.next().is_some_and(|version| version.starts_with("HTTP/1.")) {
        return Err(malformed());
    }
    let status = status_line.next().and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
    let header = |name: &str| {
        head.split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    if header("transfer-encoding").is_some_and(|(_, value)| value.trim().eq_ignore_ascii_case("chunked")) {
        return Ok(Answer { status, body: unchunked(body).ok_or_else(malformed)? });
    }
    let body = match header("content-length").and_then(|(_, value)| value.trim().parse::<usize>().ok()) {
        Some(length) => body.get(..length).ok_or("its answer was cut off")?,
        None => body,
    };
    Ok(Answer { status, body: body.to_vec() })
}

/// Puts the chunks of a body together; `None` where they are malformed or cut off.
fn unchunked(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|bytes| bytes == b"\r\n")?;
        let size = std::str::from_utf8(&body[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        body = &body[end + 2..];
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(body.get(..size)?);
        body = body.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_are_read_with_their_default_ports() {
        for (text, address, path) in [
            ("http://h/token", "h:80", "/token"),
            ("https://h", "h:443", "/"),
            ("https://h:8443/a/b?c", "h:8443", "/a/b?c"),
            ("http://[::1]:1/x", "[::1]:1", "/x"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.address.to_string(), url.path.as_str()), (address.to_owned(), path));
        }
        for text in ["ftp://h/", "h/token", "http:///x", "http://u:p@h/", "http://h/a b", "http://h/\r\nX: y"]
        {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bodies_are_read_by_length_by_chunks_and_to_the_end() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}trailing",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\n{}",
        ] {
            assert_eq!(
                parse(answer.as_bytes()),
                Ok(Answer { status: 200, body: b"{}".to_vec() }),
                "{answer}"
            );
        }
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        for answer in [
            "",
            "HTTP/1.1 200",
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
        ] {
            assert!(parse(answer.as_bytes()).is_err(), "{answer}");
        }
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(encoded("a b/ü&="), "a+b%2F%C3%BC%26%3D");
    }

    proptest! {
        #[test]
        fn no_answer_whatever_makes_it_panic(tail: Vec<u8>, chunked: bool) {
            let head: &[u8] = if chunked { b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" } else { b"HTTP/1.1 " };
            let _ = parse(&[head, &tail].concat());
        }
    }
}
