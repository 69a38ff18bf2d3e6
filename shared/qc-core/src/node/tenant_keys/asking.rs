//! Asking the programs in whose custody keys are: a few at a time, so that one that is slow holds up
//! nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::{Id, JoinSet};

use super::file::{Custodian, KeyFile, Opened};
use super::{State, TenantKeyRule, TenantKeys};
use crate::clock::Clock;
use crate::drain::Drain;
use crate::model::Tenant;
use crate::node::unwrapper;
use crate::safe_text::safe;

/// How soon a program that gave no key is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// How often it is looked whose turn it is; no program is asked more often.
const LOOK: Duration = Duration::from_secs(1);
/// The most programs that run at once.
const AT_ONCE: usize = 8;

/// A tenant whose program is to be asked.
struct Due {
    rule: TenantKeyRule,
    file: KeyFile,
}

impl TenantKeys {
    /// Asks every program whose answer has run out or is missing. Says whether a key that was open is not
    /// any more.
    pub(in crate::node) fn ask_all(&self, now: Instant) -> bool {
        let lost = side_by_side(self.due(now), |due| self.ask(&due, now));
        lost.contains(&true)
    }

    /// Asks each program whenever its answer has run out, until the drain begins. `forget` is called when a
    /// key that was open is not any more.
    pub(in crate::node) async fn watch(
        self: Arc<Self>,
        clock: &dyn Clock,
        until: Drain,
        forget: impl Fn() + Send,
    ) {
        let mut look = tokio::time::interval(LOOK);
        let mut asking = JoinSet::new();
        let mut asked: HashMap<Id, Tenant> = HashMap::new();
        loop {
            tokio::select! {
                () = until.signaled() => break,
                Some(answer) = asking.join_next_with_id() => {
                    let (id, is_lost) = answer.unwrap_or_else(|error| (error.id(), true));
                    asked.remove(&id);
                    if is_lost {
                        forget();
                    }
                }
                _ = look.tick() => {}
            }
            let now = clock.instant();
            let room = AT_ONCE.saturating_sub(asked.len());
            let mut due = self.due(now);
            due.retain(|due| asked.values().all(|tenant| *tenant != due.rule.tenant));
            for due in due.into_iter().take(room) {
                let (keys, tenant) = (Arc::clone(&self), due.rule.tenant.clone());
                let task = asking.spawn_blocking(move || keys.ask(&due, now));
                asked.insert(task.id(), tenant);
            }
        }
        // a program that runs ends before we do
        while asking.join_next().await.is_some() {}
    }

    /// Whose program is to be asked now, those first that have waited longest.
    fn due(&self, now: Instant) -> Vec<Due> {
        let state = self.read();
        let mut due: Vec<(Option<Instant>, Due)> = Vec::new();
        for (tenant, held) in &state.tenants {
            let (Some(file), Some(rule)) = (&held.file, self.rules.get(tenant)) else {
                continue;
            };
            let wait = match held.away {
                Some(_) => ASK_AGAIN.min(rule.lease),
                None => rule.lease,
            };
            let has_run_out = |at| now.saturating_duration_since(at) >= wait.max(LOOK);
            if file.custody == Custodian::Exec && held.asked.is_none_or(has_run_out) {
                let (rule, file) = (rule.clone(), file.clone());
                due.push((held.asked, Due { rule, file }));
            }
        }
        due.sort_by_key(|(asked, _)| *asked);
        due.into_iter().map(|(_, due)| due).collect()
    }

    fn ask(&self, due: &Due, now: Instant) -> bool {
        let Due { rule, file } = due;
        let answer = unwrapper::ask(&rule.exec, rule.deadline).and_then(|key| file.open(&key));
        self.take_answer(&rule.tenant, answer, now)
    }

    /// Installs what a program's key has opened, or takes away what it no longer vouches for.
    fn take_answer(&self, tenant: &Tenant, answer: Result<Opened, String>, now: Instant) -> bool {
        let mut state = self.write();
        let State { tenants, open } = &mut *state;
        let Some(held) = tenants.get_mut(tenant.as_str()) else {
            return false;
        };
        held.asked = Some(now);
        let was_open = held.away.is_none();
        match answer {
            Ok(keys) => {
                if !was_open {
                    tracing::info!(code = "QC3049", %tenant, "The tenant's key is at hand.");
                }
                // what was destroyed while the program ran stays closed
                let known: Vec<u32> = held.ids().collect();
                open.extend(keys.into_iter().filter(|(id, _)| known.contains(id)));
                held.away = None;
                false
            }
            Err(reason) => {
                let shown = safe(&reason, 300);
                if held.away.as_ref() != Some(&reason) {
                    tracing::warn!(code = "QC3047", %tenant, reason = shown, "The tenant's key is not at hand: its bodies are not read.");
                }
                held.ids().for_each(|id| drop(open.remove(&id)));
                held.away = Some(reason);
                was_open
            }
        }
    }
}

/// Does `work` with every item, a few at a time, and gives back what came of them in their order.
pub(super) fn side_by_side<T: Send, R: Send>(
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let threads = AT_ONCE.min(items.len());
    let mut done: Vec<(usize, R)> = Vec::with_capacity(items.len());
    let waiting = Mutex::new(items.into_iter().enumerate());
    let next = || {
        waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next()
    };
    let one_by_one = || {
        let mut done = Vec::new();
        while let Some((place, item)) = next() {
            done.push((place, work(item)));
        }
        done
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(one_by_one)).collect();
        done.extend(one_by_one());
        for other in others {
            match other.join() {
                Ok(others) => done.extend(others),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}
