//! What a proxy answers, without a socket below it: for tests that play the proxy.

use tokio::io::{AsyncRead, AsyncWrite};

use super::proxy::Login;
use super::{Proxy, ReachError, Target, open};
use crate::secret::Secret;

/// Asks `proxy`, to which `stream` leads, for a tunnel to `target`; `login` is a line `user:password`.
pub async fn tunnel<S>(
    stream: &mut S,
    proxy: &Proxy,
    target: &Target,
    login: Option<&str>,
) -> Result<(), ReachError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let login = login.and_then(|line| Login::of_line(Secret::new(line.to_owned())));
    open::tunnel(stream, proxy, target, login.as_ref()).await
}
