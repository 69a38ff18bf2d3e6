//! What a link sends and what it has asked for: which channels exist, which are to be tried again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::app::{LinkApp, Listening, OutboundChannel, Peer};
use super::codes::{ENDED, TOO_MANY};
use super::session::{ReadPermit, Session};
use crate::backoff::Backoff;
use crate::model::Seq;
use crate::wire::{ChannelBacklog, ChannelKind, MAX_STREAMS, Refusal, Subscribe};

/// How often the application is asked for its channels at most.
const REFRESH: Duration = Duration::from_millis(100);

pub(super) struct Channels {
    sending: Vec<Sending>,
    asking: Vec<Asking>,
    retry: (Duration, Duration),
    rng: fastrand::Rng,
    /// When to look again at what the application has, if there is reason to.
    look_at: Option<Instant>,
    looked: Option<Instant>,
    look: bool,
    /// Rung when there may be more to read.
    bell: Arc<Notify>,
}

/// A stream that this node sends.
struct Sending {
    channel: OutboundChannel,
    /// The subscription of the peer that it answers.
    answers: Option<(u32, Subscribe)>,
    number: Option<u32>,
    retry: Retry,
    listening: Option<Listening>,
}

/// A stream that this node has asked for.
struct Asking {
    subscribe: Subscribe,
    number: Option<u32>,
    retry: Retry,
}

struct Retry {
    backoff: Backoff,
    at: Option<Instant>,
}

impl Retry {
    fn is_due(&self, now: Instant) -> bool {
        self.at.is_none_or(|at| at <= now)
    }
}

impl Channels {
    pub(super) fn new(retry: (Duration, Duration), rng: fastrand::Rng) -> Self {
        Self {
            sending: Vec::new(),
            asking: Vec::new(),
            retry,
            rng,
            look_at: None,
            looked: None,
            look: false,
            bell: Arc::default(),
        }
    }

    /// Rung when there may be more to read.
    pub(super) fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }

    /// Asks the application again at the next chance.
    pub(super) fn look_again(&mut self) {
        self.look = true;
    }

    /// When [`Channels::refresh`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.look_at
    }

    /// Opens what is new or due again, ends what is gone.
    pub(super) fn refresh<A: LinkApp>(
        &mut self,
        app: &A,
        peer: &Peer,
        session: &mut Session,
        now: Instant,
    ) {
        let asked_lately = self.looked.is_some_and(|at| now < at + REFRESH);
        let due = self.look_at.is_some_and(|at| at <= now);
        if !due && (!self.look || asked_lately) {
            if self.look
                && let Some(at) = self.looked.map(|at| at + REFRESH)
            {
                self.look_at_latest(at);
            }
            return;
        }
        (self.look, self.looked, self.look_at) = (false, Some(now), None);
        self.refresh_forwards(&app.outbound(peer), session);
        self.refresh_subscriptions(&app.subscriptions(peer), session);
        self.reopen(app, peer, session, now);
        let waits = self
            .sending
            .iter()
            .filter(|sending| sending.number.is_none())
            .filter_map(|sending| sending.retry.at);
        let asks = self
            .asking
            .iter()
            .filter(|asking| asking.number.is_none())
            .filter_map(|asking| asking.retry.at);
        self.look_at = waits.chain(asks).min();
    }

    fn refresh_forwards(&mut self, listed: &[OutboundChannel], session: &mut Session) {
        self.sending.retain(|sending| {
            let kept = sending.answers.is_some()
                || listed
                    .iter()
                    .any(|channel| channel.is_same(&sending.channel));
            if let (false, Some(number)) = (kept, sending.number) {
                session.refuse(number, Refusal::new(ENDED, "no longer sent"));
            }
            kept
        });
        for channel in listed {
            let known = self
                .sending
                .iter_mut()
                .find(|sending| sending.answers.is_none() && sending.channel.is_same(channel));
            if let Some(sending) = known {
                if sending.channel.epoch != channel.epoch
                    && let Some(number) = sending.number.take()
                {
                    session.refuse(number, Refusal::new(ENDED, "a new epoch begins"));
                    sending.retry.at = None;
                }
                sending.channel = channel.clone();
            } else {
                let sending = Sending {
                    channel: channel.clone(),
                    answers: None,
                    number: None,
                    retry: self.fresh_retry(),
                    listening: None,
                };
                self.sending.push(sending);
            }
        }
    }

    fn refresh_subscriptions(&mut self, wanted: &[Subscribe], session: &mut Session) {
        self.asking.retain(|asking| {
            let kept = wanted.contains(&asking.subscribe);
            if let (false, Some(number)) = (kept, asking.number) {
                session.refuse(number, Refusal::new(ENDED, "no longer wanted"));
            }
            kept
        });
        for subscribe in wanted {
            if !self
                .asking
                .iter()
                .any(|asking| asking.subscribe == *subscribe)
            {
                let asking = Asking {
                    subscribe: subscribe.clone(),
                    number: None,
                    retry: self.fresh_retry(),
                };
                self.asking.push(asking);
            }
        }
    }

    fn reopen<A: LinkApp>(&mut self, app: &A, peer: &Peer, session: &mut Session, now: Instant) {
        let mut gone = Vec::new();
        let rng = &mut self.rng;
        let mut later = |retry: &mut Retry| {
            // there is no room, or the link is drained
            retry.at = Some(now + retry.backoff.next_delay(rng));
        };
        self.sending.retain_mut(|sending| {
            if sending.number.is_some() || !sending.retry.is_due(now) {
                return true;
            }
            if let Some((number, subscribe)) = &sending.answers {
                let lane = sending.channel.lane;
                match app.subscribe(peer, subscribe) {
                    Ok(channels) => match channels.into_iter().find(|one| one.lane == lane) {
                        Some(channel) => sending.channel = channel,
                        None => return false,
                    },
                    Err(refusal) => {
                        app.refused(peer, &subscribe.stream, &refusal);
                        session.refuse(*number, refusal);
                        gone.push(*number);
                        return false;
                    }
                }
            }
            sending.number = session.open(&sending.channel);
            if sending.number.is_none() {
                later(&mut sending.retry);
            }
            sending.listening = app.listen(&sending.channel, &self.bell);
            true
        });
        for asking in &mut self.asking {
            if asking.number.is_none() && asking.retry.is_due(now) {
                asking.number = session.subscribe(asking.subscribe.clone());
                if asking.number.is_none() {
                    later(&mut asking.retry);
                }
            }
        }
        for number in gone {
            self.give_up(number, session);
        }
    }

    /// The peer asks for a stream.
    pub(super) fn subscribed<A: LinkApp>(
        &mut self,
        app: &A,
        peer: &Peer,
        session: &mut Session,
        number: u32,
        subscribe: &Subscribe,
    ) {
        let answer = if session.has_room_for(2) {
            app.subscribe(peer, subscribe)
        } else {
            let reason = format!("a link carries {MAX_STREAMS} streams each way");
            Err(Refusal::new(TOO_MANY, reason))
        };
        match answer {
            Ok(channels) => {
                session.allow(number);
                for channel in channels {
                    let opened = session.open(&channel);
                    self.look |= opened.is_none(); // it is tried again
                    let listening = app.listen(&channel, &self.bell);
                    let sending = Sending {
                        channel: OutboundChannel {
                            kind: ChannelKind::Deliver,
                            ..channel
                        },
                        answers: Some((number, subscribe.clone())),
                        number: opened,
                        retry: self.fresh_retry(),
                        listening,
                    };
                    self.sending.push(sending);
                }
            }
            Err(refusal) => {
                app.refused(peer, &subscribe.stream, &refusal);
                session.refuse(number, refusal);
            }
        }
    }

    /// A subscription of ours stands.
    pub(super) fn granted(&mut self, number: u32) {
        if let Some(asking) = self
            .asking
            .iter_mut()
            .find(|asking| asking.number == Some(number))
        {
            asking.retry.backoff.reset();
        }
    }

    /// A channel or subscription ended: try again later, or forget what the peer gave up.
    pub(super) fn refused<A: LinkApp>(
        &mut self,
        app: &A,
        peer: &Peer,
        session: &mut Session,
        (number, refusal): (u32, &Refusal),
        now: Instant,
    ) {
        self.give_up(number, session);
        let sending = self
            .sending
            .iter_mut()
            .find(|sending| sending.number == Some(number))
            .map(|sending| {
                (
                    &sending.channel.stream,
                    &mut sending.number,
                    &mut sending.retry,
                )
            });
        let asking = self
            .asking
            .iter_mut()
            .find(|asking| asking.number == Some(number))
            .map(|asking| {
                (
                    &asking.subscribe.stream,
                    &mut asking.number,
                    &mut asking.retry,
                )
            });
        if let Some((stream, number, retry)) = sending.or(asking) {
            app.refused(peer, stream, refusal);
            *number = None;
            let at = now + retry.backoff.next_delay(&mut self.rng);
            retry.at = Some(at);
            self.look_at_latest(at);
        }
    }

    /// A subscription is no more, nor are the channels that answer it.
    fn give_up(&mut self, number: u32, session: &mut Session) {
        self.sending.retain(|sending| {
            let answers = sending.answers.as_ref();
            let given_up = answers.is_some_and(|(subscription, _)| *subscription == number);
            if let (true, Some(channel)) = (given_up, sending.number) {
                session.refuse(channel, Refusal::new(ENDED, "no longer subscribed"));
            }
            !given_up
        });
    }

    /// Up to where anything of a channel may have been sent by now.
    pub(super) fn sent<A: LinkApp>(&mut self, app: &A, peer: &Peer, number: u32) -> Seq {
        let sending = self.find(number);
        sending.map_or(Seq::ZERO, |sending| app.sent(peer, &sending.channel))
    }

    /// The receiver of a channel has more than was ever sent.
    pub(super) fn rewound<A: LinkApp>(&mut self, app: &A, peer: &Peer, number: u32) {
        if let Some(sending) = self.find(number) {
            app.rewound(peer, &sending.channel);
        }
    }

    pub(super) fn acked<A: LinkApp>(&mut self, app: &A, peer: &Peer, number: u32, seq: Seq) {
        if let Some(sending) = self.find(number) {
            sending.retry.backoff.reset();
            app.acked(peer, &sending.channel, seq);
        }
    }

    /// Reads from the application what a permit allows, and sends it. Returns whether there was
    /// anything.
    pub(super) fn read<A: LinkApp>(
        &mut self,
        app: &A,
        peer: &Peer,
        session: &mut Session,
        permit: ReadPermit,
        now: Instant,
    ) -> bool {
        let Some(sending) = self.find(permit.channel) else {
            session.refuse(permit.channel, Refusal::new(ENDED, "no longer sent"));
            return false;
        };
        match app.read(
            peer,
            &sending.channel,
            permit.after,
            permit.max_records,
            permit.max_bytes,
        ) {
            Ok(chunk) => session.send(permit, &chunk, now),
            Err(refusal) => {
                session.refuse(permit.channel, refusal.clone());
                self.refused(app, peer, session, (permit.channel, &refusal), now);
                false
            }
        }
    }

    /// What waits on each open channel.
    pub(super) fn backlog<A: LinkApp>(&self, app: &A) -> Vec<ChannelBacklog> {
        self.sending
            .iter()
            .filter_map(|sending| {
                Some(ChannelBacklog {
                    channel: sending.number?,
                    backlog: app.backlog(&sending.channel),
                })
            })
            .collect()
    }

    fn look_at_latest(&mut self, at: Instant) {
        self.look_at = Some(self.look_at.map_or(at, |look_at| look_at.min(at)));
    }

    fn find(&mut self, number: u32) -> Option<&mut Sending> {
        self.sending
            .iter_mut()
            .find(|sending| sending.number == Some(number))
    }

    fn fresh_retry(&self) -> Retry {
        let (min, max) = self.retry;
        let min = min.max(Duration::from_millis(1));
        Retry {
            backoff: Backoff::new(min, max.max(min)).expect("0 < min <= max holds above"),
            at: None,
        }
    }
}
