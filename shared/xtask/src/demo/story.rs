//! The scenario: data flows, the link is cut, both edges are killed, and in the end everything lies at
//! site B once, as it was given to site A.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use qc_core::admin::api::{Ledger as Books, LedgerRow};
use qc_core::cli::{Exit, Failure, Globals, human_duration};
use qc_core::clock::{Clock as _, SystemClock};
use serde::Serialize;

use super::chaos::Chaos;
use super::input::{Content, Delivery, Input, Portion, STREAMS, WEATHER};
use super::post::post;
use super::site::{Node, Site};
use super::{Ledger, Pace, Row, Step, disk, trouble};

/// What the scenario came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Told {
    /// The closing account.
    pub ledger: Ledger,
    /// The most that waited at site A while the link was cut.
    pub waited_at_site_a: u64,
    /// The most that waited at the relay while edge B was dead.
    pub waited_at_relay: u64,
    /// Deliveries that were posted a second time and answered as known.
    pub known_again: u64,
    /// The kill that chance chose, if it was asked to.
    pub chance: Option<Struck>,
    /// From the start of the nodes until everything had arrived.
    pub seconds: f64,
}

/// A kill that chance chose.
#[derive(Debug, Clone, Serialize)]
pub struct Struck {
    /// The node.
    pub node: &'static str,
    /// When, after the start of the nodes.
    pub after_ms: u64,
    /// What the scenario was doing.
    pub during: String,
}

/// The scenario while it runs.
pub struct Story<'a> {
    site: &'a Site,
    input: &'a Input,
    pace: &'a Pace,
    globals: &'a Globals,
    clock: SystemClock,
    started: Instant,
    portions: VecDeque<Portion>,
    next_portion: Instant,
    posts: VecDeque<Delivery>,
    chaos: Option<Chaos>,
    label: String,
    told: Told,
}

const GLANCE: Duration = Duration::from_millis(10);
/// How long an account must stay as it is before it is final although it does not balance.
const STAYS: Duration = Duration::from_secs(3);
/// Time between two looks at what has arrived, which reads files.
const LOOK: Duration = Duration::from_millis(200);

impl<'a> Story<'a> {
    /// A scenario over a site whose relay runs and whose edges are enrolled.
    pub fn new(
        site: &'a Site,
        input: &'a Input,
        pace: &'a Pace,
        globals: &'a Globals,
        chaos: Option<u64>,
    ) -> Self {
        let clock = SystemClock::default();
        let now = clock.instant();
        Self {
            site,
            input,
            pace,
            globals,
            clock,
            started: now,
            portions: input.portions.iter().cloned().collect(),
            next_portion: now,
            posts: VecDeque::new(),
            chaos: chaos.map(|seed| Chaos::begin(seed, pace.span(), site)),
            label: String::new(),
            told: Told::default(),
        }
    }

    /// Tells it.
    pub fn tell(mut self) -> Result<Told, Failure> {
        let quarter = self.portions.len() / 4;
        let left = |quarters: usize| quarter * quarters;

        self.feed("data flows", left(3), |story| {
            let arrived = story.arrived()?;
            Ok((arrived > 0).then(|| format!("{arrived} messages arrived at site B")))
        })?;

        self.site.cut().sever();
        self.feed("link of site A is cut", left(2), |story| {
            let waiting = story.waiting_at_a();
            Ok((waiting > 0).then(|| format!("waiting at site A: {waiting}")))
        })?;
        let progress = self.step("SIGKILL to edge-a", 0);
        self.site.kill(Node::EdgeA)?;
        self.give_for(self.pace.interval)?;
        self.site.restart(Node::EdgeA)?;
        self.waiting_at_a();
        progress.finish(&format!(
            "restarted, waiting at site A: {}",
            self.told.waited_at_site_a
        ));

        self.site.cut().restore();
        self.feed("link is restored", left(1), |story| {
            let drained = story.site.waiting_at_a() == Some(0);
            Ok(drained.then(|| "waiting at site A: 0".to_owned()))
        })?;

        let progress = self.step("SIGKILL to edge-b", 0);
        self.site.kill(Node::EdgeB)?;
        self.give_for(self.pace.interval * 2)?;
        self.see_waiting_at_relay();
        self.site.restart(Node::EdgeB)?;
        progress.finish(&format!(
            "restarted, waited at the relay: {}",
            self.told.waited_at_relay
        ));

        self.feed("the rest is given", 0, |story| {
            Ok(story
                .posts
                .is_empty()
                .then(|| format!("{} messages", story.input.messages())))
        })?;
        self.settle()?;
        Ok(self.told)
    }

    /// Gives portions until `left` remain and `seen` has something to say, which closes the step.
    fn feed(
        &mut self,
        label: &str,
        left: usize,
        seen: impl Fn(&mut Self) -> Result<Option<String>, Failure>,
    ) -> Result<(), Failure> {
        let total = self.input.messages();
        let mut progress = self.step(label, total);
        let begun = self.clock.instant();
        let mut looked = begun;
        loop {
            self.tick(left)?;
            let now = self.clock.instant();
            if now.duration_since(looked) >= LOOK.min(self.pace.interval) {
                looked = now;
                progress.set(self.arrived()?.min(total));
                let remark = seen(self)?;
                if let (true, Some(remark)) = (self.portions.len() <= left, remark) {
                    progress.finish(&remark);
                    return Ok(());
                }
            }
            if now.duration_since(begun) >= self.pace.patience {
                let message = format!(
                    "nothing came of it within {}",
                    human_duration(self.pace.patience)
                );
                return Err(self.stuck(&format!("{label}: {message}")));
            }
            thread::sleep(GLANCE);
        }
    }

    /// Waits until nothing waits any more.
    fn settle(&mut self) -> Result<(), Failure> {
        let total = self.input.messages();
        let mut progress = self.step("everything arrives", total);
        let begun = self.clock.instant();
        let mut empty_since = begun;
        loop {
            self.tick(0)?;
            let arrived = self.arrived()?;
            if arrived < total {
                empty_since = self.clock.instant();
            }
            progress.set(arrived.min(total));
            let chance_is_over = self.chaos.as_ref().is_none_or(Chaos::is_over);
            let late = self.clock.instant().duration_since(begun) >= self.pace.patience;
            if (arrived >= total && chance_is_over) || late {
                self.tick(0)?;
                if let Some(ledger) = self.account()? {
                    let now = self.clock.instant();
                    if ledger.waiting() > 0 {
                        empty_since = now;
                    }
                    // what does not balance may still be under way between two processes
                    let stays = now.duration_since(empty_since) >= STAYS;
                    let settled = ledger.waiting() == 0 && (ledger.balances() || stays);
                    if settled || late {
                        self.told.ledger = ledger;
                        self.told.seconds = seconds(self.clock.instant() - self.started);
                        progress.finish(&format!("{arrived} of {total}"));
                        return Ok(());
                    }
                } else if late {
                    return Err(self.stuck("a node does not answer"));
                }
            }
            thread::sleep(GLANCE * 3);
        }
    }

    /// Gives what is due, keeps posting what was not answered, starts what chance has killed.
    fn tick(&mut self, left: usize) -> Result<(), Failure> {
        let now = self.clock.instant();
        if self.portions.len() > left && now >= self.next_portion {
            self.next_portion = now + self.pace.interval;
            if let Some(portion) = self.portions.pop_front() {
                self.give(portion)?;
            }
        }
        if let Some(delivery) = self.posts.front().cloned()
            && let Ok(status) = self.post(&delivery)
        {
            match status {
                200 | 201 => {
                    self.told.known_again += u64::from(status == 200 && delivery.again);
                    self.posts.pop_front();
                }
                // the edge is starting, stopping or full: it is sent again
                408 | 429 | 503 | 507 => {}
                _ => {
                    let message = format!("site A's webhook answered {status} to {}", delivery.id);
                    return Err(trouble(message));
                }
            }
        }
        self.note_chance();
        self.site.mend()
    }

    fn note_chance(&mut self) {
        if let (Some(chaos), None) = (&self.chaos, &self.told.chance)
            && chaos.is_over()
        {
            self.told.chance = Some(Struck {
                node: chaos.node.name(),
                after_ms: u64::try_from(chaos.after.as_millis()).unwrap_or(u64::MAX),
                during: self.label.clone(),
            });
        }
    }

    fn give(&mut self, portion: Portion) -> Result<(), Failure> {
        for (name, content) in &portion.files {
            write(&self.site.drop_files().join(name), content)?;
        }
        if let Some((name, content)) = &portion.lines {
            write(&self.site.drop_lines().join(name), content)?;
        }
        self.posts.extend(portion.posts);
        Ok(())
    }

    fn give_for(&mut self, time: Duration) -> Result<(), Failure> {
        let begun = self.clock.instant();
        while self.clock.instant().duration_since(begun) < time {
            self.tick(0)?;
            thread::sleep(GLANCE);
        }
        Ok(())
    }

    fn post(&self, delivery: &Delivery) -> std::io::Result<u16> {
        let headers = [
            ("X-GitHub-Delivery", delivery.id.as_str()),
            ("X-GitHub-Event", delivery.event.as_str()),
            ("Content-Type", "application/json"),
        ];
        post(self.site.webhook(), "/github", &headers, &delivery.body)
    }

    fn step(&mut self, label: &str, total: u64) -> Step {
        label.clone_into(&mut self.label);
        Step::start(self.globals, label, total)
    }

    fn waiting_at_a(&mut self) -> u64 {
        let waiting = self.site.waiting_at_a().unwrap_or(0);
        self.told.waited_at_site_a = self.told.waited_at_site_a.max(waiting);
        waiting
    }

    fn see_waiting_at_relay(&mut self) {
        let pending = self
            .site
            .ledger(Node::Relay)
            .map_or(0, |books| books.rows.iter().map(|row| row.pending).sum());
        self.told.waited_at_relay = self.told.waited_at_relay.max(pending);
    }

    fn lies_at_b(&self, stream: &str) -> Result<Content, Failure> {
        let folder = self.site.delivered(stream);
        if stream == WEATHER {
            Content::of_lines(&folder)
        } else {
            Content::of_folder(&folder)
        }
    }

    fn arrived(&self) -> Result<u64, Failure> {
        let mut arrived = 0;
        for stream in STREAMS {
            arrived += self.lies_at_b(stream)?.total();
        }
        Ok(arrived)
    }

    /// The account, if every node answers.
    fn account(&self) -> Result<Option<Ledger>, Failure> {
        let Some(books) = self.site.ledgers() else {
            return Ok(None);
        };
        let mut ledger = Ledger::default();
        for stream in STREAMS {
            ledger.rows.push(self.row(stream, &books)?);
        }
        Ok(Some(ledger))
    }

    fn row(&self, stream: &str, [relay, a, b]: &[Books; 3]) -> Result<Row, Failure> {
        let expected = self.input.expected(stream);
        let compared = self.lies_at_b(stream)?.compare(&expected);
        let sum = |books: &Books, of: fn(&LedgerRow) -> u64| -> u64 {
            let rows = books
                .rows
                .iter()
                .filter(|row| row.stream.split(' ').next() == Some(stream));
            rows.map(of).sum()
        };
        let all = |of| sum(relay, of) + sum(a, of) + sum(b, of);
        let taken_in = sum(a, |row| row.received);
        let at_relay = sum(relay, |row| row.received);
        let sent = taken_in.saturating_sub(sum(a, |row| row.pending));
        Ok(Row {
            stream: stream.to_owned(),
            given: expected.total(),
            taken_in,
            again: sent.saturating_sub(at_relay),
            at_relay,
            delivered: compared.right,
            stored: all(|row| row.pending),
            gaps: all(|row| row.gaps),
            duplicates: compared.extra,
        })
    }

    fn stuck(&self, message: &str) -> Failure {
        Failure::new(Exit::Waiting, crate::CHORE, message).help(format!(
            "see the logs in {}",
            self.site.dir().join("logs").display()
        ))
    }
}

/// Puts a file into a drop folder as any program does: created and written, no rename.
fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    File::create(path)
        .and_then(|mut file| file.write_all(content))
        .map_err(|error| disk(path, &error))
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}
