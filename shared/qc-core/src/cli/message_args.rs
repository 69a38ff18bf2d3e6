//! Messages from a command line: `qc-relay publish` and `qc-edge send` take the same flags.

use std::io::{self, Read};
use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;

use super::{Exit, Failure};
use crate::model::{Envelope, Message};
use crate::parts::MAX_WHOLE;
use crate::wire::MAX_BODY;

/// Where the body comes from and what its envelope says.
#[derive(Debug, Args)]
pub struct MessageArgs {
    /// Read the body from this file, - for stdin
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    file: PathBuf,

    /// Make every line a message of its own
    #[arg(long)]
    lines: bool,

    /// The type of the event
    #[arg(long = "type", value_name = "TYPE", default_value = "qc.raw")]
    kind: String,

    /// The source of the event
    #[arg(long, value_name = "URI")]
    source: Option<String>,

    /// The id of the event; a repeated id is a duplicate. With --lines, -1, -2 ... is appended
    #[arg(long)]
    id: Option<String>,

    /// The subject of the event
    #[arg(long)]
    subject: Option<String>,

    /// The media type of the body
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
}

/// What there is to send.
pub enum Input {
    /// Messages that are in memory.
    Messages(Vec<Message>),
    /// One message with a body that is not.
    Long {
        /// Its attributes.
        envelope: Box<Envelope>,
        /// The beginning of its body.
        first: Bytes,
        /// The rest.
        rest: Box<dyn Read + Send>,
        /// The length of the whole body, where that is known.
        length: Option<u64>,
    },
}

impl MessageArgs {
    /// Reads the input; `source` is used where none was named. One that does not fit into a record is read
    /// no further than that, if `may_be_long`, and refused if not.
    pub fn input(&self, source: &str, may_be_long: bool) -> Result<Input, Failure> {
        let (mut file, length) = self.open()?;
        if length.is_some_and(|length| length > MAX_WHOLE) {
            return Err(too_large(MAX_WHOLE));
        }
        let may_be_long = may_be_long && !self.lines;
        let mut first = Vec::new();
        let mut beginning = (&mut file).take(MAX_BODY as u64 + 1);
        let read = beginning.read_to_end(&mut first);
        let read = read.map_err(|error| self.cannot_read(&error))?;
        match (read > MAX_BODY, may_be_long) {
            (true, true) => Ok(Input::Long {
                envelope: Box::new(self.envelope(source, self.fresh_id()?)?),
                first: first.into(),
                rest: file,
                length,
            }),
            (true, false) => Err(too_large(MAX_BODY as u64)),
            (false, _) => Ok(Input::Messages(self.messages(source, &first.into())?)),
        }
    }

    fn messages(&self, source: &str, input: &Bytes) -> Result<Vec<Message>, Failure> {
        let bodies: Vec<Bytes> = if self.lines {
            let lines = input
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty());
            lines.map(|line| input.slice_ref(line)).collect()
        } else {
            vec![input.clone()]
        };
        let mut messages = Vec::with_capacity(bodies.len());
        for (at, body) in bodies.into_iter().enumerate() {
            let id = match &self.id {
                Some(id) if self.lines => format!("{id}-{}", at + 1),
                _ => self.fresh_id()?,
            };
            let envelope = self.envelope(source, id)?;
            messages.push(Message { envelope, body });
        }
        Ok(messages)
    }

    fn fresh_id(&self) -> Result<String, Failure> {
        self.id.clone().map_or_else(random_id, Ok)
    }

    fn envelope(&self, source: &str, id: String) -> Result<Envelope, Failure> {
        let source = self.source.as_deref().unwrap_or(source);
        let mut envelope = Envelope::new(id, source, self.kind.clone());
        envelope.subject.clone_from(&self.subject);
        envelope.content_type.clone_from(&self.content_type);
        envelope.check().map_err(|error| {
            Failure::new(Exit::Usage, "QC4002", "these flags do not make an event").because(&error)
        })?;
        Ok(envelope)
    }

    /// The input, and its length if that is known.
    fn open(&self) -> Result<(Box<dyn Read + Send>, Option<u64>), Failure> {
        if self.file.as_os_str() == "-" {
            return Ok((Box::new(io::stdin()), None));
        }
        let opened = std::fs::File::open(&self.file).and_then(|file| {
            let metadata = file.metadata()?;
            Ok((file, metadata.is_file().then_some(metadata.len())))
        });
        let (file, length) = opened.map_err(|error| self.cannot_read(&error))?;
        Ok((Box::new(file), length))
    }

    fn cannot_read(&self, error: &io::Error) -> Failure {
        let shown = crate::safe_text::safe(&self.file.to_string_lossy(), 200);
        Failure::new(Exit::NotFound, "QC0017", format!("cannot read {shown}")).because(error)
    }
}

fn too_large(most: u64) -> Failure {
    let message = format!("the input is larger than {most} bytes");
    Failure::new(Exit::Usage, "QC4009", message).help("send it as a file drop, or in pieces")
}

/// 128 random bits as text.
fn random_id() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).map_err(
        |error| {
            Failure::new(Exit::Other, "QC0018", "the system gives no random bytes").because(&error)
        },
    )?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}
