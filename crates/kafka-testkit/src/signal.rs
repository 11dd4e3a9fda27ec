//! The signals that tests send to programs of their own.

use rustix::process::{Pid, kill_process};

/// A signal, by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: what Ctrl-C sends.
    Interrupt,
    /// SIGTERM: the polite end.
    Terminate,
    /// SIGKILL: gone without a word.
    Kill,
    /// SIGSTOP: frozen, with its connections open.
    Freeze,
    /// SIGCONT: goes on after [`Signal::Freeze`].
    Thaw,
}

impl Signal {
    /// Sends it to the process `pid`, which the caller started and has not waited for yet.
    pub fn send(self, pid: u32) {
        let signal = match self {
            Self::Interrupt => rustix::process::Signal::INT,
            Self::Terminate => rustix::process::Signal::TERM,
            Self::Kill => rustix::process::Signal::KILL,
            Self::Freeze => rustix::process::Signal::STOP,
            Self::Thaw => rustix::process::Signal::CONT,
        };
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id is positive");
        kill_process(pid, signal).expect("the process is ours and not waited for");
    }
}
