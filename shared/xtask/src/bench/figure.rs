//! A figure, a run of figures, and how both are printed and kept.

use std::path::PathBuf;
use std::time::Duration;

use qc_core::cli::{Exit, Failure, Table};
use qc_core::durable;
use serde::{Deserialize, Serialize};

use super::{Common, Environment};
use crate::CHORE;
use crate::workspace::Workspace;

/// One measured value: the median of its rounds, and how far they lay apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// Unit of the values, such as `msg/s`.
    pub unit: String,
    /// Median over the rounds.
    pub value: f64,
    /// Smallest round.
    pub low: f64,
    /// Largest round.
    pub high: f64,
    /// Median time of one operation, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<f64>,
    /// The 99th of 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_us: Option<f64>,
    /// The same work by a raw limit or a peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio_to: Option<Ratio>,
    /// What the figure should come to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
}

/// What a figure should come to, and whether it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// Which of the figure's numbers is meant.
    pub of: Of,
    /// From which side the number is bound.
    pub bound: Bound,
    /// The bound.
    pub wanted: f64,
    /// Whether the number lies on the right side of it.
    pub met: bool,
}

/// The number of a figure that a goal binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// [`Figure::value`].
    Value,
    /// [`Ratio::ratio`], and [`Ratio::typical`] where there is one.
    Ratio,
}

/// The side of a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The number may be no less.
    AtLeast,
    /// The number may be no more.
    AtMost,
}

/// What a run was asked for and did not measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// What was not measured.
    pub name: String,
    /// Why.
    pub why: String,
}

/// A figure against another of the same run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// What it is compared with.
    pub to: String,
    /// The other's value, in the figure's unit.
    pub value: f64,
    /// Median over the rounds of figure / other.
    pub ratio: f64,
    /// The same for the typical operation in each one's quieter rounds, so without stalls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typical: Option<f64>,
}

impl Figure {
    /// A figure from the values of its rounds.
    pub fn of_rounds(name: impl Into<String>, unit: impl Into<String>, rounds: &[f64]) -> Self {
        let ends = |pick: fn(f64, f64) -> f64| rounds.iter().copied().reduce(pick).unwrap_or(0.0);
        Self {
            name: name.into(),
            unit: unit.into(),
            value: median(rounds),
            low: ends(f64::min),
            high: ends(f64::max),
            p50_us: None,
            p99_us: None,
            ratio_to: None,
            goal: None,
        }
    }

    /// Sets the goal and judges it. A figure without the number that is meant does not meet it, and a
    /// ratio meets it by its rates and by its typical operation: a stall of the other is no merit.
    #[must_use]
    pub fn wants(mut self, of: Of, bound: Bound, wanted: f64) -> Self {
        let reached = match of {
            Of::Value => Some(self.value),
            Of::Ratio => self.ratio_to.as_ref().map(|ratio| match bound {
                Bound::AtLeast => ratio.ratio.min(ratio.typical.unwrap_or(f64::INFINITY)),
                Bound::AtMost => ratio.ratio.max(ratio.typical.unwrap_or(0.0)),
            }),
        };
        let met = reached.is_some_and(|reached| match bound {
            Bound::AtLeast => reached >= wanted,
            Bound::AtMost => reached <= wanted,
        });
        self.goal = Some(Goal {
            of,
            bound,
            wanted,
            met,
        });
        self
    }

    /// Adds the times of single operations.
    #[must_use]
    pub fn with_times(mut self, times: &mut [Duration]) -> Self {
        self.p50_us = Some(percentile(times, 50));
        self.p99_us = Some(percentile(times, 99));
        self
    }

    /// Compares with `other`, whose rounds were interleaved with this one's: the ratio is the median
    /// of the pairs', so what disturbs both disturbs it little.
    #[must_use]
    pub fn against(mut self, to: impl Into<String>, own: &[f64], other: &[f64]) -> Self {
        let pairs = own.iter().zip(other).filter(|(_, other)| **other > 0.0);
        let ratios: Vec<f64> = pairs.map(|(own, other)| own / other).collect();
        self.ratio_to = Some(Ratio {
            to: to.into(),
            value: median(other),
            ratio: median(&ratios),
            typical: None,
        });
        self
    }

    /// Adds the ratio of the typical operation.
    #[must_use]
    pub fn typically(mut self, typical: f64) -> Self {
        if let Some(ratio) = &mut self.ratio_to {
            ratio.typical = Some(typical);
        }
        self
    }
}

/// All figures of one run, with what a reader needs to repeat it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Version of this format.
    pub schema: String,
    /// Name of the bench; it is kept in `docs/evidence/bench-NAME.json`.
    pub bench: String,
    /// The line that repeats it.
    pub command: String,
    /// Commit that was measured; `-dirty` when files had changed.
    pub commit: String,
    /// Day of the run, as the caller named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// The machine.
    pub environment: Environment,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What was not measured; none of it counts as met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
}

impl Goal {
    /// Such as `ratio >= 0.70 met`.
    fn text(&self) -> String {
        let of = match self.of {
            Of::Value => "",
            Of::Ratio => "ratio ",
        };
        let sign = match self.bound {
            Bound::AtLeast => ">=",
            Bound::AtMost => "<=",
        };
        let met = if self.met { "met" } else { "not met" };
        format!("{of}{sign} {} {met}", short(self.wanted))
    }
}

impl Run {
    /// Version of the format.
    pub const SCHEMA: &str = "qc.bench/1";

    /// The run as a table below its environment.
    pub fn text(&self) -> String {
        let mut table = Table::new(&[
            "FIGURE", ">VALUE", "UNIT", ">LOW", ">HIGH", ">P50 us", ">P99 us", ">RATIO",
            ">TYPICAL", "TO", "GOAL",
        ]);
        for figure in &self.figures {
            let time = |us: Option<f64>| us.map_or_else(String::new, |us| format!("{us:.0}"));
            let ratio = figure.ratio_to.as_ref();
            table.row([
                figure.name.clone(),
                short(figure.value),
                figure.unit.clone(),
                short(figure.low),
                short(figure.high),
                time(figure.p50_us),
                time(figure.p99_us),
                ratio.map_or_else(String::new, |r| format!("{:.2}", r.ratio)),
                ratio
                    .and_then(|r| r.typical)
                    .map_or_else(String::new, |t| format!("{t:.2}")),
                ratio.map_or_else(String::new, |r| format!("{} {}", r.to, short(r.value))),
                figure.goal.as_ref().map_or_else(String::new, Goal::text),
            ]);
        }
        let mut text = format!("{}{}", self.environment.text(), table.render(true));
        for Skipped { name, why } in &self.skipped {
            text.extend(["skipped: ", name, ": ", why, "\n"]);
        }
        text
    }

    /// Keeps the run in `docs/evidence` if `common` asks for it.
    pub fn record(
        &self,
        common: &Common,
        workspace: &Workspace,
    ) -> Result<Option<PathBuf>, Failure> {
        if !common.record {
            return Ok(None);
        }
        let name = PathBuf::from(format!("docs/evidence/bench-{}.json", self.bench));
        let path = workspace.root().join(&name);
        let failed = |message: String| Failure::new(Exit::Disk, CHORE, message);
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|error| failed("cannot write JSON".to_owned()).because(&error))?;
        json.push(b'\n');
        let folder = path.parent().unwrap_or_else(|| workspace.root());
        durable::create_dir_all(folder, 0o755)
            .and_then(|()| durable::write_atomic(&path, &json, 0o644))
            .map_err(|error| failed(format!("cannot write {}", name.display())).because(&error))?;
        Ok(Some(name))
    }
}

/// Fails when a goal is not met.
pub(super) fn judge(figures: &[Figure]) -> Result<(), Failure> {
    let goals: Vec<_> = figures
        .iter()
        .filter_map(|figure| Some((figure, figure.goal.as_ref()?)))
        .collect();
    let missed: Vec<_> = goals.iter().filter(|(_, goal)| !goal.met).collect();
    if missed.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missed
        .iter()
        .map(|(figure, _)| figure.name.as_str())
        .collect();
    let message = format!("{} of {} goals are not met", missed.len(), goals.len());
    Err(Failure::new(Exit::Problems, CHORE, message).detail(names.join("\n")))
}

/// The commit that is checked out.
pub(crate) fn commit(workspace: &Workspace) -> String {
    let git = |args: &[&str]| Workspace::capture(workspace.command("git").args(args)).ok();
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let dirty = changed.is_none_or(|files| !files.trim().is_empty());
    format!("{}{}", commit.trim(), if dirty { "-dirty" } else { "" })
}

/// The value below which `percent` of the times lie, in microseconds; sorts them.
pub(super) fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let at = times.len().saturating_sub(1) * percent / 100;
    let time = times.get(at).copied().unwrap_or_default();
    (time.as_secs_f64() * 1e7).round() / 10.0
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let at = |at: usize| sorted.get(at).copied().unwrap_or(0.0);
    if sorted.len() % 2 == 1 || sorted.is_empty() {
        at(half)
    } else {
        f64::midpoint(at(half - 1), at(half))
    }
}

/// Whole numbers from 100 on, two places below.
fn short(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn medians_and_percentiles() {
        assert!(close(median(&[]), 0.0));
        assert!(close(median(&[3.0, 1.0, 2.0]), 2.0));
        assert!(close(median(&[4.0, 1.0, 2.0, 3.0]), 2.5));
        let mut times: Vec<_> = (1..=100).rev().map(Duration::from_micros).collect();
        assert!(close(percentile(&mut times, 50), 50.0));
        assert!(close(percentile(&mut times, 99), 99.0));
        assert!(close(percentile(&mut [], 50), 0.0));
    }

    #[test]
    fn ratios_pair_the_rounds() {
        let own = [100.0, 10.0, 110.0];
        let figure =
            Figure::of_rounds("x", "msg/s", &own).against("fio", &own, &[100.0, 10.0, 100.0]);
        assert!(close(figure.ratio_to.as_ref().unwrap().ratio, 1.0));
        assert!(close(figure.low, 10.0) && close(figure.high, 110.0));
    }

    #[test]
    fn goals_are_judged_from_their_side() {
        let met = |figure: Figure| figure.goal.unwrap().met;
        let figure = Figure::of_rounds("x", "msg/s", &[70.0]).against("raw", &[70.0], &[100.0]);
        assert!(met(figure.clone().wants(Of::Ratio, Bound::AtLeast, 0.7)));
        assert!(!met(figure.clone().wants(Of::Ratio, Bound::AtLeast, 0.71)));
        let stalled = figure.clone().typically(0.6);
        assert!(!met(stalled.wants(Of::Ratio, Bound::AtLeast, 0.7)));
        assert!(met(figure.clone().wants(Of::Value, Bound::AtMost, 70.0)));
        assert!(!met(figure.wants(Of::Value, Bound::AtMost, 69.0)));
        let alone = Figure::of_rounds("x", "msg/s", &[70.0]);
        assert!(!met(alone.wants(Of::Ratio, Bound::AtLeast, 0.0)));
    }

    #[test]
    fn a_recorded_run_reads_back() {
        let run = Run {
            schema: Run::SCHEMA.to_owned(),
            bench: "x".to_owned(),
            command: "cargo xtask bench x".to_owned(),
            commit: "abc".to_owned(),
            date: Some("2026-11-21".to_owned()),
            environment: Environment::sample(),
            figures: vec![
                Figure::of_rounds("append", "msg/s", &[1.0, 2.0, 3.0]),
                Figure::of_rounds("open", "ms", &[51.0]).wants(Of::Value, Bound::AtMost, 50.0),
            ],
            skipped: vec![Skipped {
                name: "cold".to_owned(),
                why: "not root".to_owned(),
            }],
        };
        let json = serde_json::to_string(&run).unwrap();
        assert_eq!(serde_json::from_str::<Run>(&json).unwrap(), run);
        let text = run.text();
        assert!(text.starts_with("ext4, fdatasync p50 110 us"), "{text}");
        assert!(
            text.contains("append   2.00  msg/s   1.00   3.00"),
            "{text}"
        );
        assert!(text.contains("<= 50.00 not met"), "{text}");
        assert!(text.ends_with("skipped: cold: not root\n"), "{text}");
    }
}
