//! Happy eyeballs (RFC 8305): addresses of both families in turn, one more every 250 ms, the first
//! connection wins and the others are dropped.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

/// The wait before the next address is tried beside the earlier ones.
pub(super) const STAGGER: Duration = Duration::from_millis(250);
/// The most addresses of one name that are tried.
pub(super) const MOST: usize = 16;

/// The families in turn, beginning with that of the first address; within a family the order stays,
/// which is the one of the system (RFC 6724).
pub(super) fn interleave(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (mut now, mut next): (VecDeque<_>, VecDeque<_>) = addresses
        .iter()
        .copied()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let mut ordered = Vec::with_capacity(addresses.len().min(MOST));
    while ordered.len() < MOST {
        let Some(address) = now.pop_front() else {
            ordered.extend(next.into_iter().take(MOST - ordered.len()));
            break;
        };
        if !ordered.contains(&address) {
            ordered.push(address);
        }
        if !next.is_empty() {
            std::mem::swap(&mut now, &mut next);
        }
    }
    ordered
}

/// Connects to the first address that answers; the errors of all of them if none does.
pub(super) async fn race<S, F>(
    addresses: &[SocketAddr],
    stagger: Duration,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<(SocketAddr, S), Vec<(SocketAddr, io::Error)>>
where
    F: Future<Output = io::Result<S>>,
{
    let attempt = |address| {
        let connected = connect(address);
        async move { (address, connected.await) }
    };
    let mut waiting = addresses.iter().copied();
    let mut errors = Vec::new();
    let mut running = FuturesUnordered::new();
    let mut next = waiting.next();
    loop {
        if let Some(address) = next.take() {
            running.push(attempt(address));
        }
        let more = waiting.len() > 0;
        tokio::select! {
            done = running.next() => match done {
                Some((address, Ok(stream))) => return Ok((address, stream)),
                Some((address, Err(error))) => {
                    errors.push((address, error));
                    // no reason to wait for the others
                    next = waiting.next();
                }
                None => return Err(errors),
            },
            () = sleep(stagger), if more => next = waiting.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::time::Instant;

    fn ips(text: &[&str]) -> Vec<IpAddr> {
        text.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns() {
        let check = |given: &[&str], expected: &[&str]| {
            assert_eq!(interleave(&ips(given)), ips(expected), "{given:?}");
        };
        check(
            &["::1", "::2", "10.0.0.1", "10.0.0.2"],
            &["::1", "10.0.0.1", "::2", "10.0.0.2"],
        );
        check(
            &["10.0.0.1", "10.0.0.2", "::1"],
            &["10.0.0.1", "::1", "10.0.0.2"],
        );
        check(
            &["::1", "::2", "::3", "10.0.0.1"],
            &["::1", "10.0.0.1", "::2", "::3"],
        );
        check(&["10.0.0.1"], &["10.0.0.1"]);
        check(&[], &[]);
        let many: Vec<IpAddr> = (0..100).map(|n| IpAddr::from([10, 0, 0, n])).collect();
        assert_eq!(interleave(&many).len(), MOST);
    }

    /// What an address does in a test: nothing, refuse, or answer after a while.
    enum Does {
        Nothing,
        Refuses,
        Answers(u64),
    }

    struct Raced {
        result: Result<(SocketAddr, u16), Vec<(SocketAddr, io::Error)>>,
        tried: Vec<u16>,
        dropped: Vec<u16>,
        took: Duration,
    }

    async fn run(hosts: &[Does], stagger: u64) -> Raced {
        struct Noted<'a>(u16, &'a Mutex<Vec<u16>>, bool);
        impl Drop for Noted<'_> {
            fn drop(&mut self) {
                if !self.2 {
                    self.1.lock().unwrap().push(self.0);
                }
            }
        }
        let addresses: Vec<SocketAddr> = (1..=hosts.len())
            .map(|n| SocketAddr::new(IpAddr::from([127, 0, 0, 1]), u16::try_from(n).unwrap()))
            .collect();
        let (tried, dropped) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        #[expect(clippy::disallowed_methods, reason = "the test measures")]
        let began = Instant::now();
        let result = race(&addresses, Duration::from_millis(stagger), |address| {
            let port = address.port();
            tried.lock().unwrap().push(port);
            let (does, dropped) = (&hosts[usize::from(port) - 1], &dropped);
            async move {
                let mut noted = Noted(port, dropped, false);
                let answer = match does {
                    Does::Nothing => std::future::pending().await,
                    Does::Refuses => Err(io::ErrorKind::ConnectionRefused.into()),
                    Does::Answers(after) => {
                        sleep(Duration::from_millis(*after)).await;
                        Ok(port)
                    }
                };
                noted.2 = true;
                answer
            }
        })
        .await;
        Raced {
            result,
            tried: tried.into_inner().unwrap(),
            dropped: dropped.into_inner().unwrap(),
            took: began.elapsed(),
        }
    }

    #[tokio::test]
    async fn a_black_hole_costs_one_stagger() {
        let raced = run(&[Does::Nothing, Does::Answers(1)], 60).await;
        assert_eq!(raced.result.unwrap().1, 2);
        assert!(raced.took >= Duration::from_millis(60), "{:?}", raced.took);
        assert!(raced.took < Duration::from_secs(2), "{:?}", raced.took);
        assert_eq!(raced.dropped, [1], "the loser is dropped");
    }

    #[tokio::test]
    async fn a_refusal_costs_nothing() {
        let raced = run(&[Does::Refuses, Does::Refuses, Does::Answers(0)], 60_000).await;
        assert_eq!(raced.result.unwrap().1, 3);
        assert!(raced.took < Duration::from_secs(10), "{:?}", raced.took);
    }

    #[tokio::test]
    async fn a_slow_first_one_may_still_win() {
        let raced = run(&[Does::Answers(90), Does::Answers(60_000)], 30).await;
        assert_eq!(raced.result.unwrap().1, 1);
        assert_eq!((raced.tried, raced.dropped), (vec![1, 2], vec![2]));
    }

    #[tokio::test]
    async fn every_failure_is_told() {
        let raced = run(&[Does::Refuses, Does::Refuses], 5).await;
        assert_eq!(raced.result.unwrap_err().len(), 2);
        assert_eq!(run(&[], 5).await.result.unwrap_err().len(), 0);
    }
}
