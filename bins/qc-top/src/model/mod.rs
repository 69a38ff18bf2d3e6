//! What the live view knows, and how events change it. No terminal, no clock, no socket in here:
//! `now` is the monotonic time since the start.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use qc_core::admin::api::NodeState;
use qc_core::failure::Failure;
use qc_core::filter::{Filter, MAX_FILTER};

use crate::cli::Options;
use crate::fleet::{FIELDS, Row, Snapshot, SortBy, clean};
use crate::keys::{Action, action};
use crate::theme::Theme;
use crate::view::{last_top, page_rows};

/// What happens to the view.
#[derive(Debug)]
pub(crate) enum Event {
    /// A second has passed.
    Tick,
    Key(KeyEvent),
    /// Text came at once from the clipboard.
    Paste(String),
    Resize(u16, u16),
    Answer(Box<Snapshot>),
    NoAnswer(Outage),
    /// The page must be drawn anew: the process was stopped and goes on.
    Continued,
    /// A signal or a terminal that is gone ends the view with this exit code.
    Leave(u8),
}

/// What the rim has to do after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    /// Ask the relay this often from now on.
    Interval(Duration),
    Redraw,
    Suspend,
    Quit,
    QuitAndPrint,
    Leave(u8),
}

/// Why the relay does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) code: &'static str,
    pub(crate) reason: String,
    pub(crate) help: Option<String>,
}

/// The filter line while it is typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Prompt {
    pub(crate) text: String,
    pub(crate) error: Option<String>,
}

/// The state of the live view.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) theme: Theme,
    pub(crate) size: (u16, u16),
    pub(crate) now: Duration,
    pub(crate) interval: Duration,
    pub(crate) filter: Filter,
    pub(crate) sort: SortBy,
    pub(crate) reverse: bool,
    pub(crate) problems_only: bool,
    /// The first line of the help pane while it is open.
    pub(crate) help: Option<usize>,
    pub(crate) prompt: Option<Prompt>,
    /// What is shown, and when it came.
    pub(crate) shown: Option<(Snapshot, Duration)>,
    /// Since when nothing new is shown.
    pub(crate) frozen: Option<Duration>,
    /// The newest answer while frozen.
    held: Option<(Snapshot, Duration)>,
    /// Since when the relay does not answer, and why.
    pub(crate) outage: Option<(Duration, Outage)>,
    /// Duplicates and refusals a second, from the last two answers.
    pub(crate) dedup_per_s: f64,
    pub(crate) refused_per_s: f64,
    last_counters: Option<(Duration, u64, u64)>,
    /// Rows of `shown` that pass, in order.
    pub(crate) order: Vec<usize>,
    /// The key of the row that was moved to; without, the first is explained.
    selected: Option<String>,
    /// The first row on the page, as an index into `order`.
    pub(crate) top: usize,
    history: HashMap<String, Backlogs>,
    answers: u64,
    count: Option<u64>,
}

/// The minutes of a node's backlog that the little graph shows.
pub(crate) const HISTORY_MINUTES: usize = 10;

/// A node's largest backlog in each of the last minutes, newest last.
#[derive(Debug, Default)]
struct Backlogs(VecDeque<(u64, u64)>);

const INTERVALS_S: &[u64] = &[1, 2, 5, 10, 30, 60];

impl Model {
    /// A view of `size` that has not heard of the relay yet.
    pub(crate) fn new(options: &Options, size: (u16, u16)) -> Self {
        Self {
            theme: options.theme,
            size,
            now: Duration::ZERO,
            interval: options.interval,
            filter: options.filter.clone(),
            sort: options.sort,
            reverse: options.reverse,
            problems_only: false,
            help: None,
            prompt: None,
            shown: None,
            frozen: None,
            held: None,
            outage: None,
            dedup_per_s: 0.0,
            refused_per_s: 0.0,
            last_counters: None,
            order: Vec::new(),
            selected: None,
            top: 0,
            history: HashMap::new(),
            answers: 0,
            count: options.count,
        }
    }

    /// The snapshot on the page.
    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.shown.as_ref().map(|(snapshot, _)| snapshot)
    }

    /// The row at a place in the order.
    pub(crate) fn row(&self, at: usize) -> Option<&Row> {
        self.snapshot()?.rows.get(*self.order.get(at)?)
    }

    /// The place of the row that was moved to.
    pub(crate) fn selected(&self) -> Option<usize> {
        let key = self.selected.as_deref()?;
        (0..self.order.len()).find(|at| self.row(*at).is_some_and(|row| row.key() == key))
    }

    /// A node's backlog, minute by minute up to now; `None` where nothing is known.
    pub(crate) fn history(&self, key: &str) -> [Option<u64>; HISTORY_MINUTES] {
        let mut minutes = [None; HISTORY_MINUTES];
        let now = self.now.as_secs() / 60;
        for (minute, backlog) in self.history.get(key).into_iter().flat_map(|h| &h.0) {
            let ago = usize::try_from(now.saturating_sub(*minute)).unwrap_or(usize::MAX);
            let slot = HISTORY_MINUTES
                .checked_sub(ago + 1)
                .and_then(|at| minutes.get_mut(at));
            if let Some(slot) = slot {
                *slot = Some(*backlog);
            }
        }
        minutes
    }

    fn take(&mut self, snapshot: Snapshot) -> Effect {
        self.outage = None;
        self.answers += 1;
        let (dedup, refused) = (snapshot.totals.dedup, snapshot.totals.refused);
        if let Some((then, old_dedup, old_refused)) = self.last_counters {
            let seconds = self.now.saturating_sub(then).as_secs_f64().max(0.001);
            self.dedup_per_s = per_second(dedup, old_dedup, seconds);
            self.refused_per_s = per_second(refused, old_refused, seconds);
        }
        self.last_counters = Some((self.now, dedup, refused));
        self.remember(&snapshot);
        if self.frozen.is_some() {
            self.held = Some((snapshot, self.now));
        } else {
            self.shown = Some((snapshot, self.now));
            self.arrange();
        }
        if self.count.is_some_and(|count| self.answers >= count) {
            Effect::QuitAndPrint
        } else {
            Effect::None
        }
    }

    fn remember(&mut self, snapshot: &Snapshot) {
        let minute = self.now.as_secs() / 60;
        let mut kept = HashMap::with_capacity(snapshot.rows.len());
        for row in &snapshot.rows {
            let key = row.key();
            let mut backlogs = self.history.remove(&key).unwrap_or_default();
            backlogs.add(minute, row.numbers.backlog);
            kept.insert(key, backlogs);
        }
        self.history = kept; // forgets the nodes that are gone
    }

    /// Filters and sorts anew, and keeps the page around the selected row.
    fn arrange(&mut self) {
        let Some((snapshot, _)) = &self.shown else {
            return;
        };
        self.order = snapshot.select(&self.filter, self.sort, self.reverse);
        if self.problems_only {
            let rows = &snapshot.rows;
            let problem = |at: &usize| {
                rows.get(*at)
                    .is_some_and(|row| row.numbers.state != NodeState::Ok)
            };
            self.order.retain(problem);
        }
        self.keep_in_view();
    }

    fn keep_in_view(&mut self) {
        let page = page_rows(self.size).max(1);
        let last_top = self.order.len().saturating_sub(page);
        self.top = self.top.min(last_top);
        if let Some(at) = self.selected() {
            self.top = self.top.clamp((at + 1).saturating_sub(page), at);
        }
    }

    fn select(&mut self, at: usize) {
        let last = self.order.len().saturating_sub(1);
        self.selected = self.row(at.min(last)).map(Row::key);
        self.keep_in_view();
    }

    fn freeze(&mut self) {
        if self.frozen.take().is_none() {
            self.frozen = Some(self.now);
        } else if let Some(held) = self.held.take() {
            self.shown = Some(held);
            self.arrange();
        }
    }

    fn change_interval(&mut self, slower: bool) -> Effect {
        let steps = INTERVALS_S.iter().map(|s| Duration::from_secs(*s));
        let next = if slower {
            steps.into_iter().find(|step| *step > self.interval)
        } else {
            steps.rev().find(|step| *step < self.interval)
        };
        match next {
            Some(next) => {
                self.interval = next;
                Effect::Interval(next)
            }
            None => Effect::None,
        }
    }
}

/// Changes `model` by `event`, which happens at `now`.
pub(crate) fn update(model: &mut Model, event: Event, now: Duration) -> Effect {
    model.now = now;
    match event {
        Event::Tick => Effect::None,
        Event::Answer(snapshot) => model.take(*snapshot),
        Event::NoAnswer(outage) => {
            let since = model.outage.as_ref().map_or(now, |(since, _)| *since);
            model.outage = Some((since, outage));
            Effect::None
        }
        Event::Resize(width, height) => {
            model.size = (width, height);
            model.keep_in_view();
            Effect::None
        }
        Event::Continued => Effect::Redraw,
        Event::Leave(code) => Effect::Leave(code),
        Event::Paste(text) => {
            if let Some(prompt) = &mut model.prompt {
                text.chars().for_each(|c| prompt.push(c));
            }
            Effect::None
        }
        Event::Key(key) if model.prompt.is_some() => type_filter(model, key),
        Event::Key(key) => action(key).map_or(Effect::None, |action| act(model, action)),
    }
}

fn act(model: &mut Model, action: Action) -> Effect {
    let page = page_rows(model.size).max(1);
    let at = model.selected();
    if let Some(from) = model.help {
        let last = last_top(model.size.1);
        match action {
            Action::Down => model.help = Some((from + 1).min(last)),
            Action::Up => model.help = Some(from.saturating_sub(1)),
            Action::PageDown => model.help = Some(last),
            Action::PageUp => model.help = Some(0),
            Action::Quit | Action::QuitAndPrint | Action::Suspend | Action::Redraw => {
                return leave_or_redraw(action);
            }
            _ => model.help = None,
        }
        return Effect::None;
    }
    match action {
        Action::Down => model.select(at.map_or(0, |at| at + 1)),
        Action::Up => model.select(at.map_or(0, |at| at.saturating_sub(1))),
        Action::PageDown => model.select(at.unwrap_or(model.top) + page),
        Action::PageUp => model.select(at.unwrap_or(model.top).saturating_sub(page)),
        Action::First => model.select(0),
        Action::Last => model.select(usize::MAX),
        Action::Filter => {
            model.prompt = Some(Prompt {
                text: model.filter.as_str().to_owned(),
                error: None,
            });
        }
        Action::Sort => {
            model.sort = model.sort.next();
            model.reverse = false;
            model.arrange();
        }
        Action::Reverse => {
            model.reverse = !model.reverse;
            model.arrange();
        }
        Action::Problems => {
            model.problems_only = !model.problems_only;
            model.arrange();
        }
        Action::Freeze => model.freeze(),
        Action::Slower => return model.change_interval(true),
        Action::Faster => return model.change_interval(false),
        Action::Help => model.help = Some(0),
        Action::Back => {
            model.selected = None;
            model.top = 0;
        }
        Action::Redraw | Action::Suspend | Action::Quit | Action::QuitAndPrint => {
            return leave_or_redraw(action);
        }
    }
    Effect::None
}

fn leave_or_redraw(action: Action) -> Effect {
    match action {
        Action::Redraw => Effect::Redraw,
        Action::Suspend => Effect::Suspend,
        Action::Quit => Effect::Quit,
        Action::QuitAndPrint => Effect::QuitAndPrint,
        _ => Effect::None,
    }
}

fn type_filter(model: &mut Model, key: KeyEvent) -> Effect {
    let Some(prompt) = &mut model.prompt else {
        return Effect::None;
    };
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Esc => model.prompt = None,
        KeyCode::Char('c') if control => model.prompt = None,
        KeyCode::Char('z') if control => return Effect::Suspend,
        KeyCode::Char('l') if control => return Effect::Redraw,
        KeyCode::Char('u') if control => *prompt = Prompt::default(),
        KeyCode::Char('w') if control => {
            let kept = prompt.text.trim_end().rfind(' ').map_or(0, |at| at + 1);
            prompt.text.truncate(kept);
            prompt.error = None;
        }
        KeyCode::Backspace => {
            prompt.text.pop();
            prompt.error = None;
        }
        KeyCode::Enter => match Filter::parse(&prompt.text, FIELDS) {
            Ok(filter) => {
                model.filter = filter;
                model.prompt = None;
                model.top = 0;
                model.arrange();
            }
            Err(error) => prompt.error = Some(error.to_string()),
        },
        KeyCode::Char(c) if !control => prompt.push(c),
        _ => {}
    }
    Effect::None
}

impl Prompt {
    fn push(&mut self, c: char) {
        if !c.is_control() && self.text.len() + c.len_utf8() <= MAX_FILTER {
            self.text.push(c);
            self.error = None;
        }
    }
}

impl Outage {
    /// What a failed question says about the relay.
    pub(crate) fn of(failure: &Failure, ascii: bool) -> Self {
        let because = failure.cause.last().map(|cause| format!(": {cause}"));
        Self {
            code: failure.code,
            reason: clean(
                &format!("{}{}", failure.message, because.unwrap_or_default()),
                ascii,
            ),
            help: failure.help.first().map(|step| clean(step, ascii)),
        }
    }
}

impl Backlogs {
    fn add(&mut self, minute: u64, backlog: u64) {
        match self.0.back_mut() {
            Some((last, most)) if *last == minute => *most = backlog.max(*most),
            _ => self.0.push_back((minute, backlog)),
        }
        if self.0.len() > HISTORY_MINUTES {
            self.0.pop_front();
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is shown with three digits"
)]
fn per_second(new: u64, old: u64, seconds: f64) -> f64 {
    new.saturating_sub(old) as f64 / seconds // a relay that restarted counts from 0
}

#[cfg(test)]
mod tests;
