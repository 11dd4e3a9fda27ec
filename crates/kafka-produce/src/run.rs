//! One run from the command line to the exit code: which of prompt, stream and explanation it is, and how it ends.

use std::io::IsTerminal;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result};
use kafka_cli::{Exit, Failure, Session, Stop};
use kafka_core::config::property;
use kafka_core::producer::Partitioner;

use crate::args::{Args, CommitRule, ReportArgs};
use crate::deliveries::{Acks, Deliveries};
use crate::explain::Explainer;
use crate::failed::Failed;
use crate::form::Form;
use crate::gate::{Gate, run_until_stopped};
use crate::input::{Cut, Pieces};
use crate::job::{self, Job};
use crate::pace::Pace;
use crate::placement::Placement;
use crate::progress::{Panel, Progress};
use crate::prompt::{Prompt, PromptWords, Typing};
use crate::sink::Sink;
use crate::stream::{End, Stream};
use crate::topic;
use crate::voice::Voice;

/// A line may be this many times as large as a record: base64 and JSON take more room than what they say.
const LINE_PER_RECORD: usize = 8;

pub(crate) fn run(mut args: Args) -> Result<Exit> {
    let job = Job::new(&mut args)?;
    let is_typed = job.sources.is_stdin() && std::io::stdin().is_terminal();
    let is_prompt = is_typed && job.cut == Cut::LINES && !args.sending.explain;
    let session = job::connection(&args, is_prompt)?.start()?;
    // The id may also come from -X, a profile or a file.
    if job.commit_every.is_some() && session.client.config().get(property::TRANSACTIONAL_ID).is_none() {
        let failure = Failure::usage("--commit-every needs transactions");
        return Err(failure.hint("name them with --transactional-id ID").into());
    }
    session.client.cluster().want([job.topic.as_str().into()]);
    session.connect()?;
    let allow_create = args.sending.allow_create;
    let found = topic::find(&session, &job.topic, allow_create, job.recipe.placement.highest())?;
    if args.sending.explain {
        let partitions = u32::try_from(found.partitions.len()).unwrap_or(u32::MAX);
        return explain(&session, job, partitions);
    }
    if is_prompt { type_lines(&session, job, &args) } else { stream(&session, job, &args) }
}

fn explain(session: &Session, job: Job, partitions: u32) -> Result<Exit> {
    let configured = session.client.config().get(property::PARTITIONER).parse::<Partitioner>()?;
    let gate = Arc::new(Gate::default());
    let voice = Voice::stderr();
    let deliveries = Deliveries::new(Acks::Silent, Failed::new(None, &voice), voice);
    let limit = session.client.config().get(property::MAX_REQUEST_SIZE);
    let explainer = Explainer {
        pieces: Pieces::new(job.sources, job.cut, limit.saturating_mul(LINE_PER_RECORD)),
        recipe: job.recipe,
        topic: job.topic,
        partitions,
        partitioner: job.partitioner.unwrap_or(configured),
        gate: Arc::clone(&gate),
        deliveries: deliveries.clone(),
        left: job.count.unwrap_or(u64::MAX),
    };
    run_until_stopped(session, &gate, move || explainer.run())?.unwrap_or(Ok(()))?;
    let exit = deliveries.tally().exit();
    Ok(exit)
}

/// Where records go and what is heard of them.
struct Outlet {
    deliveries: Deliveries,
    gate: Arc<Gate>,
    sink: Sink,
}

impl Outlet {
    fn open(
        session: &Session,
        report: &ReportArgs,
        partitioner: Option<Partitioner>,
        (acks, voice): (Acks, &Voice),
    ) -> Result<Self> {
        let failed = Failed::new(report.failed_file.as_deref(), voice);
        let deliveries = Deliveries::new(acks, failed, voice.clone());
        let gate = Arc::new(Gate::default());
        let sink = Sink::open(session, partitioner, Arc::clone(&gate), deliveries.clone())?;
        Ok(Self { deliveries, gate, sink })
    }
}

fn stream(session: &Session, job: Job, args: &Args) -> Result<Exit> {
    let panel = Panel::default();
    let voice = panel.voice();
    let acks = match (args.report.output, args.report.verbose) {
        (Some(_), _) => Acks::Json,
        (None, true) => Acks::Said,
        (None, false) => Acks::Silent,
    };
    let Outlet { deliveries, gate, sink } =
        Outlet::open(session, &args.report, job.partitioner, (acks, &voice))?;
    let (progress, size) = (Arc::new(Progress::default()), job.sources.size());
    let (topic, commit_every) = (job.topic.clone(), job.commit_every);
    let stream = Stream {
        topic: sink.topic(&topic)?,
        pieces: Pieces::new(job.sources, job.cut, sink.record_limit().saturating_mul(LINE_PER_RECORD)),
        recipe: job.recipe,
        sink: sink.clone(),
        gate: Arc::clone(&gate),
        deliveries: deliveries.clone(),
        pace: job.rate.map(|rate| Pace::new(rate, Instant::now())),
        left: job.count.unwrap_or(u64::MAX),
        tee: args.report.tee,
        commit_after: match commit_every {
            Some(CommitRule::Records(records)) => Some(records),
            _ => None,
        },
        progress: Arc::clone(&progress),
    };
    let is_shown = !args.report.quiet && !args.report.verbose;
    let watch = is_shown.then(|| panel.watch(progress, size, sink.clone())).transpose()?;
    let ended = send_all(session, &sink, &gate, (stream, commit_every), &deliveries);
    if let Some(watch) = watch {
        watch.stop();
    }
    let exit = finish(&deliveries, &topic, &args.report, &voice)?;
    match ended? {
        End::Read => Ok(exit),
        End::Broken(place, error) => {
            voice.say(&format!("stopped at {place}, which was not sent"));
            Err(error.into())
        }
    }
}

/// Reads to the end, or until the user asks to stop, and waits until all that was taken has its outcome and the last
/// transaction has its end.
fn send_all(
    session: &Session,
    sink: &Sink,
    gate: &Arc<Gate>,
    (stream, commit_every): (Stream, Option<CommitRule>),
    deliveries: &Deliveries,
) -> Result<End> {
    sink.begin()?;
    let failed_commit = match commit_every {
        Some(CommitRule::Time(every)) => {
            Some(commit_in_time(sink.clone(), Arc::clone(gate), session.stop.clone(), every)?)
        }
        _ => None,
    };
    let ended = run_until_stopped(session, gate, move || stream.run())?;
    sink.flush();
    let is_whole = matches!(ended, Some(Ok(End::Read))) && deliveries.tally().is_clean();
    let transaction = match failed_commit.and_then(|failed| failed.try_recv().ok()) {
        Some(error) => Err(error),
        None => end_transaction(sink, deliveries, is_whole || commit_every.is_some()),
    };
    match ended {
        // What stopped the reading says more than what became of the transaction.
        Some(Err(error)) => Err(error),
        Some(Ok(End::Broken(place, error))) => Ok(End::Broken(place, error)),
        Some(Ok(End::Read)) | None => transaction.map(|()| End::Read),
    }
}

/// Commits what was sent since the last commit, or aborts it.
fn end_transaction(sink: &Sink, deliveries: &Deliveries, is_committed: bool) -> Result<()> {
    if !sink.is_transactional() {
        return Ok(());
    }
    if is_committed {
        return sink.commit();
    }
    sink.abort()?;
    let message = "not all of it could be sent: the transaction was aborted, none of its records is visible";
    let exit = deliveries.tally().exit();
    Err(Failure::new(if exit == Exit::Done { Exit::Failed } else { exit }, message).into())
}

/// Commits from time to time, also while no input comes. A commit that fails closes the gate, so that no record comes
/// behind it, stops the run and is what the receiver gives.
fn commit_in_time(sink: Sink, gate: Arc<Gate>, stop: Stop, every: Duration) -> Result<mpsc::Receiver<Error>> {
    let (tell, failed) = mpsc::channel();
    let commit = move || {
        loop {
            std::thread::sleep(every);
            let Some(mut is_closed) = gate.enter() else { return };
            if let Err(error) = sink.commit_and_go_on() {
                *is_closed = true;
                // Nobody listens where the run has failed already.
                let _ = tell.send(error);
                stop.request();
                return;
            }
        }
    };
    std::thread::Builder::new().name("commit".into()).spawn(commit).context("starting a thread")?;
    Ok(failed)
}

fn type_lines(session: &Session, job: Job, args: &Args) -> Result<Exit> {
    let prompt = Prompt::open(known_words(&job))?;
    let voice = prompt.voice();
    let acks = if args.report.output.is_some() { Acks::Json } else { Acks::Timed };
    let Outlet { deliveries, gate, sink } =
        Outlet::open(session, &args.report, job.partitioner, (acks, &voice))?;
    let typing = Typing {
        topic: sink.topic(&job.topic)?,
        recipe: job.recipe,
        sink: sink.clone(),
        deliveries: deliveries.clone(),
        gate,
    };
    let ended = prompt.run(session, typing);
    sink.flush();
    let exit = finish(&deliveries, &job.topic, &args.report, &voice)?;
    ended.map(|()| exit)
}

/// The words that routes know can be completed before they were typed once.
fn known_words(job: &Job) -> PromptWords {
    match (&job.recipe.form, &job.recipe.placement) {
        (Form::Fields(fields), Placement::Routes(routes)) => {
            PromptWords::new(routes.names().map(|name| (fields.routed(), name.to_owned())))
        }
        _ => PromptWords::default(),
    }
}

/// Says what there is to say when every record has its outcome.
fn finish(deliveries: &Deliveries, topic: &str, report: &ReportArgs, voice: &Voice) -> Result<Exit> {
    let told = deliveries.finish();
    let tally = deliveries.tally();
    if !report.quiet || !tally.is_clean() {
        tally.report(topic).iter().for_each(|line| voice.say(line));
    }
    let exit = tally.exit();
    drop(tally);
    match told {
        // A closed stdout is a normal end only where the records went well.
        Err(error) if exit != Exit::Done => {
            voice.say(&kafka_cli::exit::one_line(&error));
            Ok(exit)
        }
        told => told.map(|()| exit),
    }
}
