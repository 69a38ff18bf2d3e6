//! A tunnel through an HTTP proxy (CONNECT, RFC 9110 section 9.3.6), with Basic credentials.
//!
//! Nothing is sent before the proxy has said 200, and a TLS server says nothing first: whatever
//! comes behind the head of the answer is therefore none of the tunnel's, and is refused.

use data_encoding::BASE64;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use super::head::{Head, NoHead};
use super::proxy::Login;
use super::{Proxy, ReachError, Target};

/// Asks `proxy`, to which `stream` leads, for a tunnel to `target`. The caller sets the deadline.
pub(super) async fn connect<S>(
    stream: &mut S,
    proxy: &Proxy,
    target: &Target,
    login: Option<&Login>,
) -> Result<(), ReachError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let lost = |error: std::io::Error| ReachError::ProxyUnreachable {
        proxy: proxy.to_string(),
        why: format!("it ended the connection: {error}"),
    };
    let mut request = Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"));
    if let Some(login) = login {
        let basic = Zeroizing::new(BASE64.encode(login.line().as_bytes()));
        request.push_str("Proxy-Authorization: Basic ");
        request.push_str(&basic);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    let head = Head::read(stream).await.map_err(|error| match error {
        NoHead::Io(error) => lost(error),
        NoHead::Garbled(why) => garbled(proxy, why),
    })?;
    judge(&head, proxy, target, login.is_some())
}

fn garbled(proxy: &Proxy, why: String) -> ReachError {
    ReachError::ProxyGarbled {
        proxy: proxy.to_string(),
        expected: "an HTTP proxy",
        why,
    }
}

fn judge(head: &Head, proxy: &Proxy, target: &Target, shown: bool) -> Result<(), ReachError> {
    let (name, to, said) = (proxy.to_string(), target.to_string(), head.line());
    match head.status {
        200..=299 if head.rest.is_empty() => Ok(()),
        200..=299 => Err(garbled(
            proxy,
            "it sends bytes that nobody asked for".to_owned(),
        )),
        407 => Err(ReachError::ProxyCredentials {
            proxy: name,
            why: credentials_wanted(head, shown),
        }),
        403 | 405 => Err(ReachError::ProxyForbids {
            proxy: name,
            target: to,
            why: said,
        }),
        502..=504 => Err(ReachError::ProxyCannotReach {
            proxy: name,
            target: to,
            why: said,
        }),
        _ => Err(ReachError::ProxyStatus {
            proxy: name,
            why: said,
        }),
    }
}

fn credentials_wanted(head: &Head, shown: bool) -> String {
    let schemes: Vec<_> = head
        .all("proxy-authenticate")
        .filter_map(|value| value.split_ascii_whitespace().next())
        .map(|scheme| scheme.trim_end_matches(','))
        .collect();
    if !schemes.is_empty() && !schemes.iter().any(|s| s.eq_ignore_ascii_case("basic")) {
        let schemes = schemes.join(", ");
        return format!(
            "{}; it takes {schemes}, this node has Basic only",
            head.line()
        );
    }
    if shown {
        format!(
            "{}; check user and password in proxy_credentials_file",
            head.line()
        )
    } else {
        format!("{}; set proxy_credentials_file", head.line())
    }
}
