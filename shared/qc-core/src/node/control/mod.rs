//! Control objects on a node: judged, applied, kept and told. The same on an edge and on a relay.
//!
//! One object is taken at a time. It is in force before it is kept, and kept before it is acknowledged: a node
//! that dies in between gets it again and finds it done.
//!
//! A relay keeps what its signer may sign also where it cannot put all of it in force, and hands it on: whoever is
//! below may be able to. Itself it says that it refuses it, and tries again when it is offered again and when it
//! starts.

mod call;
mod routes;
#[cfg(test)]
mod tests;

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
use crate::pki::{CertView, TrustAnchors, TrustError};
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
    /// What of that is for this node and not, or not all, in force here.
    lacking: Mutex<Vec<Mark>>,
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
            lacking: Mutex::default(),
            last_refusal: Mutex::default(),
            changed: watch::Sender::new(0),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        };
        let control = Self {
            inner: Arc::new(inner),
        };
        for object in control.objects() {
            control.look_again(&object);
        }
        control
    }

    /// Puts a kept object in force that is for this node and is not: that could not be before, or its files are
    /// gone.
    fn look_again(&self, object: &Object) {
        let (inner, mark) = (&self.inner, object.mark());
        let is_ours = object.is_for(&inner.node) && inner.accept.contains(&mark.kind);
        if !is_ours || !mark.kind.has_work() || self.is_in_force(object) {
            return;
        }
        if let Err(rejection) = self.put_in_force(object) {
            self.refused(&mark.to_string(), "its own disk", &rejection);
            lock(&inner.lacking).push(mark);
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
            Err(rejection) => self.refused(&about, from, rejection),
        }
        taken
    }

    fn refused(&self, about: &str, from: &str, rejection: &Rejection) {
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
        let step = control::step(held.as_ref(), &mark)?;
        let is_lacking = lock(&inner.lacking).contains(&mark);
        if step == Step::Unchanged && !is_lacking {
            return Ok(taken(Outcome::Unchanged));
        }
        if !lock(&inner.kept).has_room(&mark) {
            return Err(Rejection::TooMany(control::MAX_KEPT));
        }
        let in_force = if is_for_us {
            self.put_in_force(&object)
        } else {
            Ok(())
        };
        let in_force = match in_force {
            Err(rejection) if !inner.carries || step == Step::Unchanged => return Err(rejection),
            in_force => in_force,
        };
        let path = lock(&inner.kept).path(&object);
        let not_kept = |error: std::io::Error| {
            Rejection::NotKept(format!(
                "{}: {error}",
                safe(&path.display().to_string(), 200)
            ))
        };
        object.save(&path).map_err(not_kept)?;
        {
            // before it counts as kept, so that nobody reads of it as applied in between
            let mut lacking = lock(&inner.lacking);
            lacking.retain(|other| !other.is_of(mark.kind, &mark.label));
            if in_force.is_err() {
                lacking.push(mark.clone());
            }
        }
        lock(&inner.kept).insert(Arc::new(object));
        inner
            .changed
            .send_modify(|count| *count = count.wrapping_add(1));
        in_force.map_err(Rejection::but_carried)?;
        Ok(taken(if is_for_us {
            Outcome::Applied
        } else {
            Outcome::Carried
        }))
    }

    fn put_in_force(&self, object: &Object) -> Result<(), Rejection> {
        match object.says().kind {
            Kind::Revocations => self.revoke(object),
            kind => Err(Rejection::NoWork(kind)),
        }
    }

    /// Whether everything that a kept object says is in force, or something newer.
    fn is_in_force(&self, object: &Object) -> bool {
        let lists = revocation_lists(&object.says().payload);
        let taken = lists
            .ok()
            .and_then(|lists| self.against_current(&lists).ok());
        taken.is_some_and(|taken| taken.newer == 0 && taken.refused.is_empty())
    }

    /// What would become of `lists` by what is in force now.
    fn against_current(&self, lists: &[&[u8]]) -> Result<control::Taken, TrustError> {
        let current = self.inner.credentials.current();
        let mut trust = TrustAnchors::new(current.trust.domain().clone());
        trust.merge(&current.trust)?;
        Ok(control::take(lists, &mut trust))
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
        // what is in force counts, too, whatever becomes of its file just now
        trust
            .merge(&credentials.current().trust)
            .map_err(|error| not_kept(&error))?;
        let taken = control::take(&lists, &mut trust);
        let came = |der: &[u8]| lists.contains(&der);
        trust
            .save_lists(&dir, came)
            .map_err(|error| not_kept(&error))?;
        credentials
            .take_lists(&trust)
            .map_err(|error| not_kept(&error))?;
        let now = self
            .against_current(&lists)
            .map_err(|error| not_kept(&error))?;
        if now.newer > 0 || now.refused.len() > taken.refused.len() {
            let why = "a CA in trust/cas.pem is not in force yet; again in a few seconds";
            return Err(Rejection::NotKept(why.to_owned()));
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

    /// The objects that were taken, by kind and label; a relay has some that are not in force here.
    pub fn objects(&self) -> Vec<Arc<Object>> {
        lock(&self.inner.kept).objects().to_vec()
    }

    /// How far this node has come, for its status.
    pub fn applied(&self) -> Vec<Applied> {
        let objects = self.objects();
        let objects = objects.iter().filter(|object| !self.is_lacking(object));
        objects.map(|object| applied(&object.mark())).collect()
    }

    /// Whether an object is kept that is for this node and not, or not all, in force here.
    pub fn is_lacking(&self, object: &Object) -> bool {
        lock(&self.inner.lacking).contains(&object.mark())
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
            in_force: object.is_for(&self.inner.node) && !self.is_lacking(object),
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
