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
use crate::model::{NameError, StreamName, Timestamp};
use crate::safe_text::safe;
use crate::streams::{Bookmark, MAX_PAGE};

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
        let headers = context.headers();
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

    /// Asks for page after page until there are enough. With a filter they are full pages: whoever asked
    /// only for what is missing would ask once a letter where few pass.
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
            let count = if filter.is_empty() { left } else { MAX_PAGE };
            let mut path = format!("/v1/dlq?limit={count}");
            let asked = [
                ("stream", self.stream.as_ref().map(ToString::to_string)),
                ("code", self.code.clone()),
                ("before", found.next.clone()),
            ];
            for (name, value) in asked {
                if let Some(value) = value {
                    path.extend(["&", name, "=", value.as_str()]);
                }
            }
            let page: Reply<DeadLetters> = client.get_json(&path).await?;
            let DeadLetters { mut letters, next } = page.data;
            let passes = |letter: &DeadLetterRow| filter.matches(|name| value(letter, name, now));
            // where the first one stands that passes and is not wanted any more
            let mut passing = (0..).zip(&letters).filter(|(_, letter)| passes(letter));
            let end = passing.nth(left).map(|(at, _)| at);
            found.next = match end.map(|at| letters.split_off(at)) {
                Some(rest) => Some(cut(next.or(found.next).as_deref(), &letters, &rest)?),
                None => next,
            };
            found.letters.extend(letters.into_iter().filter(passes));
            if found.next.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

/// Where a list goes on that ends within a page: behind `taken`, with `rest`. Tenants of whom the page
/// says nothing go on where `known` says.
fn cut(
    known: Option<&str>,
    taken: &[DeadLetterRow],
    rest: &[DeadLetterRow],
) -> Result<String, Failure> {
    let nonsense = |error: NameError| {
        let message = "the daemon gave no valid answer to /v1/dlq";
        Failure::new(Exit::Unreachable, "QC0604", message).because(&error)
    };
    let known = known.map(str::parse).transpose();
    let mut mark: Bookmark = known.map_err(nonsense)?.unwrap_or_default();
    for letter in rest.iter().rev() {
        mark.at(letter.id.parse().map_err(nonsense)?);
    }
    for letter in taken {
        mark.behind(letter.id.parse().map_err(nonsense)?);
    }
    Ok(mark.to_string())
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
        let (path, now) = (format!("/v1/dlq/{id}"), context.now());
        let shown = context.show(&path, DEAD_LETTER_SCHEMA, |letter| meta(letter, now));
        shown.map(drop)
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

/// How long the body is, and which part of a message, if it is no whole one.
fn body(letter: &DeadLetterRow) -> String {
    let part = letter.part;
    let part = part.map_or_else(String::new, |number| {
        format!(", part {number} of a message")
    });
    format!("{}{part}", human_bytes(letter.body_bytes))
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
            Some(_) => format!("  body      {}{}", body(letter), unreadable(letter)),
            None => format!("  body      {}, not shown", body(letter)),
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::extract::Request;
    use axum::middleware::{Next, from_fn};
    use bytes::Bytes;

    use super::*;
    use crate::admin;
    use crate::clock::{ManualClock, SystemClock};
    use crate::drain::Drain;
    use crate::model::{Envelope, Epoch, Lane, Message, Seq};
    use crate::store::testing::sim::SimDisk;
    use crate::store::testing::workload::{node_key, options};
    use crate::store::{DeadLetter, DeadNote, Draft, Log, StreamKey};
    use crate::streams::{Embedded, Streams as _};

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

    /// An engine with `count` letters of two tenants in turn, of 3 attempts if their number divides by
    /// `every`, else of 1.
    async fn engine(count: u64, every: u64) -> Embedded {
        let clock = ManualClock::at(Timestamp::from_millis(1_000_000));
        let disk = Arc::new(SimDisk::default());
        let opened = Log::open(disk, &options(), node_key(), Arc::new(clock.clone()));
        let engine = Embedded::new(opened.unwrap().0, Arc::new(clock.clone()));
        let letters = (0..count).map(|number| {
            let tenant = ["acme", "rival"][usize::from(number % 2 == 1)];
            let stream = format!("{tenant}/orders").parse().unwrap();
            let message = Message {
                envelope: Envelope::new(number.to_string(), "/test", "test"),
                body: Bytes::new(),
            };
            let draft = Draft::from_message(&message, Lane::Normal);
            DeadLetter {
                note: DeadNote {
                    code: "QC4207".to_owned(),
                    reason: number.to_string(),
                    stream: StreamKey::hub(stream),
                    sender: None,
                    epoch: Epoch(1),
                    seq: Seq(number + 1),
                    consumer: "sink".to_owned(),
                    at: Timestamp::from_millis(1_000_000 + number),
                    attempts: if number % every == 0 { 3 } else { 1 },
                },
                lane: Lane::Normal,
                head: draft.head,
                body: draft.body,
                part: crate::model::Part::WHOLE,
            }
        });
        for letter in letters {
            clock.advance(Duration::from_millis(1));
            engine.bury(vec![letter]).await.unwrap();
        }
        engine
    }

    #[tokio::test]
    async fn a_list_asks_in_full_pages_and_goes_on_where_it_ended() {
        let (count, every) = (600, 9);
        let asked = Arc::new(AtomicUsize::new(0));
        let (counter, drain) = (Arc::clone(&asked), Drain::new());
        let source = admin::dlq::Source {
            streams: Arc::new(engine(count, every).await),
            clock: Arc::new(SystemClock::default()),
            node: "relay.hq.acme".parse().unwrap(),
            program: "qc-relay",
        };
        let count_it = from_fn(move |request: Request, next: Next| {
            counter.fetch_add(1, Ordering::Relaxed);
            next.run(request)
        });
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("admin.sock");
        let router = admin::dlq::router(source).layer(count_it);
        admin::serve(&socket, router, &drain, None).unwrap();
        let client = Client::new("qc-relay", socket, Duration::from_secs(20));
        let find = async |filter: &str, limit, before| {
            asked.store(0, Ordering::Relaxed);
            let list = List {
                stream: None,
                code: None,
                filter: filter.to_owned(),
                limit,
                before,
            };
            let filter = Filter::parse(filter, FIELDS).unwrap();
            let found = list.find(&client, &filter, Timestamp::from_millis(0)).await;
            let DeadLetters { letters, next } = found.unwrap();
            let numbers = letters.iter().map(|letter| letter.reason.parse().unwrap());
            let numbers: Vec<u64> = numbers.collect();
            (numbers, next, asked.load(Ordering::Relaxed))
        };
        let mut newest_first: Vec<u64> = (0..count).filter(|n| n % every == 0).collect();
        newest_first.reverse();

        // a list without a filter is one request; one with a filter that all pass finds the same
        let (all, _, requests) = find("", 50, None).await;
        assert_eq!((all.len(), requests), (50, 1));
        assert_eq!(find("attempts>0", 50, None).await.0, all);
        // what few pass is found by looking at 600 letters in pages of 500
        let (found, next, requests) = find("attempts=3", 1000, None).await;
        assert_eq!((found, next, requests), (newest_first.clone(), None, 2));
        // a list that has enough in its first page asks no more
        let (found, next, requests) = find("attempts=3", 50, None).await;
        assert_eq!((&found[..], requests), (&newest_first[..50], 1));
        assert!(next.is_some());
        // lists of any length, each where the last one ended, leave nothing out and repeat nothing
        for limit in [1, 7, 50, newest_first.len()] {
            let (mut all, mut before) = (Vec::new(), None);
            loop {
                let (found, next, requests) = find("attempts=3", limit, before).await;
                assert!(requests <= 2, "{limit}: {requests}");
                all.extend(found);
                before = next;
                if before.is_none() {
                    break;
                }
            }
            assert_eq!(all, newest_first, "{limit}");
        }
    }
}
