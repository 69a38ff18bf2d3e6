//! `link show|limit|reset`: the link upward, and how much of the line it may take.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Context, Failure, human_bytes, human_duration, uplink_lines};
use crate::admin::api::Reply;
use crate::config::parse_duration;
use crate::safe_text::safe;
use crate::uplink::{LIMIT_ROUTE, LINK_ROUTE, LINK_SCHEMA, LimitWish, LinkView, ShapingText};

/// Show the link upward, and limit how much of the line it takes
#[derive(Debug, Args)]
pub struct LinkCommand {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show how it stands, what waits, and what is limited
    Show,
    /// Limit what is sent, at once and until the daemon ends; [uplink] of the configuration keeps it
    ///
    /// Alarms always pass. Without a rate and a window nothing is limited.
    Limit(Limit),
    /// Go back to what the configuration says
    Reset,
}

#[derive(Debug, Args)]
struct Limit {
    /// Bits a second such as 256kbit or 2Mbit, or none
    rate: String,
    /// The share of it in percent while what waits is older than a minute
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    catchup: Option<u8>,
    /// Send the lanes normal and low at this time of the day only (can be repeated)
    #[arg(long, value_name = "HH:MM-HH:MM")]
    window: Vec<String>,
    /// For this long, such as 2h
    #[arg(long = "for", value_name = "DUR", value_parser = parse_duration)]
    duration: Option<Duration>,
}

impl LinkCommand {
    /// Asks the running daemon, and prints how the link stands then.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let wish = match &self.verb {
            Verb::Show => {
                context.show(LINK_ROUTE, LINK_SCHEMA, text)?;
                return Ok(());
            }
            Verb::Limit(limit) => limit.wish(),
            Verb::Reset => LimitWish {
                reset: true,
                ..LimitWish::default()
            },
        };
        let client = context.client()?;
        let answer = client.post_json::<LimitWish, Reply<LinkView>>(LIMIT_ROUTE, &wish);
        let Reply { data, .. } = context.block_on(answer)?;
        let shown = || text(&data);
        context.out.result(LINK_SCHEMA, context.now(), &data, shown)
    }
}

impl Limit {
    fn wish(&self) -> LimitWish {
        LimitWish {
            shaping: ShapingText {
                limit: (self.rate != "none").then(|| self.rate.clone()),
                catchup: self.catchup,
                window: self.window.clone(),
            },
            for_s: self.duration.map(|duration| duration.as_secs().max(1)),
            reset: false,
        }
    }
}

fn percent(text: &str) -> Result<u8, String> {
    let number = text.trim_end_matches('%').parse();
    number.map_err(|_| format!("'{text}' is no share such as 30 or 30%"))
}

fn text(view: &LinkView) -> String {
    let mut lines = uplink_lines("link", &view.link);
    let shaping = view.shaping.parse();
    let shaping = shaping.map_or_else(|(_, why)| safe(&why, 200), |shaping| shaping.to_string());
    let from = match (&view.until, view.configured) {
        (_, true) => "configured".to_owned(),
        (Some(until), false) => format!("until {}", safe(until, 40)),
        (None, false) => "until the daemon ends".to_owned(),
    };
    lines.push(format!("limit   {shaping} ({from})"));
    let rate = view.bytes_per_s.map_or_else(
        || "as fast as the line is".to_owned(),
        |bytes| format!("{} a second", human_bytes(bytes)),
    );
    let lanes = if view.open {
        "all lanes"
    } else {
        "critical and high; normal and low wait for their time"
    };
    lines.push(format!("now     {rate}, {lanes}"));
    let oldest = view.oldest_s.map_or_else(String::new, |s| {
        format!(
            ", the oldest for {}",
            human_duration(Duration::from_secs(s))
        )
    });
    lines.push(format!(
        "waits   {} messages, {}{oldest}",
        view.link.backlog_messages,
        human_bytes(view.backlog_bytes)
    ));
    lines.join("\n")
}
