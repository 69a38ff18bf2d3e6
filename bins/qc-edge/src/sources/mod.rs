//! Where messages come from: each source submits them to an [`Intake`] and tells the other side
//! "done" only when the intake says that they are on disk.

mod activity;
pub(crate) mod beneath;
pub mod file_drop;
pub mod settings;
pub mod signature;
pub mod webhook;

use std::time::Duration;

use qc_core::model::{Envelope, Message};
use qc_core::parts::{MAX_WHOLE, Upload};
use qc_core::store::AppendError;

pub use activity::{Activity, Snapshot};
pub use qc_core::store::Outcome;

/// Why messages were not taken. Nothing of the submission was kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// The buffer takes nothing now: the source holds its breath and tries again.
    #[error("{code}: {0}", code = .0.code())]
    NotNow(AppendError),
    /// These messages will never be taken.
    #[error("refused [{code}]: {reason}")]
    Refused {
        /// The stable code.
        code: &'static str,
        /// The rule that they break.
        reason: String,
    },
}

impl IntakeError {
    /// When to try again; `None` if that is pointless.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotNow(error) => error.retry_after(),
            Self::Refused { .. } => None,
        }
    }
}

/// Takes messages durably: the edge's buffer as one source sees it.
pub trait Intake: Clone + Send + Sync + 'static {
    /// Stores `messages`, all or none. When this returns `Ok`, they are on disk, and there is one
    /// outcome for each, in order.
    fn submit(
        &self,
        messages: Vec<Message>,
    ) -> impl Future<Output = Result<Vec<Outcome>, IntakeError>> + Send;

    /// Begins a message whose body comes bit by bit, `most` bytes of it, and is too long to be held in memory.
    /// It is stored when [`Upload::finish`] says so.
    fn upload(&self, envelope: Envelope, most: u64) -> Result<Upload, IntakeError>;
}

impl From<AppendError> for IntakeError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::TooLarge { .. } => Self::Refused {
                code: error.code(),
                reason: error.to_string(),
            },
            error => Self::NotNow(error),
        }
    }
}

/// Refuses a body that says beforehand that it is longer than any message.
pub(crate) fn check_length(announced: Option<u64>) -> Result<(), IntakeError> {
    match announced {
        Some(bytes) if bytes > MAX_WHOLE => Err(AppendError::TooLarge {
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            max: usize::try_from(MAX_WHOLE).unwrap_or(usize::MAX),
        }
        .into()),
        _ => Ok(()),
    }
}

/// Why a source or a sink cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// A directory or file that it needs.
    #[error("{what} '{path}'")]
    File {
        /// What could not be done.
        what: &'static str,
        /// The path, safe to show.
        path: String,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A setting that cannot work.
    #[error("{setting}: {reason}")]
    Setting {
        /// The key.
        setting: &'static str,
        /// Why not.
        reason: String,
    },
}

impl ConnectorError {
    pub(crate) fn file(
        what: &'static str,
        path: &std::path::Path,
        source: impl Into<std::io::Error>,
    ) -> Self {
        Self::File {
            what,
            path: qc_core::safe_text::safe(&path.to_string_lossy(), 200),
            source: source.into(),
        }
    }

    pub(crate) fn setting(setting: &'static str, reason: impl Into<String>) -> Self {
        Self::Setting {
            setting,
            reason: reason.into(),
        }
    }

    /// The stable code when it is a source.
    pub fn source_code(&self) -> &'static str {
        match self {
            Self::File { .. } => "QC4101",
            Self::Setting { .. } => "QC4102",
        }
    }

    /// The stable code when it is a sink.
    pub fn sink_code(&self) -> &'static str {
        match self {
            Self::File { .. } => "QC4201",
            Self::Setting { .. } => "QC4202",
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! An intake that keeps what it takes and knows (source, id) again.

    use std::sync::{Arc, Mutex};

    use qc_core::model::{Lane, Seq};
    use qc_core::parts::Sizes;
    use qc_core::store::Draft;
    use qc_core::streams::Receipt;

    use super::*;

    /// What a full buffer says.
    pub(crate) fn full(retry_after: Duration) -> IntakeError {
        IntakeError::NotNow(AppendError::Full {
            reason: "the disk has 0 bytes left".to_owned(),
            retry_after,
        })
    }

    #[derive(Clone, Default)]
    pub(crate) struct Kept {
        pub(crate) messages: Arc<Mutex<Vec<Message>>>,
        pub(crate) duplicates: Arc<Mutex<usize>>,
        pub(crate) refuse_with: Arc<Mutex<Option<IntakeError>>>,
    }

    impl Kept {
        pub(crate) fn len(&self) -> usize {
            self.messages.lock().unwrap().len()
        }

        pub(crate) fn bodies(&self) -> Vec<String> {
            let messages = self.messages.lock().unwrap();
            messages
                .iter()
                .map(|m| String::from_utf8_lossy(&m.body).into_owned())
                .collect()
        }
    }

    impl Intake for Kept {
        async fn submit(&self, messages: Vec<Message>) -> Result<Vec<Outcome>, IntakeError> {
            if let Some(error) = self.refuse_with.lock().unwrap().clone() {
                return Err(error);
            }
            let mut kept = self.messages.lock().unwrap();
            let mut keep = |message: Message| {
                message.envelope.check().unwrap();
                let same = |other: &Message| {
                    (&other.envelope.source, &other.envelope.id)
                        == (&message.envelope.source, &message.envelope.id)
                };
                if let Some(at) = kept.iter().position(same) {
                    *self.duplicates.lock().unwrap() += 1;
                    let seq = Seq(at as u64 + 1);
                    return Outcome::Duplicate { seq };
                }
                kept.push(message);
                let seq = Seq(kept.len() as u64);
                Outcome::Stored { seq }
            };
            Ok(messages.into_iter().map(&mut keep).collect())
        }

        /// Keeps every part as a message.
        fn upload(&self, envelope: Envelope, most: u64) -> Result<Upload, IntakeError> {
            let (kept, of) = (self.clone(), envelope.clone());
            let submit = move |draft: Draft| -> Receipt {
                let mut messages = kept.messages.lock().unwrap();
                let (envelope, body) = (of.clone(), draft.body);
                messages.push(Message { envelope, body });
                let seq = Seq(messages.len() as u64);
                Box::pin(async move { Ok(vec![Outcome::Stored { seq }]) })
            };
            let submit = Box::new(submit);
            let sizes = Sizes {
                whole: most,
                ..Sizes::PRODUCT
            };
            Ok(Upload::new(&envelope, Lane::Normal, sizes, submit))
        }
    }
}
