//! Opening a TCP port, with an error that says who is in the way.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::failure::{Exit, Failure};

/// Listens on `addr`; needs a runtime. A port in use is `QC1103`, a port that wants a privilege
/// `QC1104`, an address that this machine does not have `QC1105`.
pub async fn listen(addr: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(addr)
        .await
        .map_err(|error| failure(addr, &error))
}

fn failure(addr: SocketAddr, error: &io::Error) -> Failure {
    let port = addr.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => Failure::new(
            Exit::Conflict,
            "QC1103",
            format!("another process listens on {addr}"),
        )
        .help(format!("ss -ltnp 'sport = :{port}'")),
        io::ErrorKind::PermissionDenied => Failure::new(
            Exit::Refused,
            "QC1104",
            format!("port {port} of {addr} needs the privilege to bind ports below 1024"),
        )
        .help(
            "choose a port above 1023, or set AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit",
        ),
        io::ErrorKind::AddrNotAvailable => Failure::new(
            Exit::Config,
            "QC1105",
            format!("no interface of this machine has the address {}", addr.ip()),
        )
        .help("ip -brief address"),
        _ => Failure::new(Exit::Other, "QC1106", format!("cannot listen on {addr}")).because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_one_clear_line() {
        let held = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = held.local_addr().unwrap();
        let failure = listen(addr).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Conflict);
        assert_eq!(
            failure.to_string(),
            format!(
                "error[QC1103] another process listens on {addr}\nhelp: ss -ltnp 'sport = :{}'",
                addr.port()
            )
        );
        let elsewhere = listen("203.0.113.7:7443".parse().unwrap()).await;
        assert_eq!(elsewhere.unwrap_err().code, "QC1105");
    }

    #[test]
    fn a_privileged_port_says_what_to_do() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let failure = failure("0.0.0.0:443".parse().unwrap(), &denied);
        assert_eq!((failure.code, failure.exit), ("QC1104", Exit::Refused));
        assert!(failure.message.starts_with("port 443 of 0.0.0.0:443"));
    }
}
