//! The link upward, as `status` of relay and edge show it.

use std::time::Duration;

use super::human_duration;
use crate::admin::api::{LinkState, LinkStatus, LinkWay};
use crate::safe_text::safe;

/// The lines of `link`, the first beginning with `word`.
pub fn uplink_lines(word: &str, link: &LinkStatus) -> Vec<String> {
    let mut lines = vec![link_line(word, link)];
    let is_up = matches!(link.state, LinkState::Up | LinkState::Stalled);
    lines.extend(link.way.as_ref().filter(|_| is_up).map(way_line));
    if let Some(error) = &link.last_error {
        let reason = safe(&error.reason, 300);
        let at = error.at.as_deref().unwrap_or_default();
        lines.push(format!("        last error {} {reason} ({at})", error.code));
    }
    lines
}

fn link_line(word: &str, link: &LinkStatus) -> String {
    let state = format!("{:?}", link.state).to_lowercase();
    let peer = if link.peer.is_empty() {
        &link.address
    } else {
        &link.peer
    };
    let acked = link.acked_ms.map_or_else(String::new, |ms| {
        format!(", acked {} ago", human_duration(Duration::from_millis(ms)))
    });
    let probe = link.probe_us.zip(link.probed_ms);
    let probe = probe.map_or_else(String::new, |(us, ms)| {
        let ago = human_duration(Duration::from_millis(ms));
        format!(", probe {}.{}ms {ago} ago", us / 1000, us % 1000 / 100)
    });
    let eta = link.drained_in_s.filter(|_| link.backlog_messages > 0);
    let eta = eta.map_or_else(String::new, |s| {
        format!(
            ", drained in {}",
            human_duration(Duration::from_secs(s.max(1)))
        )
    });
    let next = link
        .next_try_s
        .map_or_else(String::new, |s| format!(", next try in {s}s"));
    format!(
        "{word:<7} {state} {}  sent {}, received {}, {} wait{eta}{acked}{probe}{next}",
        safe(peer, 200),
        link.sent,
        link.received,
        link.backlog_messages
    )
}

/// `        by http://proxy:3128 at 10.0.0.8:3128, in a WebSocket, since ...`
fn way_line(way: &LinkWay) -> String {
    let proxy = way.proxy.as_deref();
    let by = proxy.map_or_else(
        || "direct".to_owned(),
        |proxy| format!("by {}", safe(proxy, 200)),
    );
    let websocket = if way.websocket {
        ", in a WebSocket"
    } else {
        ""
    };
    let age = way.address_age_s.map_or_else(String::new, |s| {
        let age = human_duration(Duration::from_secs(s));
        format!(", address of {age} ago: its name cannot be looked up")
    });
    let (remote, since) = (safe(&way.remote, 200), safe(&way.since, 40));
    format!("        {by} to {remote}{websocket}{age}, since {since}")
}
