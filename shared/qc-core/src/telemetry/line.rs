//! One event on one line: `TIME LEVEL CODE message key=value`, or a JSON object.

use std::fmt;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::clock::SystemClock;
use crate::model::Timestamp;
use crate::safe_text::safe;

const SHOWN: usize = 2000;

/// Writes lines to `out`; a line is one call.
pub(super) struct Lines {
    pub(super) json: bool,
    pub(super) out: Arc<dyn LineOut>,
}

/// Where lines go.
pub(super) trait LineOut: Send + Sync {
    /// Writes `line`, which ends in a newline.
    fn line(&self, line: &str) -> io::Result<()>;
}

#[derive(Default)]
struct Fields {
    code: Option<String>,
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl<S> Layer<S> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attrs.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.others.extend(outer.others.iter().cloned());
            }
        }
        let level = event.metadata().level().as_str();
        let now = SystemClock::machine_time();
        let line = if self.json {
            json_line(now, level, fields)
        } else {
            text_line(now, level, &fields)
        };
        // A log that cannot be written must not stop the work it tells of.
        let _nobody_listens = self.out.line(&line);
    }
}

fn text_line(now: Timestamp, level: &str, fields: &Fields) -> String {
    let mut line = format!("{now} {level:<5}");
    if let Some(code) = &fields.code {
        let _infallible = write!(line, " {code}");
    }
    if !fields.message.is_empty() {
        let _infallible = write!(line, " {}", safe(&fields.message, SHOWN));
    }
    for (key, value) in &fields.others {
        let shown = match value {
            Value::String(text) => quoted(&safe(text, SHOWN)),
            other => other.to_string(),
        };
        let _infallible = write!(line, " {key}={shown}");
    }
    line.push('\n');
    line
}

fn json_line(now: Timestamp, level: &str, fields: Fields) -> String {
    let mut line = Map::new();
    line.insert("time".to_owned(), now.to_string().into());
    line.insert("level".to_owned(), level.to_ascii_lowercase().into());
    if let Some(code) = fields.code {
        line.insert("code".to_owned(), code.into());
    }
    line.insert("message".to_owned(), safe(&fields.message, SHOWN).into());
    let others = fields.others.into_iter().map(|(key, value)| {
        let value = match value {
            Value::String(text) => Value::String(safe(&text, SHOWN)),
            other => other,
        };
        (key.to_owned(), value)
    });
    line.insert("fields".to_owned(), json!(others.collect::<Map<_, _>>()));
    format!("{}\n", Value::Object(line))
}

fn quoted(text: &str) -> String {
    let plain = |c: char| !matches!(c, ' ' | '"' | '=');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('"', "\\\""))
    }
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("code", Value::String(text)) => self.code = Some(safe(&text, 20)),
            (name, _) if name.starts_with("log.") => {}
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    struct Memory(Mutex<String>);

    impl LineOut for Memory {
        fn line(&self, line: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(line);
            Ok(())
        }
    }

    fn logged(json: bool, log: impl FnOnce()) -> String {
        let memory = Arc::new(Memory(Mutex::default()));
        let out: Arc<dyn LineOut> = Arc::<Memory>::clone(&memory);
        let lines = Lines { json, out };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), log);
        memory.0.lock().unwrap().clone()
    }

    fn story() {
        let span = tracing::info_span!("link", peer = "edge-1");
        let _inside = span.enter();
        let hostile = "two words\n\x1b[31m \"x\"";
        tracing::info!(code = "QC2201", seq = 5u64, %hostile, "Link resumed.");
    }

    #[test]
    fn text_is_one_safe_line() {
        let line = logged(false, story);
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.ends_with('Z'));
        assert_eq!(
            rest,
            "INFO  QC2201 Link resumed. seq=5 hostile=\"two words\\n\\x1b[31m \\\"x\\\"\" peer=edge-1\n"
        );
    }

    #[test]
    fn json_is_one_object_a_line() {
        let line = logged(true, story);
        assert_eq!(line.matches('\n').count(), 1);
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["code"], "QC2201");
        assert_eq!(value["level"], "info");
        assert_eq!(value["message"], "Link resumed.");
        assert_eq!(value["fields"]["seq"], 5);
        assert_eq!(value["fields"]["peer"], "edge-1");
    }
}
