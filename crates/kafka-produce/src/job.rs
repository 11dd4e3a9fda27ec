//! What the command line means: checked, with the defaults of the tutorial filled in.

use anyhow::Result;
use kafka_cli::record_format::unescape;
use kafka_cli::time::{now_ms, parse_time};
use kafka_cli::{ConnectionArgs, Failure};
use kafka_core::config::property;
use kafka_core::producer::Partitioner;

use crate::args::{ApacheArgs, Args, CommitRule, DEFAULT_TOPIC, InputArgs, InputForm, RecordArgs};
use crate::form::{Csv, Defaults, Fields, Form, Json, Line, Nulls, Packed, Packing, Pattern, parse_header};
use crate::input::{Cut, Sources};
use crate::pace::Rate;
use crate::placement::Placement;

/// The key of the tutorial.
const DEFAULT_KEY: &str = "location-update";
const DEFAULT_FIELDS: [&str; 2] = ["name", "location"];
const DEFAULT_ROUTE: &str = "north=0,*=1";

/// How input becomes records.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// How pieces are read.
    pub(crate) form: Form,
    /// What they get besides.
    pub(crate) defaults: Defaults,
    /// Where they go.
    pub(crate) placement: Placement,
}

/// One run.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) topic: String,
    pub(crate) recipe: Recipe,
    pub(crate) sources: Sources,
    pub(crate) cut: Cut,
    pub(crate) partitioner: Option<Partitioner>,
    pub(crate) rate: Option<Rate>,
    pub(crate) count: Option<u64>,
    pub(crate) commit_every: Option<CommitRule>,
}

/// What the flags say beyond [`Job`] goes into the properties of the client.
pub(crate) fn connection(args: &Args, is_prompt: bool) -> Result<ConnectionArgs> {
    let mut connection = args.connection.clone();
    connection.command_config = connection.command_config.or_else(|| args.apache.producer_config.clone());
    let mut set = |name: &str, value: &str| connection.property.push(format!("{name}={value}"));
    args.apache.producer_property.iter().for_each(|pair| match pair.split_once('=') {
        Some((name, value)) => set(name, value),
        None => set(pair, ""),
    });
    if let Some(acks) = &args.apache.request_required_acks {
        set("acks", acks);
    }
    if let Some(id) = &args.sending.transactional_id {
        set("transactional.id", id);
    }
    if let Some(compression) = args.sending.compression.as_ref().or(args.apache.compression_codec.as_ref()) {
        let (codec, level) = compression.split_once(':').unwrap_or((compression, ""));
        set("compression.type", codec);
        if !level.is_empty() {
            set("compression.level", level);
        }
    }
    // A person waits for each line; nothing else is to come with it.
    if is_prompt && !connection.config()?.is_set(&property::LINGER_MS) {
        connection.property.push("linger.ms=0".into());
    }
    Ok(connection)
}

impl Job {
    /// # Errors
    /// Flags that contradict each other, values that cannot be read.
    pub(crate) fn new(args: &mut Args) -> Result<Self> {
        apply_reader_properties(&args.apache, &mut args.input, &mut args.record)?;
        let topic = args.topic.clone().or_else(|| args.topic_flag.clone());
        if topic.is_none() && matches!(args.input.input, Some(InputForm::Json | InputForm::Jsonl)) {
            let hint = "the topic inside of the records is where they came from; name the one to write to";
            return Err(Failure::usage("--input json needs a TOPIC").hint(hint).into());
        }
        let form = form(&args.input).map_err(Failure::usage)?;
        let defaults = defaults(&args.record, &form).map_err(Failure::usage)?;
        let placement = placement(&args.record, &form).map_err(Failure::usage)?;
        let sources = Sources::new(&args.input.file);
        sources.check()?;
        Ok(Self {
            topic: topic.unwrap_or_else(|| DEFAULT_TOPIC.to_owned()),
            cut: cut(&args.input)?,
            recipe: Recipe { form, defaults, placement },
            sources,
            partitioner: args.record.partitioner,
            rate: args.sending.rate.as_deref().map(str::parse).transpose().map_err(Failure::usage)?,
            count: args.input.count,
            commit_every: args.sending.commit_every,
        })
    }
}

/// The names of Apache's console producer for what a line is made of.
fn apply_reader_properties(
    apache: &ApacheArgs,
    input: &mut InputArgs,
    record: &mut RecordArgs,
) -> Result<()> {
    let value = |name: &str| {
        let pairs = apache.reader_property.iter().filter_map(|pair| pair.split_once('='));
        pairs.filter(|(known, _)| *known == name).map(|(_, value)| value.to_owned()).next_back()
    };
    const KNOWN: [&str; 3] = ["parse.key", "key.separator", "null.marker"];
    for pair in &apache.reader_property {
        let name = pair.split('=').next().unwrap_or_default();
        if !KNOWN.contains(&name) {
            let hint = "properties of the client are -X name=value";
            let message = format!("--property {name}: only {} are known", KNOWN.join(", "));
            return Err(Failure::usage(message).hint(hint).into());
        }
    }
    if value("parse.key").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        input.key_separator = Some(value("key.separator").unwrap_or_else(|| "\\t".into()));
    }
    record.null_marker = record.null_marker.take().or_else(|| value("null.marker"));
    // Only the tutorial's own form has no Apache name.
    input.raw |= !apache.reader_property.is_empty() && input.fields.is_empty();
    Ok(())
}

fn form(args: &InputArgs) -> Result<Form, String> {
    let separator = args.key_separator.as_deref().map(unescape).transpose()?;
    if separator.as_ref().is_some_and(Vec::is_empty) {
        return Err("-K: the key separator is empty".into());
    }
    if let Some(format) = &args.format {
        return Ok(Form::Pattern(Pattern::parse(format).map_err(|why| format!("--format: {why}"))?));
    }
    Ok(match args.input {
        Some(InputForm::Json | InputForm::Jsonl) => Form::Json(Json::default()),
        Some(InputForm::Csv) => Form::Csv(Csv::default()),
        Some(InputForm::Hex) => Form::Packed(Packed::new(Packing::Hex, separator)),
        Some(InputForm::Base64) => Form::Packed(Packed::new(Packing::Base64, separator)),
        Some(InputForm::Lines) => Form::Line(Line { separator }),
        None if args.raw || separator.is_some() => Form::Line(Line { separator }),
        None if args.fields.is_empty() => Form::Fields(Fields::new(&DEFAULT_FIELDS.map(str::to_owned))?),
        None => Form::Fields(Fields::new(&args.fields)?),
    })
}

fn cut(args: &InputArgs) -> Result<Cut> {
    let delimiter = args.delimiter.as_deref().map(unescape).transpose().map_err(Failure::usage)?;
    match (args.input, delimiter) {
        (Some(InputForm::Json | InputForm::Csv), Some(_)) => {
            Err(Failure::usage("this --input has ends of its own; leave -D out").into())
        }
        (Some(InputForm::Json), None) => Ok(Cut::json()),
        (Some(InputForm::Csv), None) => Ok(Cut::Csv { in_quotes: false }),
        (_, Some(delimiter)) => Ok(Cut::after(delimiter)),
        (_, None) => Ok(Cut::LINES),
    }
}

fn defaults(args: &RecordArgs, form: &Form) -> Result<Defaults, String> {
    let tutorial = matches!(form, Form::Fields(_)).then(|| DEFAULT_KEY.to_owned());
    let timestamp = args.timestamp.as_deref().map(|text| parse_time(text, now_ms())).transpose()?;
    Ok(Defaults {
        key: args.key.clone().or(tutorial).map(String::into_bytes),
        headers: args.headers.iter().map(|text| parse_header(text)).collect::<Result<_, _>>()?,
        timestamp,
        nulls: Nulls { empty: args.empty_as_null, marker: args.null_marker.clone().map(String::into_bytes) },
    })
}

fn placement(args: &RecordArgs, form: &Form) -> Result<Placement, String> {
    Ok(match (args.partition, &args.route, args.partitioner, form) {
        (Some(partition), ..) => Placement::Fixed(partition),
        (None, Some(routes), ..) => Placement::Routes(routes.clone()),
        (None, None, Some(_), _) => Placement::Partitioner,
        (None, None, None, Form::Fields(fields)) if fields.has_location() => {
            Placement::Routes(DEFAULT_ROUTE.parse().map_err(|error: kafka_core::Error| error.to_string())?)
        }
        _ => Placement::Input,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn job(words: &[&str]) -> Result<Job> {
        Job::new(&mut Args::try_parse_from(["kafka-produce"].iter().chain(words))?)
    }

    fn read(words: &[&str], line: &str) -> (String, Option<i32>, Option<String>, Option<String>) {
        let mut job = job(words).unwrap();
        let recipe = &mut job.recipe;
        let draft = recipe.form.read(line.as_bytes(), &recipe.defaults).unwrap().unwrap();
        let partition = recipe.placement.partition(&draft).unwrap();
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        (job.topic, partition, text(draft.record.key), text(draft.record.value))
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn without_flags_it_is_the_tutorial() {
        let value = some(r#"{"name":"tony","location":"NORTH"}"#);
        assert_eq!(
            read(&[], "tony NORTH"),
            ("rider-updates".into(), Some(0), some("location-update"), value)
        );
        assert_eq!(read(&[], "tony west").1, Some(1));
    }

    #[test]
    fn every_detail_of_the_tutorial_is_a_flag() {
        let words =
            ["rides", "--key", "Location Updates", "--route", "south=0,*=1", "--fields", "rider,location"];
        let value = some(r#"{"rider":"tom","location":"South"}"#);
        assert_eq!(read(&words, "tom South"), ("rides".into(), Some(0), some("Location Updates"), value));
        assert_eq!(read(&["-p", "5"], "tom South").1, Some(5));
        assert_eq!(read(&["--fields", "id,amount"], "1 2").1, None);
        assert_eq!(read(&["--partitioner", "murmur2"], "tom south").1, None);
    }

    #[test]
    fn raw_lines_go_as_they_are() {
        assert_eq!(read(&["t", "--raw"], " a b "), ("t".into(), None, None, some(" a b ")));
        assert_eq!(read(&["t", "--raw", "-k", "k", "--route", "k=3"], "v").1, Some(3));
        assert_eq!(read(&["t", "-K", r"\t"], "k\tv"), ("t".into(), None, some("k"), some("v")));
    }

    #[test]
    fn apaches_spellings_mean_the_same() {
        let words = ["--topic", "t", "--property", "parse.key=true", "--property", "key.separator=:"];
        assert_eq!(read(&words, "k:v"), ("t".into(), None, some("k"), some("v")));
        assert!(job(&["--property", "max.line=3"]).is_err());
        let args = ["kafka-produce", "--compression-codec", "--producer-property", "acks=1"];
        let connection = connection(&Args::parse_from(args), false).unwrap();
        assert_eq!(connection.property, ["acks=1", "compression.type=gzip"]);
    }

    #[test]
    fn the_prompt_sends_at_once_unless_told_otherwise() {
        let properties = |words: &[&str]| {
            let args = Args::parse_from(["kafka-produce"].iter().chain(words));
            connection(&args, true).unwrap().property
        };
        assert_eq!(
            properties(&["-z", "gzip:9"]),
            ["compression.type=gzip", "compression.level=9", "linger.ms=0"]
        );
        assert_eq!(properties(&["-X", "linger.ms=9"]), ["linger.ms=9"]);
    }

    #[test]
    fn flags_that_contradict_are_refused() {
        for words in [
            &["--raw", "--fields", "a"][..],
            &["--route", "a=0", "-p", "1"],
            &["--input", "json"],
            &["t", "--input", "json", "-D", ";"],
            &["t", "-K", ""],
            &["t", "--route", "north"],
            &["t", "-H", "=x"],
            &["t", "--file", "/no/such/file"],
        ] {
            assert!(job(words).is_err(), "{words:?}");
        }
    }
}
