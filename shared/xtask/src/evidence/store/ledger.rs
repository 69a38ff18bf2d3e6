//! The judge: what a workload was told, held against what is there after the next opening.
//!
//! It knows nothing of the engine. Every acknowledged message must be there under its seq, once, in
//! order and with its bytes, up to the trims that were asked for; nothing may be there that was not sent
//! or that was refused; a consumer stands where a commit was acknowledged, or asked for later. What one
//! opening has shown is held like an acknowledgement from then on, since readers have seen it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::line::Line;
use super::message::STREAMS;

/// All that was acknowledged in one store, over all its processes.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    streams: BTreeMap<u64, Stream>,
    cursors: BTreeMap<(u64, u64), Span>,
    /// What is told between an opening and its end.
    found: Vec<(u64, u64)>,
    found_cursors: BTreeMap<(u64, u64), u64>,
    faults: Vec<String>,
    /// Messages that were acknowledged.
    pub(super) acked: u64,
    /// Records that were found and compared.
    pub(super) compared: u64,
    /// Refusals because the store was full.
    pub(super) refused: u64,
}

#[derive(Debug, Clone, Default)]
struct Stream {
    /// What must be there: number by seq.
    there: BTreeMap<u64, u64>,
    seqs: HashMap<u64, u64>,
    /// Sent, and nobody knows whether it is there.
    unsure: BTreeSet<u64>,
    /// Messages of this stream, counted within it, that were ever sent.
    sent: u64,
    trim: Span,
}

/// A position: it was asked to go to one place, and it was acknowledged to be at the other.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    asked: u64,
    done: u64,
}

impl Ledger {
    /// Takes in one line of a process.
    pub(super) fn take(&mut self, line: &Line) {
        match line {
            Line::Opening { .. } => {
                self.found.clear();
                self.found_cursors.clear();
            }
            Line::Reported(what) => self.fault(format!("the opening reports: {what}")),
            Line::Wrong(what) => self.fault(what.clone()),
            Line::Found { number, seq } => self.found.push((*number, *seq)),
            Line::Cursor {
                consumer,
                stream,
                seq,
            } => {
                self.found_cursors.insert((*consumer, *stream), *seq);
            }
            Line::Sending { number } => self.stream(*number).send_up_to(*number),
            Line::Acked { number, seq, late } => {
                self.acked += 1;
                if *late {
                    self.fault(format!(
                        "message {number} was given after an fdatasync of a segment had failed, and acknowledged"
                    ));
                }
                let known = self.stream(*number).acknowledge(*number, *seq);
                self.faults.extend(known.err());
            }
            Line::Refused { number } => {
                self.refused += 1;
                self.stream(*number).unsure.remove(number);
            }
            Line::Committing {
                consumer,
                stream,
                seq,
            } => {
                let span = self.cursors.entry((*consumer, *stream)).or_default();
                span.asked = span.asked.max(*seq);
            }
            Line::Committed {
                consumer,
                stream,
                seq,
            } => {
                let span = self.cursors.entry((*consumer, *stream)).or_default();
                span.done = span.done.max(*seq);
            }
            Line::Trimming { stream, seq } => {
                let trim = &mut self.stream(*stream).trim;
                trim.asked = trim.asked.max(*seq);
            }
            Line::Trimmed { stream, seq } => {
                let trim = &mut self.stream(*stream).trim;
                trim.done = trim.done.max(*seq);
                self.stream(*stream).forget_trimmed();
            }
            Line::Opened { .. }
            | Line::OpenFailed(_)
            | Line::Checked
            | Line::ControlRefused(_)
            | Line::Stopped(_)
            | Line::SyncFailed(_)
            | Line::Ended => {}
        }
    }

    /// Judges what the opening has shown, once all of it was told.
    pub(super) fn judge(&mut self) {
        let found = std::mem::take(&mut self.found);
        self.compared += found.len() as u64;
        for number in 0..STREAMS {
            let of_stream = found.iter().filter(|(found, _)| found % STREAMS == number);
            let of_stream: Vec<_> = of_stream.copied().collect();
            let faults = self.stream(number).judge(&of_stream).into_iter();
            self.faults
                .extend(faults.map(|fault| format!("stream {number}: {fault}")));
        }
        let found = std::mem::take(&mut self.found_cursors);
        let mut faults = Vec::new();
        for (&(consumer, stream), span) in &mut self.cursors {
            let at = found.get(&(consumer, stream)).copied().unwrap_or(0);
            if at < span.done || at > span.asked {
                let Span { asked, done } = span;
                faults.push(format!(
                    "consumer {consumer} of stream {stream} stands at {at}: {done} was acknowledged, {asked} asked for"
                ));
            }
            span.done = at;
        }
        let strangers = found.keys().filter(|key| !self.cursors.contains_key(key));
        faults.extend(strangers.map(|(consumer, stream)| {
            format!("consumer {consumer} of stream {stream} never committed")
        }));
        self.faults.extend(faults);
    }

    /// What went wrong since the last call.
    pub(super) fn faults(&mut self) -> Vec<String> {
        std::mem::take(&mut self.faults)
    }

    /// Adds what somebody else saw go wrong.
    pub(super) fn fault(&mut self, what: String) {
        self.faults.push(what);
    }

    /// For each stream the first message that was never sent.
    pub(super) fn next(&self) -> Vec<u64> {
        let sent = |stream| self.streams.get(&stream).map_or(0, |stream| stream.sent);
        (0..STREAMS).map(sent).collect()
    }

    /// What was sent, and nobody knows whether it is there; at most `max` of it.
    pub(super) fn unsure(&self, max: usize) -> Vec<u64> {
        let all = self.streams.values().flat_map(|stream| &stream.unsure);
        all.take(max).copied().collect()
    }

    fn stream(&mut self, number: u64) -> &mut Stream {
        self.streams.entry(number % STREAMS).or_default()
    }
}

impl Stream {
    fn send_up_to(&mut self, number: u64) {
        let (stream, bound) = (number % STREAMS, number / STREAMS + 1);
        self.unsure
            .extend((self.sent..bound).map(|index| index * STREAMS + stream));
        self.sent = self.sent.max(bound);
    }

    fn acknowledge(&mut self, number: u64, seq: u64) -> Result<(), String> {
        self.unsure.remove(&number);
        if let Some(earlier) = self.seqs.get(&number).filter(|earlier| **earlier != seq) {
            return Err(format!(
                "message {number} is acknowledged as {earlier} and as {seq}"
            ));
        }
        if let Some(other) = self.there.get(&seq).filter(|other| **other != number) {
            return Err(format!(
                "seq {seq} is acknowledged for message {other} and for {number}"
            ));
        }
        self.there.insert(seq, number);
        self.seqs.insert(number, seq);
        self.forget_trimmed();
        Ok(())
    }

    fn judge(&mut self, found: &[(u64, u64)]) -> Vec<String> {
        let mut faults = Vec::new();
        let mut numbers = BTreeSet::new();
        let mut before = 0;
        for &(number, seq) in found {
            if seq <= before {
                faults.push(format!("seq {seq} comes after {before}"));
            }
            before = seq;
            if !numbers.insert(number) {
                faults.push(format!(
                    "message {number} is there twice, the second time as {seq}"
                ));
            }
            if seq <= self.trim.done {
                faults.push(format!(
                    "seq {seq} is there, trimmed up to {}",
                    self.trim.done
                ));
            }
            match self.there.get(&seq) {
                Some(acked) if *acked == number => {}
                Some(acked) => faults.push(format!("seq {seq} holds message {number}, acknowledged was {acked}")),
                None if self.unsure.contains(&number) => {}
                None => faults.push(format!(
                    "seq {seq} holds message {number}, which was never sent, was refused, or is trimmed"
                )),
            }
        }
        let first = found.first().map_or(u64::MAX, |(_, seq)| *seq);
        let seqs: BTreeSet<u64> = found.iter().map(|(_, seq)| *seq).collect();
        // a trim whose acknowledgement nobody heard takes a beginning, or nothing
        let may_be_gone = self.trim.asked.min(first.saturating_sub(1));
        let lost: Vec<u64> = self
            .there
            .range(may_be_gone + 1..)
            .map(|(seq, _)| *seq)
            .filter(|seq| !seqs.contains(seq))
            .collect();
        if let (Some(first), Some(last)) = (lost.first(), lost.last()) {
            faults.push(format!(
                "LOST: {} acknowledged messages, seq {first} to {last}",
                lost.len()
            ));
        }
        // what was lost is told once; the run goes on with what is there
        self.there = found.iter().map(|(number, seq)| (*seq, *number)).collect();
        self.seqs = found.iter().copied().collect();
        for (number, _) in found {
            self.unsure.remove(number);
        }
        faults
    }

    fn forget_trimmed(&mut self) {
        while let Some(entry) = self
            .there
            .first_entry()
            .filter(|entry| *entry.key() <= self.trim.done)
        {
            self.seqs.remove(&entry.remove());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes lines in their written form, judges, and gives what was wrong.
    fn check(lines: &str) -> String {
        let mut ledger = Ledger::default();
        for line in lines.split(", ") {
            ledger.take(&line.parse().unwrap());
        }
        ledger.judge();
        ledger.faults().join("; ")
    }

    const SENT: &str = "o 1, n 13, a 3 1, a 8 2";

    #[test]
    fn what_was_acknowledged_is_there() {
        assert_eq!(check(&format!("{SENT}, o 2, r 3 1, r 8 2")), "");
        assert_eq!(check(&format!("{SENT}, o 2, r 3 1, r 8 2, r 13 3")), "");
        let lost = check(&format!("{SENT}, o 2, r 3 1"));
        assert!(
            lost.contains("LOST: 1 acknowledged messages, seq 2 to 2"),
            "{lost}"
        );
        let lost = check(&format!("{SENT}, o 2"));
        assert!(lost.contains("LOST: 2"), "{lost}");
    }

    #[test]
    fn nothing_else_is_there() {
        let never = check(&format!("{SENT}, o 2, r 3 1, r 8 2, r 18 3"));
        assert!(never.contains("never sent"), "{never}");
        let twice = check(&format!("{SENT}, o 2, r 3 1, r 8 2, r 8 3"));
        assert!(twice.contains("there twice"), "{twice}");
        let order = check(&format!("{SENT}, o 2, r 8 2, r 3 1"));
        assert!(order.contains("comes after"), "{order}");
        let swapped = check(&format!("{SENT}, o 2, r 8 1, r 3 2"));
        assert!(swapped.contains("acknowledged was"), "{swapped}");
        let refused = check(&format!("{SENT}, f 13, o 2, r 3 1, r 8 2, r 13 3"));
        assert!(refused.contains("was refused"), "{refused}");
        let renumbered = check(&format!("{SENT}, a 8 3, o 2, r 3 1, r 8 2"));
        assert!(renumbered.contains("as 2 and as 3"), "{renumbered}");
    }

    #[test]
    fn a_trim_takes_a_beginning_and_no_more() {
        assert_eq!(check(&format!("{SENT}, t 3 1, o 2, r 3 1, r 8 2")), "");
        assert_eq!(check(&format!("{SENT}, t 3 1, o 2, r 8 2")), "");
        assert_eq!(check(&format!("{SENT}, t 3 1, T 3 1, o 2, r 8 2")), "");
        let back = check(&format!("{SENT}, t 3 1, T 3 1, o 2, r 3 1, r 8 2"));
        assert!(back.contains("trimmed up to 1"), "{back}");
        let more = check(&format!("{SENT}, t 3 1, T 3 1, o 2"));
        assert!(more.contains("LOST: 1"), "{more}");
    }

    #[test]
    fn a_consumer_is_neither_behind_nor_ahead() {
        let all = format!("{SENT}, c 4 3 1, C 4 3 1, c 4 3 2, o 2, r 3 1, r 8 2");
        assert_eq!(check(&format!("{all}, u 4 3 1")), "");
        assert_eq!(check(&format!("{all}, u 4 3 2")), "");
        assert!(check(&all).contains("stands at 0"));
        assert!(check(&format!("{all}, u 4 3 3")).contains("stands at 3"));
        let stranger = check(&format!("{all}, u 4 3 2, u 5 3 1"));
        assert!(
            stranger.contains("consumer 5 of stream 3 never committed"),
            "{stranger}"
        );
    }

    #[test]
    fn what_was_shown_stays() {
        let mut ledger = Ledger::default();
        for line in "n 3, o 2, r 3 1".split(", ") {
            ledger.take(&line.parse().unwrap());
        }
        ledger.judge();
        assert!(ledger.faults().is_empty() && ledger.unsure(9).is_empty());
        ledger.take(&Line::Opening { pid: 1 });
        ledger.judge();
        assert!(ledger.faults().concat().contains("LOST: 1"));
        assert_eq!(ledger.next(), [0, 0, 0, 1, 0]);
    }

    #[test]
    fn reports_and_late_acks_are_faults() {
        assert!(check("d torn, o 1").contains("reports: torn"));
        assert!(check("n 3, x 1.seg, l 3 1").contains("had failed, and acknowledged"));
        assert!(check("b strange").contains("strange"));
    }
}
