//! A terminal for a program under test: typed into and read as a person would, escape sequences interpreted.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::num::NonZero;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread::spawn;
use std::time::{Duration, Instant};

use pty_process::blocking::{Command, open};

use crate::program::binary;
use crate::signal::Signal;

const ROWS: NonZero<u16> = NonZero::new(50).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(120).unwrap();
/// Lines that scrolled off are kept up to this many.
const SCROLLBACK: usize = 2000;

/// One of our programs on a terminal of 50 lines and 120 columns.
pub struct Terminal {
    child: Child,
    keyboard: Arc<pty_process::blocking::Pty>,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    screen: vt100::Parser,
    raw: Vec<u8>,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("pid", &self.child.id()).field("screen", &self.screen()).finish()
    }
}

impl Terminal {
    /// Starts one of our programs by name, with `environment` set besides the inherited one.
    pub fn start<A: AsRef<OsStr>>(
        name: &str,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = std::process::Command::new(binary(name));
        command.args(arguments).envs(environment.iter().copied());
        Self::start_command(&command)
    }

    /// Starts any command: its program, arguments, folder and environment are taken over.
    pub fn start_command(command: &std::process::Command) -> Self {
        let (pty, pts) = open().expect("the system has pseudo-terminals");
        pty.resize(pty_process::Size::new(ROWS.get(), COLUMNS.get())).expect("a terminal has a size");
        let mut on_pty = Command::new(command.get_program()).args(command.get_args()).env("TERM", "xterm");
        for (key, value) in command.get_envs() {
            on_pty = match value {
                Some(value) => on_pty.env(key, value),
                None => on_pty.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            on_pty = on_pty.current_dir(folder);
        }
        let child = on_pty.spawn(pts).unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let screen = vt100::Parser::new(ROWS, COLUMNS, SCROLLBACK);
        let seen = Arc::new(Mutex::new(Seen { screen, raw: Vec::new() }));
        let keyboard = Arc::new(pty);
        let (display, into) = (Arc::clone(&keyboard), Arc::clone(&seen));
        spawn(move || {
            let mut chunk = [0; 4096];
            // The end of the program is the end of the terminal: an error on Linux, no bytes elsewhere.
            while let Ok(length @ 1..) = (&*display).read(&mut chunk) {
                let mut seen = into.lock().unwrap();
                seen.screen.process(&chunk[..length]);
                seen.raw.extend_from_slice(&chunk[..length]);
            }
        });
        Self { child, keyboard, seen }
    }

    /// Types `text` as it stands. Enter is `\r`, Ctrl-C `\x03`, Ctrl-D `\x04`, Tab `\t`, Up `\x1b[A`.
    pub fn type_text(&mut self, text: &str) {
        (&*self.keyboard).write_all(text.as_bytes()).expect("the terminal takes what is typed");
    }

    /// Types a line and Enter.
    pub fn type_line(&mut self, line: &str) {
        self.type_text(&format!("{line}\r"));
    }

    /// Ctrl-C.
    pub fn control_c(&mut self) {
        self.type_text("\x03");
    }

    /// Ctrl-D.
    pub fn control_d(&mut self) {
        self.type_text("\x04");
    }

    /// What a person sees now: trailing blanks and empty lines left out.
    pub fn screen(&self) -> String {
        self.seen.lock().unwrap().screen.screen().contents()
    }

    /// Every byte the program sent to the terminal, escape sequences included.
    pub fn raw(&self) -> Vec<u8> {
        self.seen.lock().unwrap().raw.clone()
    }

    /// Waits until the screen shows `text`.
    ///
    /// # Panics
    /// After `limit`, showing the screen.
    pub fn expect(&self, text: &str, limit: Duration) {
        let deadline = Instant::now() + limit;
        while !self.screen().contains(text) {
            assert!(
                Instant::now() < deadline,
                "waited {limit:?} for {text:?}; the screen:\n{}",
                self.screen()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) {
        signal.send(self.child.id());
    }

    /// Waits for the end of the program: its exit code, none where a signal ended it.
    ///
    /// # Panics
    /// After `limit`, showing the screen.
    pub fn finish(&mut self, limit: Duration) -> Option<i32> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "did not end in {limit:?}; the screen:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail when it has ended by itself, which is what a test wants.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
