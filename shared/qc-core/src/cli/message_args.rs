//! Messages from a command line: `qc-relay publish` and `qc-edge send` take the same flags.

use std::io::{self, Read as _};
use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;

use super::{Exit, Failure};
use crate::model::{Envelope, Message};
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

impl MessageArgs {
    /// Reads the input and makes the messages; `source` is used where none was named.
    pub fn messages(&self, source: &str) -> Result<Vec<Message>, Failure> {
        let input = self.read()?;
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
                Some(id) => id.clone(),
                None => random_id()?,
            };
            let source = self.source.as_deref().unwrap_or(source);
            let mut envelope = Envelope::new(id, source, self.kind.clone());
            envelope.subject.clone_from(&self.subject);
            envelope.content_type.clone_from(&self.content_type);
            envelope.check().map_err(|error| {
                Failure::new(Exit::Usage, "QC4002", "these flags do not make an event")
                    .because(&error)
            })?;
            messages.push(Message { envelope, body });
        }
        Ok(messages)
    }

    fn read(&self) -> Result<Bytes, Failure> {
        let shown = crate::safe_text::safe(&self.file.to_string_lossy(), 200);
        let failed = |error: io::Error| {
            Failure::new(Exit::NotFound, "QC0017", format!("cannot read {shown}")).because(&error)
        };
        let most = MAX_BODY as u64;
        let mut input = Vec::new();
        let read = if self.file.as_os_str() == "-" {
            io::stdin().lock().take(most + 1).read_to_end(&mut input)
        } else {
            let file = std::fs::File::open(&self.file).map_err(failed)?;
            file.take(most + 1).read_to_end(&mut input)
        };
        let read = read.map_err(failed)?;
        if read as u64 > most {
            let message = format!("the input is larger than {most} bytes");
            return Err(Failure::new(Exit::Usage, "QC4009", message)
                .help("send it as a file drop, or in pieces"));
        }
        Ok(input.into())
    }
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
