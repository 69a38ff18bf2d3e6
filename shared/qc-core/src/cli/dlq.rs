//! `dlq list` and `dlq show`: the same on relay and edge.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Context, Exit, Failure, Table, human_bytes, human_duration};
use crate::admin::Client;
use crate::admin::api::Reply;
use crate::admin::letters::{
    DEAD_LETTER_SCHEMA, DEAD_LETTERS_SCHEMA, DeadLetterMeta, DeadLetterRow, DeadLetters,
};
use crate::filter::{Field, Filter, Kind, Value};
use crate::model::{StreamName, Timestamp};
use crate::safe_text::safe;

/// What `--filter` of the list can ask for; a word alone looks into the reason.
const FIELDS: &[Field] = &[
    text("reason"),
    text("code"),
    text("stream"),
    text("side"),
    text("lane"),
    text("consumer"),
    text("sender"),
    text("type"),
    text("source"),
    text("class"),
    field("attempts", Kind::Number),
    field("bytes", Kind::Bytes),
    field("age", Kind::Millis),
];

const fn text(name: &'static str) -> Field {
    field(name, Kind::Text)
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}

/// Look at messages that cannot go on, with the reason
#[derive(Debug, Args)]
pub struct DlqCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the dead letters, newest first
    #[command(alias = "ls")]
    List(List),
    /// Show why one is here, and its attributes
    Show(Show),
}

#[derive(Debug, Args)]
struct List {
    /// Only messages of this stream, TENANT/NAME
    #[arg(long)]
    stream: Option<StreamName>,

    /// Only messages with this reason code
    #[arg(long, value_name = "QCnnnn", value_parser = code)]
    code: Option<String>,

    /// Only what passes this expression, such as 'consumer=sink.* & age<1h'
    #[arg(
        long,
        value_name = "EXPR",
        default_value = "",
        hide_default_value = true
    )]
    filter: String,

    /// Stop after this many
    #[arg(short = 'N', long, value_name = "COUNT", default_value_t = 50)]
    limit: usize,

    /// Go on where an earlier list ended, as it says
    #[arg(long, value_name = "BOOKMARK", value_parser = plain)]
    before: Option<String>,
}

#[derive(Debug, Args)]
struct Show {
    /// The letter's ID, as the list shows it
    #[arg(value_parser = plain)]
    id: String,

    /// Show reason, place and attributes, not the body
    #[arg(long)]
    meta: bool,
}

impl DlqCommand {
    /// Asks the running daemon and prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        match &self.verb {
            Verb::List(list) => list.run(context),
            Verb::Show(show) => show.run(context),
        }
    }
}

impl List {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let filter = Filter::parse(&self.filter, FIELDS).map_err(|error| {
            Failure::new(Exit::Usage, "QC3061", format!("--filter: {error}"))
                .detail(error.excerpt(&self.filter))
                .help(format!(
                    "{} dlq list --filter 'code=QC4207 & consumer=sink.* & age<1h'",
                    context.program.name
                ))
        })?;
        let client = context.client()?;
        let now = context.now();
        let found = context.block_on(self.find(&client, &filter, now))?;
        let headers = !context.out.no_headers();
        context.out.result(DEAD_LETTERS_SCHEMA, now, &found, || {
            table(&found.letters).render(headers)
        })?;
        if found.letters.is_empty() {
            context.out.note("no dead letters");
        }
        if let Some(next) = &found.next {
            let program = context.program.name;
            let rest = self.repeated();
            let note = format!("older ones: {program} dlq list --before {next}{rest}");
            context.out.note(&note);
        }
        Ok(())
    }

    /// The options that the next page needs again.
    fn repeated(&self) -> String {
        let quoted = |text: &String| format!("'{}'", safe(text, 1000));
        let options = [
            ("--stream", self.stream.as_ref().map(ToString::to_string)),
            ("--code", self.code.clone()),
            (
                "--filter",
                Some(&self.filter)
                    .filter(|text| !text.is_empty())
                    .map(quoted),
            ),
        ];
        let set = options
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let words =
            set.flat_map(|(name, value)| [" ".to_owned(), name.to_owned(), " ".to_owned(), value]);
        words.collect()
    }

    /// Asks for page after page until there are enough; a page never has more than are wanted, so
    /// that the bookmark of the last one is the list's.
    async fn find(
        &self,
        client: &Client,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<DeadLetters, Failure> {
        let mut found = DeadLetters {
            next: self.before.clone(),
            ..DeadLetters::default()
        };
        while found.letters.len() < self.limit {
            let left = self.limit - found.letters.len();
            let mut path = format!("/v1/dlq?limit={left}");
            let asked = [
                ("stream", self.stream.as_ref().map(ToString::to_string)),
                ("code", self.code.clone()),
                ("before", found.next.take()),
            ];
            for (name, value) in asked {
                if let Some(value) = value {
                    path.extend(["&", name, "=", value.as_str()]);
                }
            }
            let page: Reply<DeadLetters> = client.get_json(&path).await?;
            let letters = page.data.letters.into_iter();
            let passing = letters.filter(|letter| filter.matches(|name| value(letter, name, now)));
            found.letters.extend(passing);
            found.next = page.data.next;
            if found.next.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

impl Show {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let (program, id) = (context.program.name, &self.id);
        if !self.meta {
            let message = "a body is not shown without break-glass";
            return Err(Failure::new(Exit::Refused, "QC5010", message)
                .detail("Reading a body needs a reason and leaves an entry in the audit log. This version keeps no audit log yet, so it shows no body to anybody.")
                .help(format!("{program} dlq show {id} --meta    shows why it is here and its attributes")));
        }
        let client = context.client()?;
        let path = format!("/v1/dlq/{id}");
        let reply: Reply<DeadLetterMeta> = context.block_on(client.get_json(&path))?;
        let now = context.now();
        context
            .out
            .result(DEAD_LETTER_SCHEMA, now, &reply.data, || {
                meta(&reply.data, now)
            })
    }
}

fn table(letters: &[DeadLetterRow]) -> Table {
    let mut table = Table::new(&[
        "ID", "AT", "CODE", "STREAM", ">SEQ", "FOR", ">TRIES", "REASON",
    ]);
    for letter in letters {
        table.row([
            safe(&letter.id, 100),
            safe(&letter.at, 40),
            safe(&letter.code, 40),
            safe(&letter.stream, 200),
            seq(letter),
            whom(letter),
            letter.attempts.to_string(),
            format!("{}{}", safe(&letter.reason, 300), unreadable(letter)),
        ]);
    }
    table
}

/// That nobody can read the body, and why.
fn unreadable(letter: &DeadLetterRow) -> String {
    let reason = letter.body_unreadable.as_ref();
    reason.map_or_else(String::new, |reason| {
        format!("; body not readable: {}", safe(reason, 200))
    })
}

fn seq(letter: &DeadLetterRow) -> String {
    match letter.seq {
        0 => "-".to_owned(),
        seq => seq.to_string(),
    }
}

/// Who could not take it, or from whom it came.
fn whom(letter: &DeadLetterRow) -> String {
    match (&letter.consumer, &letter.sender) {
        (Some(consumer), _) => safe(consumer, 200),
        (None, Some(sender)) => format!("from {}", safe(sender, 200)),
        (None, None) => "-".to_owned(),
    }
}

fn meta(shown: &DeadLetterMeta, now: Timestamp) -> String {
    let letter = &shown.letter;
    let ago = age(letter, now).map_or_else(String::new, |age| {
        format!("  ({} ago)", human_duration(age))
    });
    let place = match letter.seq {
        0 => String::new(),
        seq => format!("  epoch {} seq {seq}", letter.epoch),
    };
    let tries = match letter.attempts {
        1 => "1 attempt".to_owned(),
        many => format!("{many} attempts"),
    };
    let mut lines = vec![
        format!(
            "{}  {} {}",
            safe(&letter.id, 100),
            safe(&letter.code, 40),
            safe(&letter.reason, 600)
        ),
        format!("  at        {}{ago}", safe(&letter.at, 40)),
        format!(
            "  stream    {} {} {}{place}",
            safe(&letter.stream, 200),
            safe(&letter.side, 20),
            safe(&letter.lane, 20)
        ),
        format!("  for       {}  {tries}", whom(letter)),
        match &letter.body_unreadable {
            Some(_) => format!(
                "  body      {}{}",
                human_bytes(letter.body_bytes),
                unreadable(letter)
            ),
            None => format!("  body      {}, not shown", human_bytes(letter.body_bytes)),
        },
        "  attributes".to_owned(),
    ];
    let widest = shown.attributes.keys().map(|name| name.chars().count());
    let width = widest.max().unwrap_or(0).min(64);
    for (name, value) in &shown.attributes {
        let value = match value {
            serde_json::Value::String(text) => safe(text, 4096),
            other => safe(&other.to_string(), 100),
        };
        lines.push(format!("    {:width$}  {value}", safe(name, 64)));
    }
    lines.join("\n")
}

fn value<'a>(letter: &'a DeadLetterRow, name: &str, now: Timestamp) -> Value<'a> {
    let text = |text: &'a Option<String>| text.as_deref().map_or(Value::Missing, Value::Text);
    match name {
        "reason" => Value::Text(&letter.reason),
        "code" => Value::Text(&letter.code),
        "stream" => Value::Text(&letter.stream),
        "side" => Value::Text(&letter.side),
        "lane" => Value::Text(&letter.lane),
        "consumer" => text(&letter.consumer),
        "sender" => text(&letter.sender),
        "type" => Value::Text(&letter.event_type),
        "source" => Value::Text(&letter.event_source),
        "class" => text(&letter.class),
        "attempts" => Value::Number(f64::from(letter.attempts)),
        "bytes" => Value::Number(float(letter.body_bytes)),
        "age" => age(letter, now).map_or(Value::Missing, |age| {
            Value::Number(age.as_secs_f64() * 1000.0)
        }),
        _ => Value::Missing,
    }
}

fn float(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn age(letter: &DeadLetterRow, now: Timestamp) -> Option<Duration> {
    Some(now.since(Timestamp::parse_rfc3339(&letter.at)?))
}

/// A reason code, in whatever case.
fn code(text: &str) -> Result<String, String> {
    let code = text.to_ascii_uppercase();
    match crate::failure::known_code(&code) {
        Some(_) => Ok(code),
        None => Err("a code is QC and four digits, such as QC4207".to_owned()),
    }
}

/// What goes into a request as it is.
fn plain(text: &str) -> Result<String, String> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-,".contains(&b);
    if !text.is_empty() && text.len() <= 4000 && text.bytes().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err("an ID is a tenant and a number, such as acme-412".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> DeadLetterRow {
        DeadLetterRow {
            id: "acme-412".to_owned(),
            at: "2026-11-21T10:00:00Z".to_owned(),
            code: "QC4207".to_owned(),
            reason: "the webhook answered 422".to_owned(),
            stream: "acme/orders".to_owned(),
            side: "out".to_owned(),
            lane: "normal".to_owned(),
            epoch: 7,
            seq: 12,
            consumer: Some("sink.hook".to_owned()),
            attempts: 1,
            event_source: "/evil\u{1b}[31m".to_owned(),
            body_bytes: 2048,
            ..DeadLetterRow::default()
        }
    }

    #[test]
    fn a_body_that_nobody_can_read_is_said_so_and_why() {
        let letter = DeadLetterRow {
            body_unreadable: Some("QC3046 the key of acme is destroyed\x1b[2J".to_owned()),
            ..letter()
        };
        let why = "body not readable: QC3046 the key of acme is destroyed";
        let list = table(std::slice::from_ref(&letter)).render(true);
        assert!(list.contains(why) && !list.contains('\x1b'), "{list}");
        let shown = DeadLetterMeta {
            letter,
            ..DeadLetterMeta::default()
        };
        let text = meta(&shown, Timestamp::from_millis(1_000_000));
        assert!(text.contains(why) && !text.contains("not shown"), "{text}");
    }

    #[test]
    fn what_is_shown_says_why_and_is_safe() {
        let now = Timestamp::parse_rfc3339("2026-11-21T10:05:00Z").unwrap();
        let shown = DeadLetterMeta {
            letter: letter(),
            attributes: [
                ("source".to_owned(), letter().event_source.into()),
                ("severitynumber".to_owned(), 9.into()),
            ]
            .into(),
        };
        assert_eq!(
            meta(&shown, now),
            "acme-412  QC4207 the webhook answered 422\n  \
               at        2026-11-21T10:00:00Z  (5m00s ago)\n  \
               stream    acme/orders out normal  epoch 7 seq 12\n  \
               for       sink.hook  1 attempt\n  \
               body      2.0 KiB, not shown\n  \
               attributes\n    \
                 severitynumber  9\n    \
                 source          /evil\\x1b[31m"
        );
    }

    #[test]
    fn the_filter_knows_every_field() {
        let now = Timestamp::parse_rfc3339("2026-11-21T10:05:00Z").unwrap();
        let letter = letter();
        let check = |expression: &str, passes: bool| {
            let filter = Filter::parse(expression, FIELDS).unwrap();
            let found = filter.matches(|name| value(&letter, name, now));
            assert_eq!(found, passes, "{expression}");
        };
        check("422", true);
        check("code=QC4207 & consumer=sink.* & age<1h & bytes>1KiB", true);
        check("age<1m | attempts>1", false);
        check("sender=edge-1*", false);
        for field in FIELDS {
            let known = value(&letter, field.name, now);
            let optional = ["sender", "class"].contains(&field.name);
            assert_eq!(known == Value::Missing, optional, "{}", field.name);
        }
    }

    #[test]
    fn what_goes_into_a_request_is_plain() {
        for (text, is_plain) in [
            ("acme-412", true),
            ("a-1,b-2", true),
            ("a/../b", false),
            ("", false),
        ] {
            assert_eq!(plain(text).is_ok(), is_plain, "{text}");
        }
        assert_eq!(code("qc4207").as_deref(), Ok("QC4207"));
        assert!(code("422").is_err());
    }
}
