//! The prompt: one line, one record, and its acknowledgement above the line that is being typed by then.

mod commands;
mod history;
mod screen;
mod terminal;
mod words;

use std::sync::Arc;

use anyhow::{Context, Result};
use kafka_cli::Session;
use kafka_core::RecordRef;
use kafka_core::producer::ProducerTopic;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Behavior, CompletionType, Config, Editor};

use self::commands::Command;
use self::history::HistoryFile;
use self::screen::Screen;
use self::terminal::SavedTerminal;
use self::words::Words;
use crate::deliveries::Deliveries;
use crate::form::Form;
use crate::gate::{Gate, run_until_stopped};
use crate::job::Recipe;
use crate::placement::Placement;
use crate::sink::{Refusal, Sink};
use crate::voice::Voice;

const PROMPT: &str = "> ";

/// A terminal to type at, before anything is connected.
pub(crate) struct Prompt {
    editor: Editor<Words, FileHistory>,
    screen: Arc<Screen>,
    saved: SavedTerminal,
}

/// What lines are sent with; commands change it.
pub(crate) struct Typing {
    pub(crate) recipe: Recipe,
    pub(crate) topic: ProducerTopic,
    pub(crate) sink: Sink,
    pub(crate) deliveries: Deliveries,
    pub(crate) gate: Arc<Gate>,
}

impl Prompt {
    /// # Errors
    /// The terminal cannot be used.
    pub(crate) fn open(words: Words) -> Result<Self> {
        use std::io::IsTerminal;
        let saved = SavedTerminal::prepare();
        // With stdout elsewhere the terminal itself is still there to talk to.
        let stdout_is_terminal = std::io::stdout().is_terminal();
        let behavior = if stdout_is_terminal { Behavior::Stdio } else { Behavior::PreferTerm };
        let config = Config::builder()
            .behavior(behavior)
            .completion_type(CompletionType::List)
            .history_ignore_space(true)
            .history_ignore_dups(true)?
            .build();
        let mut editor = Editor::with_config(config).context("opening the terminal")?;
        let screen = Screen::new(words.repaints());
        editor.set_helper(Some(words));
        // Terminals that cannot move the cursor have no printer; there lines are just written.
        if let Ok(printer) = editor.create_external_printer() {
            screen.print_with(printer)?;
        }
        Ok(Self { editor, screen, saved })
    }

    /// Where acknowledgements are to go.
    pub(crate) fn voice(&self) -> Voice {
        let screen = Arc::clone(&self.screen);
        Voice::new(move |line| screen.say(line))
    }

    /// Reads lines until Ctrl-D, Ctrl-C or a signal.
    ///
    /// # Errors
    /// The terminal cannot be read, or nothing can be sent any more.
    pub(crate) fn run(self, session: &Session, typing: Typing) -> Result<()> {
        let Self { editor, screen, saved } = self;
        let (gate, stop) = (Arc::clone(&typing.gate), session.stop.clone());
        let lines = Lines { editor, screen: Arc::clone(&screen), history: HistoryFile::find(), typing };
        let ended = run_until_stopped(session, &gate, move || lines.run())?;
        // From here on the next Ctrl-C is the second one.
        stop.request();
        drop(saved);
        if ended.is_none() {
            // The line that was being typed.
            say("");
        }
        screen.end();
        ended.unwrap_or(Ok(()))
    }
}

struct Lines {
    editor: Editor<Words, FileHistory>,
    screen: Arc<Screen>,
    history: Option<HistoryFile>,
    typing: Typing,
}

impl Lines {
    fn run(mut self) -> Result<()> {
        if let Some(history) = &self.history {
            history.load(&mut self.editor);
        }
        loop {
            self.screen.editing(true);
            let line = self.editor.readline(PROMPT);
            self.screen.editing(false);
            let text = match line {
                Ok(text) => text,
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => return Ok(()),
                Err(error) => return Err(error).context("reading the terminal"),
            };
            let gate = Arc::clone(&self.typing.gate);
            let Some(_inside) = gate.enter() else { return Ok(()) };
            if let Some(history) = &self.history {
                history.add(&mut self.editor, &text);
            }
            // What was pasted may be several lines.
            for line in text.lines() {
                if let Some(words) = self.editor.helper_mut() {
                    words.learn(line);
                }
                self.typing.take(line)?;
            }
        }
    }
}

impl Typing {
    /// Sends a line, does what a command says, or gives a hint.
    fn take(&mut self, line: &str) -> Result<()> {
        match Command::parse(line) {
            Ok(Some(command)) => self.obey(command),
            Ok(None) => {
                return self.send(line.strip_prefix('/').filter(|_| line.starts_with("//")).unwrap_or(line));
            }
            Err(hint) => say(&hint),
        }
        Ok(())
    }

    fn send(&mut self, line: &str) -> Result<()> {
        let Recipe { form, defaults, placement } = &mut self.recipe;
        let draft = match form.read(line.as_bytes(), defaults) {
            Ok(Some(draft)) => draft,
            Ok(None) => return Ok(()),
            Err(hint) => {
                say(&hint);
                return Ok(());
            }
        };
        let partition = match placement.partition(&draft) {
            Ok(partition) => partition,
            Err(hint) => {
                say(&hint);
                return Ok(());
            }
        };
        // With a transactional id every line is a transaction.
        self.sink.begin()?;
        let outcome = self.sink.append(&self.topic, partition, draft.record);
        self.sink.commit()?;
        match outcome {
            Ok(()) | Err(Refusal::Stopped) => Ok(()),
            Err(Refusal::Record(why)) => self.refuse(&why, partition, line),
            Err(Refusal::Ended(error)) => Err(error.into()),
        }
    }

    fn refuse(&self, why: &str, partition: Option<i32>, line: &str) -> Result<()> {
        let record = RecordRef { value: Some(line.as_bytes()), ..RecordRef::default() };
        self.deliveries.note_refused(("this line", why), self.topic.name(), partition, &record)
    }

    fn obey(&mut self, command: Command) {
        let defaults = &mut self.recipe.defaults;
        match command {
            Command::Topic(None) => say(&format!("topic {}", self.topic.name())),
            Command::Topic(Some(name)) => match self.sink.topic(&name) {
                Ok(topic) => {
                    say(&format!("topic {}, {} partitions", topic.name(), topic.partitions()));
                    self.topic = topic;
                }
                Err(error) => say(&kafka_cli::exit::one_line(&error)),
            },
            Command::Key(key) => {
                say(&key.as_ref().map_or_else(|| "no key".to_owned(), |key| format!("key {key}")));
                defaults.key = key.map(String::into_bytes);
            }
            Command::Partition(None) => {
                self.recipe.placement = Placement::Partitioner;
                say("the key decides the partition");
            }
            Command::Partition(Some(partition)) => {
                if u32::try_from(partition).is_ok_and(|partition| partition < self.topic.partitions()) {
                    self.recipe.placement = Placement::Fixed(partition);
                    say(&format!("partition {partition}"));
                } else {
                    say(&format!("{} has {} partitions, from 0", self.topic.name(), self.topic.partitions()));
                }
            }
            Command::Header(None) => {
                defaults.headers.clear();
                say("no headers");
            }
            Command::Header(Some(header)) => {
                defaults.headers.push(header);
                say(&format!("{} headers with every record", defaults.headers.len()));
            }
            Command::Help => self.help(),
        }
    }

    fn help(&self) {
        let line = match &self.recipe.form {
            Form::Fields(fields) => fields.usage(),
            _ => "a line is a record".to_owned(),
        };
        for text in [&line[..], commands::HELP] {
            text.lines().for_each(say);
        }
    }
}

/// Between two lines the terminal is as everybody knows it.
fn say(line: &str) {
    Voice::stderr().say(line);
}

pub(crate) use words::Words as PromptWords;
