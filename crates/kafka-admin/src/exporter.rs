//! Lag as a Prometheus exporter: `/metrics` over plain HTTP, measured anew for each request.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use kafka_cli::Exit;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::commands::lag::measure;
use crate::context::{Context, note};
use crate::group_state::PartitionLag;
use crate::report::Tally;

/// The longest request head that is read.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// How long a client may take to ask.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Serves until the user stops it.
pub(crate) async fn serve(context: &Context, address: &str, groups: &[String], age: bool) -> Result<Exit> {
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("--prometheus-listen {address}"))?;
    context.go_on_until_stopped();
    note(&format!("serving http://{}/metrics", listener.local_addr()?));
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = context.session.stop.requested() => return Ok(Exit::Done),
        };
        // One after the other: a scrape is a burst of requests to the cluster, and one scraper is the usual case.
        if let Ok((stream, _)) = stream {
            tokio::select! {
                _ = answer(context, stream, groups, age) => {}
                () = context.session.stop.requested() => return Ok(Exit::Done),
            }
        }
    }
}

async fn answer(context: &Context, mut stream: TcpStream, groups: &[String], age: bool) -> Result<()> {
    let mut head = Vec::new();
    let reading = async {
        while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < MAX_HEAD_BYTES {
            let mut chunk = [0; 1024];
            match stream.read(&mut chunk).await? {
                0 => break,
                read => head.extend_from_slice(&chunk[..read]),
            }
        }
        std::io::Result::Ok(())
    };
    tokio::time::timeout(PATIENCE, reading).await??;
    let (status, body) = if head.starts_with(b"GET /metrics") {
        let mut tally = Tally::default();
        match measure(context, groups, age, &mut tally).await {
            Ok(found) => ("200 OK", metrics(&found)),
            Err(error) => ("503 Service Unavailable", format!("{error:#}\n")),
        }
    } else {
        ("404 Not Found", "see /metrics\n".to_owned())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    Ok(stream.shutdown().await?)
}

/// The exposition format: a help and type line per metric, then one line per partition.
fn metrics(found: &[(String, PartitionLag)]) -> String {
    type Value = fn(&PartitionLag) -> Option<String>;
    let kinds: [(&str, &str, Value); 4] = [
        ("kafka_group_committed_offset", "Next record that the group would read.", |lag| {
            Some(lag.committed.to_string())
        }),
        ("kafka_group_end_offset", "End of the partition.", |lag| lag.end.map(|end| end.to_string())),
        ("kafka_group_lag", "Records between the two.", |lag| lag.lag.map(|lag| lag.to_string())),
        (
            "kafka_group_oldest_unread_age_seconds",
            "How long ago the oldest record that was not read was written.",
            |lag| lag.age_ms.map(|ms| format!("{}.{:03}", ms / 1000, ms % 1000)),
        ),
    ];
    let mut text = String::new();
    for (name, help, value) in kinds {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (group, lag) in found {
            if let Some(value) = value(lag) {
                let (group, topic) = (escaped(group), escaped(&lag.topic));
                let partition = lag.partition;
                let _ = writeln!(
                    text,
                    "{name}{{group=\"{group}\",topic=\"{topic}\",partition=\"{partition}\"}} {value}"
                );
            }
        }
    }
    text
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_escape_what_would_end_a_label() {
        let lag = PartitionLag {
            topic: "t".into(),
            partition: 1,
            committed: 5,
            end: Some(8),
            lag: Some(3),
            age_ms: Some(61_005),
            metadata: None,
        };
        let text = metrics(&[("g\"\n".to_owned(), lag)]);
        assert!(text.contains("kafka_group_oldest_unread_age_seconds{group=\"g\\\"\\n\",topic=\"t\",partition=\"1\"} 61.005\n"), "{text}");
        assert!(
            text.contains("kafka_group_lag{group=\"g\\\"\\n\",topic=\"t\",partition=\"1\"} 3\n"),
            "{text}"
        );
    }
}
