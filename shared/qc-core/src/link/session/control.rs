//! Control messages: who may say what when, greetings, heartbeats.

use std::time::Duration;

use super::{BROKEN, Event, Now, Phase, Session, Side, micros};
use crate::link::app::PeerHeartbeat;
use crate::link::codes::{VERSION, WRONG_NODE};
use crate::wire::{CALLS, ChannelBacklog, Control, Greeting, Heartbeat, PARTS, Refusal, Status};

impl Session {
    /// Sends a heartbeat with what waits here, and how this node fares.
    /// As long as there is a `notice` for the peer, it goes along.
    pub fn heartbeat(
        &mut self,
        backlog: Vec<ChannelBacklog>,
        status: Status,
        notice: Option<Refusal>,
        now: Now,
    ) {
        if self.phase != Phase::Open {
            return;
        }
        let (echo_us, held_us) = self.echo.map_or((0, 0), |(echo, at)| {
            (echo, micros(now.instant.saturating_duration_since(at)))
        });
        let beat = Heartbeat {
            time: now.wall,
            sent_us: micros(now.instant.saturating_duration_since(self.started)).max(1),
            echo_us,
            held_us,
            durable: self
                .inbound
                .values()
                .filter(|inbound| inbound.accepted)
                .map(|inbound| inbound.position())
                .collect(),
            backlog,
            notice,
        };
        self.tell_received();
        self.put(&Control::Heartbeat(beat));
        self.put(&Control::Status(status));
    }

    pub(super) fn on_control(&mut self, control: Control, now: Now) -> Result<(), Refusal> {
        match (self.phase, control) {
            (_, Control::Close(refusal)) => {
                self.end(refusal, true);
                Ok(())
            }
            (Phase::Greeting, Control::Hello(greeting)) if self.side == Side::Acceptor => {
                let version = self.check(&greeting)?;
                let answer = self.greeting((version, version), now);
                self.put(&Control::Welcome(answer));
                self.establish(greeting, now);
                Ok(())
            }
            (Phase::Greeting, Control::Welcome(greeting)) if self.side == Side::Dialer => {
                self.check(&greeting)?;
                self.establish(greeting, now);
                Ok(())
            }
            (Phase::Greeting, _) => Err(Refusal::new(BROKEN, "no greeting first")),
            (_, Control::Hello(_) | Control::Welcome(_)) => {
                Err(Refusal::new(BROKEN, "a greeting out of turn"))
            }
            (_, Control::Open(open)) => self.on_open(open),
            (_, Control::OpenAck(ack)) => self.on_open_ack(&ack),
            (_, Control::Ack(ack)) => self.on_ack(ack, now.instant),
            (_, Control::Refuse(number, refusal)) => {
                self.check_number(number)?;
                if self.forget(number) {
                    self.events.push_back(Event::Refused(number, refusal));
                }
                Ok(())
            }
            (_, Control::Subscribe(number, subscribe)) => self.on_subscribe(number, subscribe),
            (_, Control::SubscribeAck(number)) => {
                self.check_number(number)?;
                if self.subscriptions.contains_key(&number) {
                    self.events.push_back(Event::Subscribed(number));
                }
                Ok(())
            }
            (_, Control::Heartbeat(beat)) => self.on_heartbeat(beat, now),
            (_, Control::Call(number, call)) => self.on_call(number, call),
            (_, Control::CallCredit(number, bytes)) => self.on_call_credit(number, bytes),
            (_, Control::CallEnd(number)) => self.on_call_end(number),
            (_, Control::Received(bytes)) => self.pace.on_received(bytes, now.instant),
            (_, Control::Status(status)) => {
                self.events.push_back(Event::Status(status));
                Ok(())
            }
        }
    }

    pub(super) fn greeting(&self, versions: (u32, u32), now: Now) -> Greeting {
        Greeting {
            version_min: versions.0,
            version_max: versions.1,
            features: CALLS | PARTS,
            node: self.config.node.clone(),
            software: self.config.software.clone(),
            time: now.wall,
            heartbeat: self.config.heartbeat,
            window: self.config.window,
            instance: self.config.instance,
        }
    }

    /// The newest version that both speak.
    fn check(&self, greeting: &Greeting) -> Result<u32, Refusal> {
        if greeting.node == self.config.node {
            let reason = format!("{} has dialled itself", self.config.node);
            return Err(Refusal::new(WRONG_NODE, reason));
        }
        if greeting.node != self.peer {
            return Err(Refusal::new(
                WRONG_NODE,
                format!("{} greets as {}", self.peer, greeting.node),
            ));
        }
        let (oldest, newest) = self.config.versions;
        let common = newest.min(greeting.version_max);
        if common >= oldest.max(greeting.version_min) {
            return Ok(common);
        }
        let older = if greeting.version_max < oldest {
            &self.peer
        } else {
            &self.config.node
        };
        Err(Refusal::new(
            VERSION,
            format!(
                "{} ({}) speaks protocol {} to {}, {} ({}) {oldest} to {newest}: upgrade {older}",
                self.peer,
                greeting.software,
                greeting.version_min,
                greeting.version_max,
                self.config.node,
                self.config.software,
            ),
        ))
    }

    fn establish(&mut self, greeting: Greeting, now: Now) {
        self.phase = Phase::Open;
        self.peer_heartbeat = greeting.heartbeat;
        self.peer_features = greeting.features;
        // what is sent and not acknowledged costs memory here, too
        self.peer_window = greeting.window.min(self.config.window);
        self.next_heartbeat = now.instant;
        self.events.push_back(Event::Established(greeting));
    }

    fn on_heartbeat(&mut self, beat: Heartbeat, now: Now) -> Result<(), Refusal> {
        let mine = micros(now.instant.saturating_duration_since(self.started));
        let rtt = (beat.echo_us != 0)
            .then(|| mine.checked_sub(beat.echo_us)?.checked_sub(beat.held_us))
            .flatten()
            .map(Duration::from_micros);
        let is_echo = (1..=mine).contains(&beat.echo_us);
        let echoed = is_echo.then(|| self.started + Duration::from_micros(beat.echo_us));
        self.echo = Some((beat.sent_us, now.instant));
        for durable in beat.durable {
            let answered = self
                .outbound
                .get(&durable.channel)
                .is_none_or(|outbound| outbound.ready);
            if answered {
                self.on_ack(durable, now.instant)?;
            }
        }
        let backlog = beat
            .backlog
            .into_iter()
            .filter_map(|waiting| {
                let inbound = self.inbound.get(&waiting.channel)?;
                Some((inbound.open.clone(), waiting.backlog))
            })
            .collect();
        self.events.push_back(Event::Heartbeat(PeerHeartbeat {
            time: beat.time,
            rtt,
            echoed,
            backlog,
            notice: beat.notice,
        }));
        Ok(())
    }
}
