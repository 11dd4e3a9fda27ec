//! Records to stdout: formatted into one buffer, written in large pieces, and at once when there is nothing more to
//! format.

use std::fs::File;
use std::io::{self, IsTerminal, Write};

use kafka_cli::record_format::RecordFormat;
use kafka_cli::{Failure, PayloadFormat};
use kafka_core::consumer::RecordView;

use crate::args::{Form, OutputArgs};
use crate::internals::{self, OFFSETS_TOPIC};

/// Written when so many bytes have gathered.
const CHUNK_BYTES: usize = 128 * 1024;

/// Formats records and writes them.
#[derive(Debug)]
pub(crate) struct Output {
    format: RecordFormat,
    buffer: Vec<u8>,
    stdout: File,
    is_terminal: bool,
    /// No format was asked for, so Kafka's own topics are made readable.
    decodes_internals: bool,
}

impl Output {
    /// `group` stands before the tutorial's line.
    pub(crate) fn new(args: &OutputArgs, group: Option<&str>) -> anyhow::Result<Self> {
        let stdout = io::stdout();
        let decodes_internals = args.format.is_none() && args.output.is_none();
        let is_terminal = stdout.is_terminal();
        let mut format = RecordFormat::parse(&format_text(args, group)).map_err(Failure::usage)?;
        let pretty = if args.pretty { PayloadFormat::PrettyJson } else { PayloadFormat::Utf8 };
        let plain = if args.output == Some(Form::Hex) { PayloadFormat::Hex } else { pretty };
        let key = if plain == PayloadFormat::Hex { PayloadFormat::Hex } else { PayloadFormat::Utf8 };
        format.key = args.key_format.clone().unwrap_or(key);
        format.value = args.value_format.clone().unwrap_or(plain);
        format.for_terminal = is_terminal;
        Ok(Self {
            format,
            buffer: Vec::with_capacity(2 * CHUNK_BYTES),
            stdout: raw(&stdout)?,
            is_terminal,
            decodes_internals,
        })
    }

    /// Formats one record.
    #[inline]
    pub(crate) fn record(&mut self, topic: &str, partition: i32, record: &RecordView<'_>) {
        if self.decodes_internals && topic == OFFSETS_TOPIC {
            internals::write(&mut self.buffer, record);
        } else {
            self.format.write(&mut self.buffer, topic, partition, record);
        }
    }

    /// Formats one record into a buffer of its own, for later.
    pub(crate) fn format(&self, topic: &str, partition: i32, record: &RecordView<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.format.write(&mut bytes, topic, partition, record);
        bytes
    }

    /// Adds what was formatted already.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Writes when enough has gathered. True when everything formatted so far is written.
    pub(crate) fn write_if_full(&mut self) -> io::Result<bool> {
        if self.buffer.len() >= CHUNK_BYTES || self.is_terminal {
            self.write()?;
        }
        Ok(self.buffer.is_empty())
    }

    /// Writes everything formatted so far.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let done = self.stdout.write_all(&self.buffer);
        // After an error nobody reads any more.
        self.buffer.clear();
        done
    }

    /// Whether the reader at the other end of a pipe is gone.
    pub(crate) fn is_closed(&self) -> bool {
        is_closed(&self.stdout)
    }
}

fn format_text(args: &OutputArgs, group: Option<&str>) -> String {
    if let Some(format) = &args.format {
        return format.clone();
    }
    match args.output.unwrap_or(if group.is_some() { Form::Line } else { Form::Raw }) {
        Form::Line => {
            let group = group.unwrap_or("-").replace('%', "%%").replace('\\', r"\\");
            format!(r"{group}: [%t]: PART:%p: %v\n")
        }
        Form::Raw => r"%v\n".to_owned(),
        Form::Jsonl => r"%{json}\n".to_owned(),
        Form::Hex => r"%t[%p] @%o key %k value %v\n".to_owned(),
    }
}

/// stdout without the line buffer of the standard library.
#[cfg(unix)]
fn raw(stdout: &io::Stdout) -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(stdout.as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
fn raw(stdout: &io::Stdout) -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(stdout.as_handle().try_clone_to_owned()?))
}

#[cfg(unix)]
fn is_closed(stdout: &File) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut asked = [PollFd::new(stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut asked, Some(&at_once))
        .is_ok_and(|ready| ready > 0 && asked[0].revents().contains(PollFlags::ERR))
}

#[cfg(not(unix))]
fn is_closed(_: &File) -> bool {
    false
}
