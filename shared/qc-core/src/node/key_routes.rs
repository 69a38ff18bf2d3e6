//! The admin API of keys, the same on relay and edge.
//!
//! ```text
//! GET  /v1/key                         short names, ages, states; never a key
//! POST /v1/key/rotate {tenant?}        the node key, or a tenant's
//! POST /v1/key/create {tenant}
//! POST /v1/key/destroy {tenant, reason}
//! ```

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::sync::oneshot;

use super::{Keys, blocking};
use crate::admin::api::Reply;
use crate::admin::keys::{KEY_CHANGE_SCHEMA, KEYS_SCHEMA, KeyChange, KeyReport, KeyWish};
use crate::admin::{Problem, stopping};
use crate::clock::Clock;
use crate::drain::Drain;
use crate::failure::{Exit, Failure};
use crate::model::{NodeName, Tenant};

/// What the routes answer from.
#[derive(Clone)]
struct Desk {
    keys: Keys,
    node: NodeName,
    clock: std::sync::Arc<dyn Clock>,
    drain: Drain,
}

/// The routes of keys, to be merged into a daemon's own.
pub fn key_routes(
    keys: Keys,
    node: NodeName,
    clock: std::sync::Arc<dyn Clock>,
    drain: Drain,
) -> Router {
    let desk = Desk {
        keys,
        node,
        clock,
        drain,
    };
    Router::new()
        .route("/v1/key", get(report))
        .route("/v1/key/rotate", post(rotate))
        .route("/v1/key/create", post(create))
        .route("/v1/key/destroy", post(destroy))
        .with_state(desk)
}

async fn report(State(desk): State<Desk>) -> Result<Json<Reply<KeyReport>>, Problem> {
    let keys = desk.keys.clone();
    let report = blocking(move || keys.report()).await?;
    Ok(desk.reply(KEYS_SCHEMA, report))
}

async fn rotate(
    State(desk): State<Desk>,
    Json(wish): Json<KeyWish>,
) -> Result<Json<Reply<KeyChange>>, Problem> {
    let keys = desk.keys.clone();
    match wish.tenant {
        None => desk.change(async move { keys.rotate().await }).await,
        Some(tenant) => {
            let tenant = parse(&tenant)?;
            let work = async move { keys.rotate_tenant(tenant).await };
            desk.change(work).await
        }
    }
}

async fn create(
    State(desk): State<Desk>,
    Json(wish): Json<KeyWish>,
) -> Result<Json<Reply<KeyChange>>, Problem> {
    let tenant = parse(wish.tenant.as_deref().unwrap_or_default())?;
    let keys = desk.keys.clone();
    desk.change(async move { keys.create_tenant(tenant).await })
        .await
}

async fn destroy(
    State(desk): State<Desk>,
    Json(wish): Json<KeyWish>,
) -> Result<Json<Reply<KeyChange>>, Problem> {
    let tenant = parse(wish.tenant.as_deref().unwrap_or_default())?;
    let reason = wish.reason.unwrap_or_default();
    let keys = desk.keys.clone();
    desk.change(async move { keys.destroy_tenant(tenant, &reason).await })
        .await
}

fn parse(tenant: &str) -> Result<Tenant, Failure> {
    tenant
        .parse()
        .map_err(|error| Failure::new(Exit::Usage, "QC4001", format!("the tenant: {error}")))
}

impl Desk {
    /// Does it in a task of its own: a change that has begun ends, even if nobody waits for it any more.
    async fn change(
        &self,
        work: impl Future<Output = Result<KeyChange, Failure>> + Send + 'static,
    ) -> Result<Json<Reply<KeyChange>>, Problem> {
        let (done, outcome) = oneshot::channel();
        self.drain.spawn("key change", async move {
            let _asker_gone = done.send(work.await);
        });
        let change = outcome.await.map_err(|_| stopping("the daemon"))??;
        Ok(self.reply(KEY_CHANGE_SCHEMA, change))
    }

    fn reply<T>(&self, schema: &str, data: T) -> Json<Reply<T>> {
        Json(Reply::new(schema, &self.node, self.clock.now(), data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::node::{KeyOptions, tests};

    #[test]
    fn a_change_that_is_cut_off_is_not_answered_as_if_no_daemon_was_there() {
        let dir = tempfile::tempdir().unwrap();
        crate::service::runtime(1).unwrap().block_on(async {
            let opened = tests::open(dir.path(), &KeyOptions::default()).await;
            let (log, keys) = opened.unwrap();
            let desk = Desk {
                keys,
                node: "edge.north.acme".parse().unwrap(),
                clock: std::sync::Arc::new(SystemClock::default()),
                drain: Drain::new(),
            };
            let answer = desk.change(async { panic!("as the test wants") }).await;
            let Problem(failure) = answer.map(drop).unwrap_err();
            assert_eq!(failure.code, "QC0608");
            assert!(
                failure.to_string().contains("help: wait until"),
                "{failure}"
            );
            log.close();
        });
    }
}
