//! The terminal between two lines and after the last one.
//!
//! The editor sets it for each line and sets it back behind it. What is typed in between must wait for the next line as
//! it is: neither shown nor turned into an end of input.

/// How the terminal was set; it is set so again when this is dropped.
#[derive(Debug)]
pub(super) struct SavedTerminal {
    #[cfg(unix)]
    settings: Option<nix::sys::termios::Termios>,
}

impl SavedTerminal {
    /// Prepares the terminal for an editor.
    #[cfg(unix)]
    pub(super) fn prepare() -> Self {
        use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
        let settings = tcgetattr(std::io::stdin()).ok();
        if let Some(mut quiet) = settings.clone() {
            quiet.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
            quiet.local_flags.insert(LocalFlags::NOFLSH);
            // The prompt works without, only typing ahead does not.
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &quiet);
        }
        Self { settings }
    }

    #[cfg(not(unix))]
    pub(super) fn prepare() -> Self {
        Self {}
    }
}

#[cfg(unix)]
impl Drop for SavedTerminal {
    fn drop(&mut self) {
        use nix::sys::termios::{SetArg, tcsetattr};
        if let Some(settings) = &self.settings {
            // The terminal may be gone: that is one of the reasons to end.
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, settings);
        }
    }
}
