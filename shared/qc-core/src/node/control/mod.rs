//! Control objects on a node: judged, applied, kept and told. The same on an edge and on a relay.
//!
//! One object is taken at a time. It is in force before it is kept, and kept before it is acknowledged: a node
//! that dies in between gets it again and finds it done.

mod call;
mod routes;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};

use crate::admin::api::LastError;
use crate::admin::control::{ControlList, ControlRow};
use crate::clock::Clock;
use crate::control::{
    self, Kept, Kind, Mark, Object, ObjectError, Rejection, Step, revocation_lists,
};
use crate::model::NodeName;
use crate::pki::{CertView, TrustAnchors};
use crate::safe_text::safe;
use crate::tls::Credentials;
use crate::wire::Applied;

pub use call::{Answer, CONTROL_TARGET, push};
pub use routes::router as control_routes;

/// Where objects are kept, below the state directory.
const DIR: &str = "control";
/// Objects that may come in at once; each takes as much memory as it is long.
const AT_ONCE: usize = 2;

/// The control objects of a node. Clones share them.
#[derive(Clone)]
pub struct Control {
    inner: Arc<Inner>,
}

struct Inner {
    node: NodeName,
    state: PathBuf,
    credentials: Credentials,
    clock: Arc<dyn Clock>,
    accept: Vec<Kind>,
    carries: bool,
    /// Held while an object is taken.
    turn: Mutex<()>,
    kept: Mutex<Kept>,
    last_refusal: Mutex<Option<LastError>>,
    changed: watch::Sender<u64>,
    places: Arc<Semaphore>,
}

/// What a node's [`Control`] is made of.
pub struct ControlParts {
    /// This node.
    pub node: NodeName,
    /// Its state directory.
    pub state: PathBuf,
    /// Whom it believes; renewed by what it takes.
    pub credentials: Credentials,
    /// Its time, for what it tells.
    pub clock: Arc<dyn Clock>,
    /// The kinds that its owner lets it take.
    pub accept: Vec<Kind>,
    /// Whether it keeps what is for others: a relay does.
    pub carries: bool,
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in force from now on.
    Applied,
    /// It was before.
    Unchanged,
    /// It is not for this node, and kept for those below.
    Carried,
}

impl Outcome {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Carried => "carried",
        }
    }
}

/// An object that was taken.
#[derive(Debug, Clone)]
pub struct TakenObject {
    /// What became of it.
    pub outcome: Outcome,
    /// What it is, and its revision.
    pub mark: Mark,
    /// Who has signed it.
    pub signer: NodeName,
}

impl Control {
    /// Reads what was taken before.
    pub fn open(parts: ControlParts) -> Self {
        let (kept, left_out) = Kept::open(&parts.state.join(DIR));
        for error in left_out {
            let path = safe(&error.path.display().to_string(), 200);
            let reason = safe(&error.why, 200);
            tracing::warn!(
                code = "QC2160",
                path,
                reason,
                "A kept control object is left out."
            );
        }
        let inner = Inner {
            node: parts.node,
            state: parts.state,
            credentials: parts.credentials,
            clock: parts.clock,
            accept: parts.accept,
            carries: parts.carries,
            turn: Mutex::default(),
            kept: Mutex::new(kept),
            last_refusal: Mutex::default(),
            changed: watch::Sender::new(0),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Takes an object that came from `from`, or says why not. Waits for the disk elsewhere.
    pub async fn take(&self, bytes: Vec<u8>, from: &str) -> Result<TakenObject, Rejection> {
        let (control, from) = (self.clone(), safe(from, 200));
        let work = move || control.take_now(&bytes, &from);
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(Rejection::NotKept(error.to_string())))
    }

    fn take_now(&self, bytes: &[u8], from: &str) -> Result<TakenObject, Rejection> {
        let _turn = self
            .inner
            .turn
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let object = Object::decode(bytes).map_err(Rejection::from);
        let about = object.as_ref().map_or_else(
            |_| "control object".to_owned(),
            |object| object.mark().to_string(),
        );
        let taken = object.and_then(|object| self.judge_and_apply(object));
        match &taken {
            Ok(taken) if taken.outcome != Outcome::Unchanged => {
                let (outcome, signer) = (taken.outcome.as_str(), &taken.signer);
                tracing::info!(code = "QC2234", object = about, from, %signer, outcome, "Control object taken.");
            }
            Ok(_) => {}
            Err(rejection) => {
                let (code, reason) = (rejection.code(), safe(&rejection.to_string(), 300));
                tracing::warn!(
                    code,
                    object = about,
                    from,
                    reason,
                    "Control object refused."
                );
                let refusal = LastError {
                    code: code.to_owned(),
                    reason: format!("{about} from {from}: {reason}"),
                    at: Some(self.inner.clock.now().to_string()),
                };
                *lock(&self.inner.last_refusal) = Some(refusal);
            }
        }
        taken
    }

    fn judge_and_apply(&self, object: Object) -> Result<TakenObject, Rejection> {
        let (inner, mark) = (&self.inner, object.mark());
        let trust = inner.credentials.current();
        let signer = control::judge(&object, &trust.trust)?.by;
        let taken = |outcome| TakenObject {
            outcome,
            mark: mark.clone(),
            signer: signer.clone(),
        };
        if !mark.kind.has_work() {
            return Err(Rejection::NoWork(mark.kind));
        }
        if !inner.accept.contains(&mark.kind) {
            return Err(Rejection::NotAccepted(mark.kind));
        }
        let is_for_us = object.is_for(&inner.node);
        if !is_for_us && !inner.carries {
            return Err(Rejection::NotForUs(inner.node.clone()));
        }
        let held = lock(&inner.kept).held(&mark);
        if control::step(held.as_ref(), &mark)? == Step::Unchanged {
            return Ok(taken(Outcome::Unchanged));
        }
        if !lock(&inner.kept).has_room(&mark) {
            return Err(Rejection::TooMany(control::MAX_KEPT));
        }
        if is_for_us {
            match mark.kind {
                Kind::Revocations => self.revoke(&object)?,
                kind => return Err(Rejection::NoWork(kind)),
            }
        }
        let path = lock(&inner.kept).path(&object);
        let not_kept = |error: std::io::Error| {
            Rejection::NotKept(format!(
                "{}: {error}",
                safe(&path.display().to_string(), 200)
            ))
        };
        object.save(&path).map_err(not_kept)?;
        lock(&inner.kept).insert(Arc::new(object));
        inner
            .changed
            .send_modify(|count| *count = count.wrapping_add(1));
        Ok(taken(if is_for_us {
            Outcome::Applied
        } else {
            Outcome::Carried
        }))
    }

    /// Puts revocation lists in force: durable in the trust directory first, then for every link.
    fn revoke(&self, object: &Object) -> Result<(), Rejection> {
        let (credentials, dir) = (&self.inner.credentials, self.inner.state.join("trust"));
        let lists = revocation_lists(&object.says().payload);
        let lists = lists.map_err(ObjectError::from)?;
        let not_kept = |error: &dyn std::error::Error| {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            Rejection::NotKept(format!("{error}: {}", safe(&cause, 200)))
        };
        let (mut trust, _others) =
            TrustAnchors::load_usable(&dir).map_err(|error| not_kept(&error))?;
        // what is in force and newer than its file counts, too
        trust.keep_lists(&credentials.current().trust);
        let taken = control::take(&lists, &mut trust);
        let came = |der: &[u8]| lists.contains(&der);
        trust
            .save_lists(&dir, came)
            .map_err(|error| not_kept(&error))?;
        if let Err(error) = credentials.reload() {
            // the files are looked at once a second, without those that cannot be used
            let reason = safe(&error.to_string(), 200);
            tracing::warn!(
                code = error.code(),
                reason,
                "Not all trust is in force yet."
            );
        }
        if taken.refused.is_empty() {
            return Ok(());
        }
        Err(Rejection::Lists(safe(&taken.refused.join("; "), 300)))
    }

    /// Fires when another object was taken.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.inner.changed.subscribe()
    }

    /// The objects that were taken, by kind and label.
    pub fn objects(&self) -> Vec<Arc<Object>> {
        lock(&self.inner.kept).objects().to_vec()
    }

    /// How far this node has come, for its status.
    pub fn applied(&self) -> Vec<Applied> {
        let objects = self.objects();
        let applied = objects.iter().map(|object| applied(&object.mark()));
        applied.collect()
    }

    /// What it has, for its owner.
    pub fn list(&self) -> ControlList {
        let row = |object: &Arc<Object>| self.row(object);
        ControlList {
            accept: self.inner.accept.iter().map(ToString::to_string).collect(),
            objects: self.objects().iter().map(row).collect(),
            last_refusal: lock(&self.inner.last_refusal).clone(),
        }
    }

    /// One object as it is shown.
    pub fn row(&self, object: &Object) -> ControlRow {
        let (says, mark) = (object.says(), object.mark());
        let leaf = object.parts().chain.first();
        let view = leaf.and_then(|leaf| CertView::parse(leaf).ok());
        let domain = &says.domain;
        let name = view.and_then(|view| view.dns.into_iter().next());
        let name = name.and_then(|dns| NodeName::from_dns_name(&dns, domain).ok());
        ControlRow {
            kind: mark.kind.to_string(),
            label: mark.label.to_string(),
            revision: mark.revision,
            created: says.created.to_string(),
            signer: name.map_or_else(String::new, |name| name.to_string()),
            digest: data_encoding::HEXLOWER.encode(&mark.digest),
            bytes: object.bytes().len() as u64,
            audience: says.audience.iter().map(ToString::to_string).collect(),
            in_force: object.is_for(&self.inner.node),
            ..ControlRow::default()
        }
    }
}

/// A mark as it is sent.
pub fn applied(mark: &Mark) -> Applied {
    Applied {
        kind: mark.kind as u16,
        label: mark.label.to_string(),
        revision: mark.revision,
        digest: mark.digest,
        below: None,
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
