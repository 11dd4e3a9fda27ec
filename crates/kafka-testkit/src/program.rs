//! Our own built programs: found in the target folder (built first if need be), started with their output collected,
//! signalled, awaited. A program that a test forgets is killed when its handle goes.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, Once};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use crate::signal::Signal;
use crate::wait::eventually;

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// The path of one of our programs, e.g. `kafka-consume`, in the build folder of the running test. All of them are built
/// first, once per test process, so that a test never meets a stale one; `KAFKA_TEST_BUILT` says that they are.
pub fn binary(name: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    // target/PROFILE/deps/TEST-HASH: two up from the test is where the programs are.
    let test = std::env::current_exe().expect("a running program has a path");
    let folder = test.ancestors().nth(2).expect("tests run from target/PROFILE/deps");
    if std::env::var_os("KAFKA_TEST_BUILT").is_none() {
        BUILT.call_once(|| build(folder));
    }
    folder.join(name)
}

fn build(folder: &Path) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--workspace", "--bins"]).current_dir(repository());
    cargo.env("CARGO_TARGET_DIR", folder.parent().expect("a profile folder has a parent"));
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo runs").success(), "cargo build --workspace --bins failed");
}

/// What a program left behind.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Its exit code, or none where a signal ended it.
    pub code: Option<i32>,
    /// All it wrote to stdout, bytes that are not UTF-8 replaced.
    pub stdout: String,
    /// All it wrote to stderr, likewise.
    pub stderr: String,
}

impl Finished {
    /// Itself, when the exit code is `code`.
    ///
    /// # Panics
    /// Otherwise, showing what the program said.
    #[must_use]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

/// A running program with pipes for stdin, stdout and stderr.
#[derive(Debug)]
pub struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Collected,
    stderr: Collected,
}

impl Program {
    /// Starts one of our programs by name.
    pub fn start<A: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new(binary(name));
        command.args(arguments);
        Self::start_command(command)
    }

    /// Starts any command, its environment and arguments as the caller set them.
    pub fn start_command(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdout = Collected::from(child.stdout.take().expect("stdout is piped"));
        let stderr = Collected::from(child.stderr.take().expect("stderr is piped"));
        Self { stdin: child.stdin.take(), child, stdout, stderr }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its stdin, which must be open still.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(bytes.as_ref()).and_then(|()| stdin.flush()).expect("the program reads its stdin");
    }

    /// The other end of its stdin, to write from another thread; closed when that is dropped.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("stdin is open")
    }

    /// Ends its stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until what it wrote to stdout satisfies `condition`.
    ///
    /// # Panics
    /// After `limit`, showing both outputs.
    pub fn wait_stdout(&mut self, limit: Duration, condition: impl Fn(&str) -> bool) {
        self.wait_output(limit, |program| condition(&program.stdout()));
    }

    /// Waits until what it wrote to stderr satisfies `condition`, as [`Self::wait_stdout`] does.
    pub fn wait_stderr(&mut self, limit: Duration, condition: impl Fn(&str) -> bool) {
        self.wait_output(limit, |program| condition(&program.stderr()));
    }

    fn wait_output(&mut self, limit: Duration, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + limit;
        while !condition(self) {
            let late = Instant::now() > deadline;
            assert!(!late, "waited {limit:?} in vain\nstdout: {}\nstderr: {}", self.stdout(), self.stderr());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The processor time it has used so far, in user and system mode, as Linux counts it.
    ///
    /// # Panics
    /// Where it has ended, or there is no `/proc`.
    pub fn cpu_time(&self) -> Duration {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("/proc knows the program");
        // Behind the name, which stands in brackets and may hold anything: utime and stime are fields 14 and 15.
        let fields = stat.rsplit_once(')').expect("the name ends").1.split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        signal.send(self.child.id());
    }

    /// Whether it runs still.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the child is ours").is_none()
    }

    /// Gives it `input` on its stdin and waits for its end, as [`Self::finish`] does. A program that ends without
    /// reading all of it is judged by its exit code, not by our broken pipe.
    pub fn finish_with_input(mut self, input: impl Into<Vec<u8>>, limit: Duration) -> Finished {
        let (mut stdin, input) = (self.take_stdin(), input.into());
        let writer = spawn(move || drop(stdin.write_all(&input)));
        let finished = self.finish(limit);
        writer.join().expect("the writer does not panic");
        finished
    }

    /// Closes its stdin and waits for its end.
    ///
    /// # Panics
    /// After `limit`, having killed it.
    pub fn finish(mut self, limit: Duration) -> Finished {
        self.stdin = None;
        let deadline = Instant::now() + limit;
        while self.is_running() {
            if Instant::now() > deadline {
                panic!("did not end in {limit:?}\nstdout: {}\nstderr: {}", self.stdout(), self.stderr());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let code = self.child.wait().expect("the child is ours").code();
        self.stdout.end();
        self.stderr.end();
        Finished { code, stdout: self.stdout.text(), stderr: self.stderr.text() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail when it has ended by itself, which is what a test wants.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs one of our programs to its end, with `input` on its stdin.
pub fn run<A: AsRef<OsStr>>(
    name: &str,
    arguments: impl IntoIterator<Item = A>,
    input: impl Into<Vec<u8>>,
    limit: Duration,
) -> Finished {
    Program::start(name, arguments).finish_with_input(input, limit)
}

/// A pipe that is read to its end in a thread of its own.
#[derive(Debug)]
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Collected {
    fn from(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&bytes);
        let reader = spawn(move || {
            let mut chunk = [0; 16 * 1024];
            while let Ok(length @ 1..) = pipe.read(&mut chunk) {
                into.lock().unwrap().extend_from_slice(&chunk[..length]);
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// Waits until all is read. A grandchild that holds the pipe open is not waited for longer than a second.
    fn end(&mut self) {
        if let Some(reader) = self.reader.take() {
            eventually("the end of the program's output", Duration::from_secs(1), || reader.is_finished());
        }
    }
}
