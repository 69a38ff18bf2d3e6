//! What every code means: one table for `explain CODE`, sorted. A code keeps its meaning forever.

use clap::Args;
use serde::Serialize;

use super::{Exit, Failure, Output};
use crate::model::Timestamp;
use crate::safe_text::safe;

/// Explain an error or event code
#[derive(Debug, Args)]
pub struct ExplainCommand {
    /// A code such as QC1004; without one, all are listed
    code: Option<String>,
}

impl ExplainCommand {
    /// Prints the explanation.
    pub fn run(&self, out: &Output, now: Timestamp) -> Result<(), Failure> {
        let Some(asked) = &self.code else {
            return out.result("qc.codes/1", now, CODES, || {
                CODES.iter().map(Code::title_line).collect()
            });
        };
        let wanted = asked.to_ascii_uppercase();
        let found = CODES.iter().find(|code| code.code == wanted);
        let code = found.ok_or_else(|| {
            let message = format!("there is no code '{}'", safe(asked, 40));
            Failure::new(Exit::NotFound, "QC0015", message).help("list all: explain without a code")
        })?;
        out.result("qc.code/1", now, code, || code.text())
    }
}

/// A code, what it says, why it comes and what to do.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Code {
    /// Such as `QC1004`.
    pub code: &'static str,
    /// A few words.
    pub title: &'static str,
    /// Why it comes, in a sentence or two.
    pub cause: &'static str,
    /// What to do: commands or advice, in order.
    pub fix: &'static [&'static str],
}

impl Code {
    fn title_line(&self) -> String {
        format!("{}  {}\n", self.code, self.title)
    }

    fn text(&self) -> String {
        let mut text = self.title_line();
        text.push_str(&format_section("cause", &[self.cause]));
        text.push_str(&format_section("do", self.fix));
        text
    }
}

fn format_section(name: &str, lines: &[&str]) -> String {
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        let name = if at == 0 { name } else { "" };
        text.push_str("  ");
        text.push_str(name);
        text.push_str(&" ".repeat(7usize.saturating_sub(name.len())));
        text.push_str(line);
        text.push('\n');
    }
    text
}

const fn code(
    code: &'static str,
    title: &'static str,
    cause: &'static str,
    fix: &'static [&'static str],
) -> Code {
    Code {
        code,
        title,
        cause,
        fix,
    }
}

const REPORT: &[&str] = &["keep the log lines around it and report them: this is a bug"];

/// Every code that has an explanation.
#[rustfmt::skip]
pub const CODES: &[Code] = &[
    // QC00xx: the process and its command line
    code("QC0001", "cannot write JSON", "A result could not be put into JSON.", REPORT),
    code("QC0002", "stdout was closed", "The reader of a pipe went away; the command stopped.", &["nothing, if that was meant, as with: | head"]),
    code("QC0003", "cannot write to stdout", "The place that stdout leads to refused the bytes, often a full disk.", &["df -h"]),
    code("QC0004", "a task panicked", "A part of the daemon met a bug. The daemon drained and stopped so that nothing half-done stays.", REPORT),
    code("QC0005", "stopped before draining ended", "A second SIGTERM or SIGINT came while tasks were ending. What was acknowledged is on disk.", &["nothing; the next start recovers"]),
    code("QC0006", "a bug", "The program met a state that its authors held impossible.", REPORT),
    code("QC0007", "the command line is wrong", "An option or argument is unknown, missing or has a wrong value.", &["run the command with --help"]),
    code("QC0008", "cannot install signal handlers", "The kernel refused.", REPORT),
    code("QC0009", "cannot start worker threads", "The limit of threads or memory is reached.", &["systemctl show -p TasksMax,MemoryMax UNIT", "ulimit -u"]),
    code("QC0010", "draining", "The daemon was asked to stop. It takes nothing new and ends what it began.", &["nothing"]),
    code("QC0011", "drained", "Every task ended in time.", &["nothing"]),
    code("QC0012", "a task did not end in time", "A peer or disk did not answer while draining. What was acknowledged is on disk.", &["look for the task's name in the log before"]),
    code("QC0013", "the log options are wrong", "QC_LOG or QC_LOG_FORMAT has a value that is not understood.", &["QC_LOG=info", "QC_LOG_FORMAT=text"]),
    code("QC0014", "cannot open the log file", "Its directory is missing or this user may not write there.", &["ls -ld DIRECTORY"]),
    code("QC0015", "no such code", "The code has no explanation in this version.", &["explain (without a code) lists all"]),
    code("QC0016", "log reopened", "SIGUSR1 asked for it, usually logrotate after it moved the file.", &["nothing"]),
    code("QC0017", "the input cannot be read", "The file is missing, is not readable for this user, or is not a file; '-' means stdin.", &["ls -l FILE"]),
    code("QC0018", "the system gives no random bytes", "The kernel refused getrandom, which a sandbox with a strict system-call filter can cause.", &["systemctl show -p SystemCallFilter UNIT", "journalctl -k -n 50"]),
    code("QC0020", "ready", "The daemon has its identity, its store is open and it takes work.", &["nothing"]),
    code("QC0021", "reloaded", "A reload was asked for, by SIGHUP or the reload command, and it is in force.", &["nothing"]),
    // QC06xx: the admin socket
    code("QC0601", "the daemon is not running", "Nobody answers on the admin socket.", &["systemctl status UNIT", "journalctl -u UNIT -n 50"]),
    code("QC0602", "the daemon did not answer in time", "It is busy, hangs on a disk, or the answer takes longer than --timeout.", &["repeat with --timeout 5m", "journalctl -u UNIT -n 50"]),
    code("QC0603", "you may not use the admin socket", "The socket is for root and its group.", &["ls -l SOCKET", "usermod -aG GROUP USER, then log in again"]),
    code("QC0604", "no valid answer from the daemon", "The daemon ended the connection or speaks another version.", &["compare: version of the command and of the daemon"]),
    code("QC0605", "the admin socket's group could not be set", "The group is missing, or this user may not give files to it. The socket stays with the daemon's own group.", &["groupadd --system qc-admin"]),
    code("QC0606", "the admin socket could not take a connection", "Usually too many open files.", &["ulimit -n"]),
    code("QC0607", "the request body was not taken", "It is too large, broken, or came too slowly.", &["send less at once"]),
    code("QC0608", "the daemon is stopping", "It was asked to stop while it was asked for something else, which it may or may not have done.", &["wait until it has stopped, then run the command again", "after a change of keys: key show"]),
    code("QC0610", "the node cannot be asked", "It has no link to this relay now, or does not take calls.", &["qc-relay fleet", "qc-edge status on the node itself"]),
    code("QC0611", "the node may not be changed over its link", "Its configuration lets the relay look, and not more.", &["on the node: remote = \"all\" in [admin], then restart it", "run the command on the node itself"]),
    code("QC0612", "asked over the link", "The relay asked this node's API through the link. The line says what for, and whether it was allowed.", &["nothing, if you know who asked", "remote = \"none\" in [admin] ends it"]),
    // QC10xx: configuration
    code("QC1000", "the configuration is refused", "See the errors listed with it.", &["config check"]),
    code("QC1001", "the configuration cannot be read", "The file or its drop-in directory is missing, unreadable, too large or not text.", &["config sample prints a file to start from"]),
    code("QC1002", "not valid TOML", "The file breaks the syntax of TOML at the place shown.", &["strings want quotes; tables begin with [name]"]),
    code("QC1003", "missing or unknown schema version", "Every file begins with schema = 1; a newer number needs a newer program.", &["put schema = 1 in the first line"]),
    code("QC1004", "unknown key or section", "The schema has no such name there; often a typing mistake or the wrong section.", &["config explain SECTION"]),
    code("QC1005", "wrong type", "The value is of another type, such as text in place of a number.", &["config explain SECTION"]),
    code("QC1006", "value not allowed", "The type is right, the value is out of range or misspelt.", &["config explain SECTION"]),
    code("QC1007", "a key or section is missing", "The schema wants it and has no default for it.", &["config explain SECTION"]),
    code("QC1008", "two entries have one name", "Entries of an array of tables are told apart by name.", &["rename one, or move one into a drop-in to override the other"]),
    code("QC1009", "not exactly one sub-table", "The sub-table selects the type, so there must be exactly one.", &["config explain SECTION"]),
    code("QC1010", "a wrong override in the environment", "A variable QC_SECTION_KEY has a value that its key does not take.", &["systemctl show -p Environment UNIT"]),
    code("QC1011", "the configuration does not fit together", "Each key is right by itself, together they are not.", &["read the cause shown with it"]),
    code("QC1012", "no such section", "config explain was asked for a name that the schema does not have.", &["config explain (without a name) lists all"]),
    code("QC1020", "a value that this program cannot use", "The value has the right form, but not the meaning that this program needs at this place.", &["config explain SECTION"]),
    code("QC1021", "the CA for enrollment cannot be used", "The directory of the authority or the CA that [est] names is missing, broken, or its key does not open.", &["qc-pki list --dir DIRECTORY", "qc-pki show CA --dir DIRECTORY", "ls -ld DIRECTORY"]),
    code("QC1022", "the passphrase file cannot be read", "The file that [est] names is missing or not readable for the relay's user.", &["ls -l FILE", "config explain est"]),
    code("QC1023", "the change needs a restart", "A reload takes over streams, classes, certificates and trust. [uplink] is what the running link was started with, and a part of the file alone is never taken over.", &["systemctl restart UNIT", "undo the change of [uplink], then reload"]),
    // QC11xx: state directory, locks, ports
    code("QC1101", "the state directory cannot be used", "It cannot be created, written or made private, or another file is in its place.", &["ls -ld DIRECTORY", "install -d -m 0700 -o USER DIRECTORY"]),
    code("QC1102", "another process uses the state directory", "One state directory belongs to one process at a time.", &["ps -fp PID", "systemctl status UNIT"]),
    code("QC1103", "the port is in use", "Another process listens on the address.", &["ss -ltnp 'sport = :PORT'"]),
    code("QC1104", "the port needs a privilege", "Ports below 1024 are for privileged processes.", &["choose a port above 1023", "AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit"]),
    code("QC1105", "the address is not on this machine", "No interface has the address to listen on.", &["ip -brief address"]),
    code("QC1106", "cannot listen", "The kernel refused the address for the reason shown.", &["read the cause shown with it"]),
    code("QC1107", "another daemon answers on the admin socket", "The socket's path is taken by a living daemon.", &["ss -xlp"]),
    code("QC1108", "cannot create the admin socket", "The directory is missing or not writable, or the path is longer than 100 bytes.", &["ls -ld DIRECTORY"]),
    // QC20xx: TLS and identity
    code("QC2001", "the peer sent no certificate", "Every node shows a certificate; the caller is no node, or its identity is not installed.", &["qc-edge status", "openssl s_client -connect HOST:PORT"]),
    code("QC2002", "the peer's CA is not trusted", "No root that this node trusts, and that is still valid, stands above the peer's certificate.", &["qc-pki trust show", "qc-pki show HOST:PORT", "enroll the peer at the authority of this trust domain"]),
    code("QC2003", "the peer's certificate expired", "It, or a CA above it, has ended; or the clock of one side is wrong.", &["timedatectl", "openssl x509 -in DIR/id/current/cert.pem -noout -dates", "qc-pki token new NODE --role ROLE, then qc-pki enroll on the node"]),
    code("QC2004", "the peer's certificate is not valid yet", "It begins in the future, so a clock is wrong: of this machine, of the peer, or of the authority.", &["timedatectl", "openssl x509 -in DIR/id/current/cert.pem -noout -dates"]),
    code("QC2005", "the peer has another role", "The certificate is good, but is not for the role wanted here (an edge dials a relay or relay-parent, a relay only a relay-parent), or a CA above it may not give that role.", &["qc-pki show NODE", "qc-pki token new NODE --role ROLE", "the parent of a relay: qc-pki token new NODE --role relay-parent, then qc-pki enroll there; it is a relay for its edges all the same"]),
    code("QC2006", "the peer's certificate names no node", "It must carry exactly one good node name.", &["qc-pki show HOST:PORT", "enroll the peer again"]),
    code("QC2007", "the peer is of another trust domain", "Its name lies under another domain than this node's.", &["qc-pki trust show", "check the address that was dialled"]),
    code("QC2008", "the peer is revoked", "Its certificate, or a CA above it, stands on a revocation list.", &["qc-pki list", "if it was revoked in error: qc-pki token new NODE --role ROLE, then enroll with a new key"]),
    code("QC2009", "the peer's certificates are broken", "They do not parse or do not fit together.", &["qc-pki verify CHAIN --role ROLE", "enroll the peer again"]),
    code("QC2010", "another node answers at the address", "A good node answered, but not the one that the configuration names.", &["check name and relay in [uplink]", "qc-pki show HOST:PORT"]),
    code("QC2011", "the certificate is for the other side of a connection", "Its key usage does not allow what it was shown for, as client or as server.", &["qc-pki verify CHAIN --role ROLE", "enroll the peer again"]),
    code("QC2020", "there is no identity", "This node was not enrolled, or its state directory is another one.", &["qc-pki enroll --url https://HOST --token-file FILE --dir DIR"]),
    code("QC2021", "the private key cannot be used", "Others may read the key file, it is broken, or it needs a passphrase.", &["ls -l DIR/id/current/", "chmod 600 FILE"]),
    code("QC2022", "the identity cannot be used", "Certificate or key are broken, do not belong together, or name no node.", &["qc-pki show DIR/id/current/cert.pem", "qc-pki enroll --url https://HOST --token-file FILE --dir DIR"]),
    code("QC2023", "the trust cannot be used", "The directory of roots and revocation lists is missing, broken, or of another trust domain.", &["ls -l DIR/trust", "qc-pki trust show"]),
    code("QC2024", "TLS does not take the identity", "The TLS library refuses this key, certificate or set of roots.", &["openssl x509 -in DIR/id/current/cert.pem -noout -text", "enroll again"]),
    code("QC2025", "a certificate ends soon", "The node's certificate ends within days or hours; after that its link is refused.", &["qc-pki list --expiring 7d", "qc-pki token new NODE --role ROLE, then qc-pki enroll on the node"]),
    code("QC2026", "new credentials are in force", "Files of the identity or the trust changed on disk. Links stay, but for peers that are not trusted any more.", &["nothing"]),
    code("QC2027", "an older revocation list on disk", "A list that is in force is gone from disk, or an older one took its place. It stays in force until a newer one comes or the daemon restarts.", &["ls -l DIR/trust/crl", "qc-pki trust show", "put the newest list in place"]),
    code("QC2030", "the TLS handshake took too long", "The peer accepted the connection and then did not answer: wrong port, a firewall, or an overloaded machine.", &["openssl s_client -connect HOST:PORT", "ss -tn"]),
    code("QC2031", "the TLS handshake failed", "The other side does not speak TLS 1.3, or the connection broke off.", &["openssl s_client -tls1_3 -connect HOST:PORT", "look at the peer's log at the same time"]),
    code("QC2032", "the peer refused this node", "The other side did not accept this node's certificate; its log says why.", &["qc-edge status", "openssl x509 -in DIR/id/current/cert.pem -noout -dates", "look at the peer's log at the same time", "if its role is not admitted, and relays below call it their parent: qc-pki token new NODE --role relay-parent, then enroll"]),
    code("QC2033", "not a host name or address", "The address to dial is neither.", &["check relay in [uplink]"]),
    code("QC2034", "cannot accept a connection", "Usually too many open files; it is tried again at once.", &["systemctl show -p LimitNOFILE UNIT", "ss -s"]),
    code("QC2035", "connections were turned away", "More came than the limits of [listen] let in, at all or from one address. Known nodes have places of their own.", &["the metric qc_front_turned_away_total tells by which limit", "ss -tn state established | sort -k5", "config explain listen"]),
    code("QC2040", "the relay's name cannot be looked up", "Neither the hosts file nor a name server gives an address of it, and none was ever good here.", &["getent hosts NAME", "cat /etc/resolv.conf", "or give the relay as ADDRESS:PORT in [uplink]"]),
    code("QC2041", "the last good address is used", "The name cannot be looked up now, so the address that answered last is dialled. Who answers is still decided by its certificate.", &["nothing, if the name server returns", "getent hosts NAME", "cat /etc/resolv.conf"]),
    code("QC2042", "the proxy wants other credentials", "It answered 407, or refused user and password of SOCKS5. Tried again slowly, so that no account is locked.", &["set proxy_credentials_file in [uplink]: one line USER:PASSWORD, mode 600", "curl -v -p -x http://PROXY --proxy-user USER https://RELAY", "a proxy that takes only Negotiate or NTLM must let this host through without"]),
    code("QC2043", "the proxy does not allow the relay", "Its rules forbid CONNECT to this host or port.", &["ask for: CONNECT to RELAY:PORT, no TLS inspection", "qc-edge netdeps"]),
    code("QC2044", "the proxy does not reach the relay", "The proxy works, and what is behind it does not: the relay is down, its name is unknown there, or a firewall is between.", &["look at the proxy's log", "check relay in [uplink]"]),
    code("QC2045", "that is no such proxy", "What answers at the proxy's address speaks another protocol, too much of it, or ends in the middle.", &["check proxy in [uplink]: http:// or socks5://, host and port"]),
    code("QC2046", "the proxy is not reachable", "Nobody accepts a connection at the proxy's address, or it ends it at once.", &["check proxy in [uplink]", "nc -vz PROXY PORT", "qc-edge netdeps"]),
    code("QC2047", "the proxy does not answer in time", "It accepted the connection and then did not say whether the relay can be reached.", &["look at the proxy's log", "raise connect_timeout in [uplink]"]),
    code("QC2048", "the proxy's credentials cannot be used", "The file is missing, others may read it, or it is not one line USER:PASSWORD.", &["ls -l FILE", "chmod 600 FILE, for the edge's user", "the next attempt reads it again"]),
    code("QC2049", "the proxy answered otherwise", "Its answer is none that this node knows; a redirection usually leads to a login page for people.", &["curl -v -p -x http://PROXY https://RELAY", "look at the proxy's log"]),
    code("QC2050", "the file of last good addresses is not usable", "DIR/addresses.json cannot be read or written. It is made anew; until then a name that cannot be looked up has no address.", &["ls -l DIR/addresses.json", "df -h DIR"]),
    code("QC2051", "no link over WebSocket there", "What answers is an HTTP server that does not take the link: another program, a relay of an older version, or a proxy on the way.", &["curl -vk https://RELAY/.qc/link", "set websocket = \"never\" in [uplink] for a clearer reason of the direct way"]),
    code("QC2052", "something on the way breaks mutual TLS", "A middlebox opens TLS: its own certificate is shown in place of the relay's, or this node's did not come through. A link is never made like that.", &["qc-pki show RELAY:PORT", "exempt RELAY:PORT from TLS inspection", "if no middlebox is there: check relay in [uplink]"]),
    code("QC2053", "the source address cannot be used", "It is not on this machine, or the relay has no address of its family.", &["ip -brief address", "check source in [uplink]"]),
    code("QC2054", "the link goes inside a WebSocket", "The direct way failed twice as a filter on the way makes it fail, and the WebSocket on the same port worked.", &["nothing", "for the direct way: let TLS with the protocol qc/1 pass to the relay"]),
    code("QC2055", "moved to a preferred relay", "A relay that stands earlier in the list is there again. The old link has drained first.", &["nothing"]),
    code("QC2056", "a link needs a node certificate", "Somebody asked for a link over WebSocket without a certificate, or with that of a client or operator.", &["nothing, if it was a scanner", "if it is an edge: something on its way ends TLS and must let this relay through unopened"]),
    code("QC2057", "not an upgrade to a link", "The path for links over WebSocket was asked for something else.", &["nothing: ordinary clients use /v1"]),
    code("QC2060", "the limit of the link is not possible", "A rate, a share or a time of the day does not read.", &["qc-edge link limit 256kbit --catchup 30 --window 22:00-06:00", "qc-edge config explain uplink"]),
    code("QC2061", "the link is limited anew", "Somebody has changed for now how much of the line the link may take.", &["qc-edge link show", "qc-edge link reset, for what the configuration says"]),
    // QC21xx: the authority and enrollment
    code("QC2100", "the directory holds no authority", "Nothing was initialised there, or --dir names another directory.", &["qc-pki init --org NAME --trust-domain DOMAIN"]),
    code("QC2101", "the directory belongs to another organisation", "An authority with another name or trust domain was initialised there.", &["give another --dir", "qc-pki list --profile ca"]),
    code("QC2102", "no such CA", "The authority has no CA of that name, or no root yet.", &["qc-pki list --profile ca", "qc-pki init --org NAME --trust-domain DOMAIN"]),
    code("QC2103", "the CA exists and is not the same", "A CA of that name was made before, with other bounds or another parent.", &["qc-pki show NAME", "choose another name"]),
    code("QC2104", "the name cannot be used", "It does not follow the rules of names or lies outside of what is allowed there.", &["nodes are named NODE.SITE.TENANT, in small letters, digits and '-'"]),
    code("QC2105", "another process holds the authority", "One process at a time may issue, usually qc-pki serve or a relay with [est].", &["wait and repeat", "fuser -v LOCKFILE"]),
    code("QC2106", "a file of keys or certificates cannot be used", "It is missing, not accessible for this user, or the disk failed.", &["ls -ld DIR", "df -h DIR"]),
    code("QC2107", "a file of keys or certificates is broken", "It does not parse, or does not belong to what stands beside it.", &["bring the file back from a backup", "qc-pki show FILE"]),
    code("QC2108", "the key needs its passphrase", "None was given, or it is wrong.", &["give --passphrase-file FILE, or the systemd credential ca-pass"]),
    code("QC2109", "the log of what was issued is broken", "A line was changed or lost. Nothing is issued until it is whole, so that nothing is forgotten.", &["bring the authority's directory back from a backup", "df -h DIR"]),
    code("QC2110", "the request is refused", "It is malformed, not signed by its own key, too long, or its key is of a kind that is not allowed.", &["qc-pki request new NODE.SITE.TENANT --role ROLE --out DIR", "openssl req -in FILE -noout -verify -text"]),
    code("QC2111", "the key belongs to an authority", "A request came with the key of a CA; nodes have keys of their own.", &["qc-pki request new NODE.SITE.TENANT --role ROLE --out DIR"]),
    code("QC2112", "no token came with the request", "Enrollment wants HTTP Basic with the token's id and secret.", &["qc-pki enroll --url https://HOST --token-file FILE"]),
    code("QC2113", "renewal without a certificate", "Renewal wants the current certificate as client certificate; a node without one enrolls with a token.", &["qc-pki token new NODE.SITE.TENANT --role ROLE"]),
    code("QC2114", "renewal with a revoked certificate", "The certificate stands on the revocation list, so it cannot beget another.", &["qc-pki show SERIAL", "qc-pki token new NODE.SITE.TENANT --role ROLE"]),
    code("QC2115", "too many wrong tokens", "Somebody guesses, or a script repeats a wrong token; wait some minutes.", &["look for the address in the authority's log", "qc-pki token new NODE.SITE.TENANT --role ROLE"]),
    code("QC2116", "the CA may not issue this", "The name, role or kind of certificate lies outside of the CA's bounds.", &["qc-pki show CA", "qc-pki ca create NAME --parent CA --roles ROLE"]),
    code("QC2117", "the authority failed", "The authority could not do its work; its own log has the reason.", &["journalctl -u UNIT -n 50 on the authority", "df -h"]),
    code("QC2118", "the key has another holder", "This key was certified under another name before. Keys are never shared, not even by copies of a virtual machine.", &["remove the copied key on the node and enroll again"]),
    code("QC2119", "peers would refuse the certificate", "What was signed did not pass the check that peers do, so it was not given out; often a clock or a CA that ends.", &["timedatectl", "qc-pki show CA"]),
    code("QC2120", "not a whole token", "The token was copied wrongly; its check digits do not fit.", &["copy it again, whole, without spaces or line breaks"]),
    code("QC2121", "the token is not known", "Its id is unknown at this authority, or its secret is wrong.", &["check the authority's address", "qc-pki token new NODE.SITE.TENANT --role ROLE"]),
    code("QC2122", "the token expired", "Tokens live for a short time, so that a lost one does no harm.", &["qc-pki token new NODE.SITE.TENANT --role ROLE --ttl 1d"]),
    code("QC2123", "the token was used by another key", "Two machines came with one token. It is frozen now: the first may be an intruder.", &["qc-pki list", "qc-pki revoke NODE, unless the first was meant", "qc-pki token new NODE.SITE.TENANT --role ROLE"]),
    code("QC2124", "the token is frozen", "Two machines came with it before.", &["explain QC2123", "qc-pki token new NODE.SITE.TENANT --role ROLE"]),
    code("QC2125", "the token has no front names", "A certificate for browsers and HTTP clients was asked for, and the token does not allow one.", &["qc-pki token new NODE.SITE.TENANT --role relay --front-dns HOST"]),
    code("QC2126", "a token would live too long", "Tokens live 7 days at most.", &["give --ttl 7d or less"]),
    code("QC2127", "not a host name", "A front name is not a DNS host name.", &["check --front-dns"]),
    code("QC2128", "the token's record cannot be used", "Its file at the authority cannot be read or written, or the crypto library failed.", &["df -h DIR", "ls -l DIR"]),
    code("QC2130", "the passphrases differ", "The second input was not the same as the first; nothing was changed.", &["repeat the command"]),
    code("QC2131", "the passphrase is too short", "It protects a CA's key and must be long.", &["use several words"]),
    code("QC2132", "the passphrase file cannot be read", "It is missing or not readable for this user.", &["ls -l FILE"]),
    code("QC2133", "the terminal cannot be used", "A passphrase is asked for on the terminal and there is none.", &["give --passphrase-file FILE"]),
    code("QC2134", "the certificate does not parse", "The file or the answer is not a certificate in PEM.", &["openssl x509 -in FILE -noout -text"]),
    code("QC2135", "the runtime does not start", "The limit of threads or memory is reached.", &["ulimit -u", "free -m"]),
    code("QC2136", "a file cannot be read", "It is missing, not readable for this user, or larger than such a file ever is.", &["ls -l FILE"]),
    code("QC2137", "a file cannot be written", "The directory is missing or not writable, or the disk is full.", &["ls -ld DIR", "df -h DIR"]),
    code("QC2138", "the authority cannot listen", "The port is in use, needs a privilege, or the address is not on this machine.", &["ss -ltnp", "ip -brief address"]),
    code("QC2139", "signals cannot be received", "The kernel refused.", REPORT),
    code("QC2140", "not the URL of an authority", "It must read https://host or https://host:port.", &["check --url"]),
    code("QC2141", "the host cannot be reached", "There is no route, no listener, a firewall, or no answer in time.", &["openssl s_client -connect HOST:PORT", "ip route get ADDRESS"]),
    code("QC2142", "the conversation broke off", "The connection to the authority ended too early. A repetition with the same key gets the same certificate.", &["run the same command again"]),
    code("QC2143", "the authority is not the one in the token", "The server does not stand under the root that the token names: a wrong address, or somebody in between. The secret was not sent.", &["qc-pki show HOST:PORT", "compare the address with whoever made the token"]),
    code("QC2144", "no TLS with the authority", "The handshake failed before the secret was sent.", &["openssl s_client -tls1_3 -connect HOST:PORT", "timedatectl"]),
    code("QC2145", "the authority's answer is not usable", "Something else than an enrollment server answers, or another version.", &["check --url", "compare the versions: qc-pki --version on both sides"]),
    code("QC2146", "the certificate that came is not acceptable", "Peers would refuse it, so it was not installed; often the clock of one side is wrong.", &["timedatectl", "look at the authority's log"]),
    code("QC2147", "the authority refused", "Its reason, and its own code, stand beside.", &["explain the code shown with it"]),
    code("QC2148", "the crypto library failed", "Making a key, a request or a connection failed inside the library.", REPORT),
    code("QC2149", "there are several roots", "The token must name one root and there is more than one.", &["qc-pki list --profile ca", "give --ca CA"]),
    code("QC2150", "--name fits one request only", "Several files were given and one name.", &["sign them one by one"]),
    code("QC2151", "the words were not confirmed", "The words of --confirm-words are not those of the request's key: a wrong file, or a changed one.", &["read the words on the node again, over another way than the file's"]),
    code("QC2152", "nobody can be asked", "Signing is confirmed by a person, and there is no terminal.", &["give --confirm-words WORDS, or --yes"]),
    code("QC2153", "not confirmed", "The answer was no; nothing was signed.", &["nothing"]),
    code("QC2154", "no key waits for a certificate", "The response belongs to a request that this directory did not make, or it was installed before.", &["qc-pki request new NODE.SITE.TENANT --role ROLE --out DIR", "check --dir"]),
    code("QC2155", "the response is of another root", "The node trusts certain roots already and the response stands under another.", &["qc-pki trust show", "openssl x509 -in FILE -noout -issuer -subject"]),
    code("QC2156", "nothing of that name was issued", "No live certificate of this authority has that name or serial.", &["qc-pki list"]),
    code("QC2157", "the CA has ended", "The CA, or what it would issue, ends before it may be used.", &["qc-pki list --profile ca", "timedatectl", "qc-pki ca create NAME --parent CA"]),
    code("QC2160", "not a control object", "The file or the bytes of a peer are something else, of another version, or damaged. Nothing was changed.", &["qc-pki control show FILE", "fetch or sign it again"]),
    code("QC2161", "the signature of a control object is wrong", "It was changed after it was signed, or is damaged. Nothing was changed.", &["qc-pki control show FILE", "fetch it again, and look at who could change it"]),
    code("QC2162", "the signer may not sign this", "Revocations and trust are signed by a trust-publisher; policy, configuration and upgrades by an operator.", &["qc-pki control show FILE", "qc-pki token new NODE.SITE.TENANT --role trust-publisher    invites a signer"]),
    code("QC2163", "a newer control object is here", "Revisions only rise; what is in force stays.", &["qc-relay control list", "sign it again with a greater revision: qc-pki control sign"]),
    code("QC2164", "two control objects have one revision", "This revision is here already and says something else: two signers count without knowing of each other.", &["qc-relay control show KIND", "sign it again with a greater --revision"]),
    code("QC2165", "the control object is for others", "Its audience does not name this node, or it is for another trust domain.", &["qc-pki control show FILE"]),
    code("QC2166", "no work for this control object", "Its kind is of a later version, or has no meaning for this one yet. The node stays as it is.", &["compare the versions: qc-edge --version, qc-relay --version"]),
    code("QC2167", "the owner does not accept this kind", "[control] accept of the node does not name it, and nobody above can change that.", &["on the node: qc-edge config explain control", "add the kind to accept, then restart the node"]),
    code("QC2168", "revocation lists are not in force", "A list in the object is not signed by a CA that the node knows. The other lists are in force; this one is tried again at the next link and every half an hour at most. A relay hands the object on all the same.", &["qc-pki trust show --trust STATE_DIR/trust on the node", "put the missing CA into trust/cas.pem of the node"]),
    code("QC2169", "a control object cannot be kept", "The disk takes nothing, or too many objects are here. It comes again.", &["df -h and dmesg on the node"]),
    code("QC2170", "no such control object", "This relay has no object of that kind and name.", &["qc-relay control list"]),
    code("QC2171", "a control object cannot be signed", "There is nothing to sign, or more than an object can hold.", &["qc-pki control sign --help", "qc-pki explain QC2162"]),
    // QC22xx: the link
    code("QC2200", "the peer is going away", "It stops or restarts. The link comes back by itself.", &["nothing"]),
    code("QC2201", "the peer broke the protocol", "It sent what the protocol does not allow at that place: another version, or a bug.", &["compare the versions: qc-edge --version, qc-relay --version", "report it with the log of both sides"]),
    code("QC2202", "no common protocol version", "One side is too old for the other.", &["qc-edge --version, qc-relay --version", "update the older side"]),
    code("QC2203", "the peer did not greet in time", "TLS was done, then nothing came: an overloaded machine, or something else listens there.", &["qc-relay status", "check relay in [uplink]"]),
    code("QC2204", "the peer fell silent", "Six heartbeats are missing: the network is cut, or the machine hangs. It is dialled again.", &["ping HOST", "qc-relay fleet"]),
    code("QC2205", "an acknowledgement of what was not sent", "The peer acknowledged more than it got. Nothing was dropped.", REPORT),
    code("QC2206", "records out of order", "Numbers in a batch do not rise, or belong to another stream. Nothing of it was taken.", REPORT),
    code("QC2207", "the peer sent more than it was granted", "It ignored the window that bounds memory.", REPORT),
    code("QC2208", "bytes that are no frames", "Something between the nodes changed the bytes, or the peer has a bug.", &["compare the versions: qc-edge --version, qc-relay --version", "report it with the log of both sides"]),
    code("QC2209", "too many streams on one link", "A session has a limit of channels.", &["qc-edge streams list", "use fewer streams on this node"]),
    code("QC2210", "the peer greets with another name", "The name in its greeting is not the one in its certificate.", &["qc-pki show HOST:PORT", "report it with the log of both sides: this is a bug"]),
    code("QC2211", "the peer takes no bytes", "It reads too slowly or hangs. The link was cut so that memory stays bounded; nothing is lost.", &["qc-relay status", "df -h and dmesg on the peer"]),
    code("QC2212", "a newer link took over", "The same node connected again; when two machines do that in turns, QC2225 says so.", &["qc-relay fleet", "make sure that no copy of the node runs"]),
    code("QC2213", "the sender's store went back in time", "The receiver has more than the sender ever sent: the sender was brought back from an older copy or snapshot. It begins a new epoch by itself and sends everything that is not acknowledged in its own books; what the receiver had already is known there by source and id.", &["nothing, if the node was brought back on purpose", "status on the sender shows what recovery found", "ledger check on both sides"]),
    code("QC2214", "a stream that was not asked for", "The peer opened a delivery without a subscription.", REPORT),
    code("QC2215", "the connection was cut", "It ended without a farewell: network, firewall or a killed process. It is dialled again.", &["ping HOST", "qc-relay fleet"]),
    code("QC2216", "the stream ends here", "Its epoch changed or it was closed; a new channel follows.", &["nothing"]),
    code("QC2217", "no relay could be reached", "Every address in [uplink] was tried. Messages wait on disk.", &["ss -tn", "openssl s_client -connect HOST:PORT", "qc-relay status on the relay"]),
    code("QC2218", "the peer may not use this stream", "The other side does not let this node send or read it.", &["check publish and subscribe of the [[stream]] on the relay", "qc-relay config show"]),
    code("QC2219", "there is no such stream", "The relay does not declare it.", &["qc-relay streams list", "add a [[stream]] on the relay, then qc-relay reload"]),
    code("QC2220", "the node has not connected", "It is known, and was not seen since this relay started.", &["qc-edge status on the node"]),
    code("QC2221", "the link is stale", "Two heartbeats are missing; the line may be cut. Messages wait on disk.", &["ping HOST", "qc-edge status on the node"]),
    code("QC2222", "a record cannot be read", "A peer sent a message whose head does not parse. It was not taken.", &["compare the versions: qc-edge --version, qc-relay --version", "report it with the log of both sides"]),
    code("QC2223", "link up", "Both sides know each other and messages flow.", &["nothing"]),
    code("QC2224", "nothing is acknowledged", "The peer is there and has what was sent, but has not said for two heartbeats that it is on its disk. Messages wait here, on disk.", &["qc-relay disk and qc-edge disk on the peer", "dmesg on the peer"]),
    code("QC2225", "two machines use one identity", "Links of the same node replace each other while both are alive: a copy of the machine or of its state directory runs somewhere. Both come back ever more slowly.", &["find the other one: the reason names its address", "stop the copy, then qc-pki revoke NODE if nobody knows whose it is", "a copied machine needs its own: qc-pki token new, then enroll"]),
    code("QC2226", "no such node", "The relay remembers no node of that name.", &["qc-relay node list"]),
    code("QC2227", "not a label", "A label is KEY=VALUE: the key of a-z, 0-9, - and _, the value of letters, digits and - _ . / : @ +, and at most 32 of them.", &["qc-relay node label --help"]),
    code("QC2228", "labels of a node", "An operator has changed them.", &["nothing"]),
    code("QC2229", "a node is forgotten", "An operator asked for it. It is known again when it links again.", &["nothing"]),
    code("QC2230", "the peer takes no calls", "It runs an older version. Messages are not concerned.", &["compare the versions: qc-edge --version, qc-relay --version"]),
    code("QC2231", "nothing of that name can be called", "The other node does not offer it, or not to this one.", &["on the node: qc-edge config show admin"]),
    code("QC2232", "there is no link to probe", "The node has no link upward at the moment, or none is configured.", &["qc-edge status, or qc-relay status"]),
    code("QC2233", "a probe was lost", "A value that goes through the store here, over the link and through the store there did not come back in time. What is acknowledged is on disk; what waits here may have to wait longer.", &["qc-edge probe", "on the other node: disk, and journalctl -k -n 50"]),
    code("QC2234", "control object taken", "Somebody with the role for it has signed it, and it is in force on this node or kept for those below.", &["nothing"]),
    code("QC2235", "no answer to a control object", "The line is slow or was cut, or the node is busy with others. It is sent again.", &["qc-relay control show KIND", "qc-edge status on the node"]),
    code("QC2236", "the registry of nodes is full", "20,000 nodes are remembered; new ones work, and are unknown after a restart.", &["qc-relay node list --filter 'seen>90d'", "qc-relay node forget NODE"]),
    code("QC2237", "the registry of nodes is not whole", "What is remembered of a node was not read or not written. It is tried again; links and messages are not concerned.", &["qc-relay disk", "df -h and dmesg"]),
    code("QC2238", "the node has a link", "Forgotten, it would be known again at once.", &["stop the node, or qc-pki revoke NODE", "qc-relay node forget NODE"]),
    code("QC2239", "the labels have changed meanwhile", "They do not have the revision of --if-revision any more.", &["qc-relay node show NODE", "decide again, with the revision it shows"]),
    code("QC2240", "the relay is drained", "An operator of the relay sends this node away, or all nodes: to another relay of its list, or to the next one. What is acknowledged is on disk there; the rest waits here and goes to whichever relay takes it.", &["qc-relay drain on the relay shows the order and its reason", "qc-relay resume on the relay takes nodes in again"]),
    code("QC2241", "sent to a relay that is not in the list", "The relay named one that [uplink] relay of this node does not have, so it was not gone to: no relay can send a node where its owner did not allow it. The next one of the list was taken.", &["compare the --to of qc-relay drain with relay in [uplink]: both are HOST:PORT and have to be the same"]),
    code("QC2242", "nodes are taken in again", "An operator has lifted an order to go.", &["qc-relay fleet shows who has come back"]),
    code("QC2243", "a message goes in a circle", "It has passed more than 16 relays: two or more of them hand it to each other, each as the parent of another. It is kept as a dead letter.", &["qc-relay dlq list --code QC2243", "qc-relay config show on each of them: uplink of the [[stream]] and relay of [uplink]"]),
    code("QC2244", "links have not ended yet", "The order stands, and the time of --wait is over. A link ends when everything it has is acknowledged, after ten seconds at the latest.", &["qc-relay drain --wait=5m", "qc-relay disk: is the store slow?"]),
    code("QC2245", "all nodes are sent away", "A single node cannot be taken in again while an order for every node stands.", &["qc-relay resume"]),
    code("QC2246", "no such node", "The relay has never seen a node of that name. Nothing was changed.", &["qc-relay fleet"]),
    code("QC2247", "nobody was named", "A drain needs nodes, or --all.", &["qc-relay drain NODE --to HOST:PORT", "qc-relay drain --all"]),
    // QC30xx: the store
    code("QC3000", "the store is open", "It was read and checked; the numbers say what is kept.", &["nothing"]),
    code("QC3001", "recovery found something", "After a crash or power cut the end of the store was mended as the line says. What was acknowledged is kept.", &["qc-edge status, or qc-relay status", "qc-edge ledger check, or qc-relay ledger check"]),
    code("QC3002", "the store stopped after a disk error", "A write or fsync failed, so nothing more is acknowledged. The daemon ends; its next start re-reads what is really on disk.", &["journalctl -k -n 50", "df -h DIR", "smartctl -a DEVICE"]),
    code("QC3003", "cursors are not written yet", "The disk did not take them. They are tried again; if it crashes first, some deliveries repeat.", &["df -h DIR"]),
    code("QC3004", "a stored record cannot be read", "The bytes on disk are damaged, or the disk failed.", &["journalctl -k -n 50", "smartctl -a DEVICE", "qc-edge ledger check, or qc-relay ledger check"]),
    code("QC3005", "the ledger does not balance", "What came in is not the sum of what was handed on, waits, and was dropped with a reason.", &["qc-edge status, or qc-relay status", "report it with the ledger's output: this is a bug or damage"]),
    code("QC3010", "the node key cannot be used", "The key that seals the store is missing, unreadable, or others may read it.", &["ls -l DIR/keys/node.key", "chmod 600 DIR/keys/node.key", "bring it back from the backup of this node"]),
    code("QC3011", "a newer version wrote the store", "This program is older than its store. Nothing was changed.", &["run the version that wrote it"]),
    code("QC3012", "the key does not open the store", "The node key is another one than the store was sealed with.", &["bring back the keys/node.key that belongs to this store"]),
    code("QC3013", "the store cannot be opened", "Its directory or files cannot be read, or the disk failed.", &["ls -ld DIR", "df -h DIR", "journalctl -k -n 50"]),
    code("QC3021", "what is there already cannot be looked up", "The index of a part of the store cannot be read, so nobody knows whether the message is there. It is read again and repaired; senders wait.", &["qc-edge disk, or qc-relay disk", "journalctl -k -n 50"]),
    code("QC3040", "the passphrase of the node key is missing", "The key file is under a passphrase, and none is configured, or its file is missing, unreadable, too short or too long.", &["config explain store", "ls -l FILE", "LoadCredentialEncrypted=qc-node-passphrase in the unit"]),
    code("QC3041", "the passphrase does not open the node key", "It is another one than the key was sealed with.", &["bring back the passphrase of the time when the key was made or rotated last"]),
    code("QC3042", "a node key lies in the clear", "A passphrase or a credential is configured, and the state directory holds a key that anybody with the disk can read.", &["key rotate, which seals the new key under the passphrase", "with a credential: shred -u DIR/keys/node.key, once QC3044 stands in the log or the key is the same"]),
    code("QC3043", "the node key is another one", "A rotation was asked for, and everything is wrapped under the new key. Backups of the store from before need the old one.", &["put keys/node.key into the backup of this node"]),
    code("QC3044", "a change of the node key was ended", "The start found two keys: a rotation had been cut off, or the key has moved into a credential. Everything is wrapped under the new one now.", &["key show", "take the credential qc-node.key.old out of the unit, if there is one"]),
    code("QC3045", "the node key is a credential", "The service manager keeps it, so the daemon cannot change it.", &["follow the lines of help of: key rotate"]),
    code("QC3046", "the tenant's key is destroyed", "Somebody destroyed it with a reason. What it sealed stays unreadable, and nothing new of the tenant is taken.", &["key show", "key create --tenant TENANT, to take in new messages"]),
    code("QC3047", "the tenant's key is not at hand", "The tenant's program gives no key, or the file of its keys is missing or damaged. Nothing of the tenant is read or taken; senders keep what they have.", &["key show", "config explain tenant_key", "bring DIR/keys/tenants back from the backup of this node"]),
    code("QC3048", "the tenant has no key of its own", "None was made here; or the tenant is to have one and had messages here before.", &["key show", "key create --tenant TENANT", "bring DIR/keys/tenants back from the backup of this node, if there was one"]),
    code("QC3049", "the tenant's key is at hand", "The tenant's program gives its key again.", &["nothing"]),
    code("QC3050", "the tenant's key is not destroyed yet", "That it is to be destroyed is on disk, and it is not used any more; overwriting its file failed.", &["key destroy once more", "df -h DIR", "journalctl -k -n 50"]),
    code("QC3051", "the tenant has a new key", "It was made at the first start with the tenant's key configured, or a command asked for it.", &["put keys/tenants into the backup of this node"]),
    code("QC3052", "a tenant's key was destroyed", "A command asked for it, with the reason shown.", &["key rotate, so that copies of the destroyed key are worthless", "man 5 qc-store: what a destruction does not reach"]),
    code("QC3053", "these files belong to another user", "A command without the daemon would leave files that the daemon cannot use.", &["sudo -u SERVICE-USER COMMAND", "or start the daemon and repeat the command"]),
    code("QC3054", "the destruction was not confirmed", "It wants a reason, and the tenant's name typed on a terminal, or --yes.", &["key destroy --tenant TENANT --reason TEXT --yes"]),
    code("QC3060", "no such dead letter", "Nothing of that ID is among the dead letters of this node; IDs belong to the node that shows them.", &["dlq list"]),
    code("QC3061", "the question for dead letters is wrong", "The ID, bookmark, stream or filter does not parse; the cause says where.", &["dlq list --help"]),
    // QC33xx: the disk
    code("QC3300", "the disk fills up", "80 % are used. Nothing is refused yet.", &["df -h DIR", "qc-edge streams list, or qc-relay streams list"]),
    code("QC3301", "the disk is nearly full", "90 % are used; soon nothing more is taken.", &["df -h DIR", "free space, or enlarge the disk"]),
    code("QC3302", "the store takes nothing", "The disk or the limit of the store is full, for the lanes that the message names. Senders wait and keep their messages; nothing is dropped. It ends by itself when space comes back.", &["qc-edge disk, or qc-relay disk", "qc-edge disk relieve --dry-run", "config explain store", "look for a consumer that is behind: streams list"]),
    code("QC3303", "the stream is full", "The stream holds as many messages or bytes as its configuration allows, and a consumer has not taken them, or nobody has subscribed to it yet. Senders wait; nothing is dropped.", &["qc-relay retention show", "look for the consumer that is behind, or for the one that never came: qc-relay consumer list STREAM", "qc-relay consumer remove STREAM NAME takes away one that will not come again", "raise max_messages or max_bytes of the [[stream]], then qc-relay reload"]),
    code("QC3304", "space can be given back", "Files that lie ready and parts of segments that nobody needs take space. Giving them back loses no message.", &["qc-edge disk relieve --yes, or qc-relay disk relieve --yes"]),
    code("QC3305", "the store is damaged", "Bytes on disk were not what had been written. What was damaged lies in log/quarantine, what was lost is a gap in its stream. Everything else is there.", &["qc-edge status, or qc-relay status", "smartctl -a DEVICE", "move the files out of log/quarantine when they were looked at"]),
    code("QC3306", "giving back space wants a yes", "Nobody can be asked here, and --yes was not given.", &["disk relieve --dry-run", "disk relieve --yes"]),
    code("QC3307", "not confirmed", "The question was not answered with yes. Nothing was changed.", &["disk relieve --yes, consumer remove --yes, or node forget --yes"]),
    code("QC3308", "space is back", "The store takes in all lanes again.", &["nothing"]),
    code("QC3309", "a consumer was removed", "An operator took it away. Nothing is kept for it any more; what it had not taken counts as purged in its account.", &["qc-relay ledger check"]),
    code("QC3310", "there is no room to keep damage aside", "Bytes on disk were not what had been written, and the disk is too full for a copy of them in log/quarantine. They stay where they are, their segment is not given back, and the copy is made as soon as there is room. What is lost is a gap in its stream; everything else goes on.", &["df -h DIR", "qc-edge disk relieve, or qc-relay disk relieve", "explain QC3305"]),
    code("QC3311", "a segment can be neither read nor repaired", "The disk gives nothing of a segment, or what was found there could not be written down. Its messages are not lost: whoever reads them is told so and tries again, and everything is read again within the hour. The reading does not count as done until then.", &["journalctl -k -n 50", "smartctl -a DEVICE", "qc-edge disk, or qc-relay disk", "restart the node when the disk answers again"]),
    code("QC3312", "taking something away wants a yes", "Nobody can be asked here, and --yes was not given.", &["qc-relay consumer remove STREAM NAME --yes", "qc-relay node forget NODE --yes"]),
    code("QC3313", "the consumer is connected", "A link reads for it right now. Taken away, it would begin again in the next moment and miss what came in between.", &["take its [[sink]] out of edge.toml and restart the edge, or stop the edge", "qc-relay consumer list"]),
    code("QC3314", "no such consumer", "Nobody of that name reads the stream.", &["qc-relay consumer list"]),
    code("QC3315", "the stream is kept for the parent", "Its uplink is \"send\", so what the parent does not have yet stays here. Taken away, the consumer would begin anew.", &["set uplink = \"none\" for the [[stream]], then qc-relay reload", "qc-relay status"]),
    code("QC3316", "a stream is kept for a parent that gets it no more", "The consumer uplink is there from the time when the stream went up. Nothing that it has not taken makes room.", &["qc-relay consumer remove STREAM uplink --reason TEXT", "or uplink = \"send\" for the [[stream]] again"]),
    // QC34xx: time
    code("QC3402", "the wall clock jumped", "It went from one time to another, and no such time went by: a clock without a battery, a first contact with a time server, a hand that set it. No message becomes older by that; order never depends on it. Time while no process ran counts for a week at most.", &["timedatectl", "qc-edge disk, or qc-relay disk"]),
    // QC40xx: HTTP, in and out
    code("QC4001", "the request is malformed", "Its path, query, headers or flags are wrong; the detail says which.", &["read the detail in the answer"]),
    code("QC4002", "the event is malformed", "The body or the ce- headers are not the CloudEvent that they claim to be.", &["read the detail in the answer", "needed are: id, source, type, specversion 1.0"]),
    code("QC4003", "the caller is not known", "A client certificate or a signature is needed, and none came or it does not fit.", &["curl --cert CERT --key KEY ...", "check the secret that both sides sign with"]),
    code("QC4004", "not allowed", "The caller is known and may not do this; the detail names the rule.", &["check publish and subscribe of the [[stream]] on the relay", "qc-relay config show"]),
    code("QC4005", "no such stream", "Nothing of that name is here.", &["qc-relay streams list"]),
    code("QC4006", "the method is not allowed", "The path takes other methods; the header Allow lists them.", &["read the header Allow"]),
    code("QC4007", "the request took too long", "The body did not arrive before the deadline. Nothing was kept.", &["send smaller bodies, or check the network"]),
    code("QC4008", "a body is required", "A POST came without a body.", &["send a body with Content-Length or chunked"]),
    code("QC4009", "the body is too large", "It exceeds the limit named beside. Nothing was kept.", &["send it in pieces, or as a file drop in line mode"]),
    code("QC4010", "the media type is not supported", "The Content-Type or Content-Encoding is not spoken here.", &["Content-Type: application/cloudevents+json", "send the body uncompressed"]),
    code("QC4011", "the event cannot be accepted", "It is well-formed, but a rule such as the data class refuses it.", &["read the detail in the answer"]),
    code("QC4012", "too many requests", "The caller is over its limit.", &["wait as long as Retry-After says"]),
    code("QC4013", "the headers are too large", "There are too many, or they are too long.", &["send fewer or shorter headers"]),
    code("QC4014", "this node failed", "A fault inside; the log has the reason.", &["journalctl -u UNIT -n 50"]),
    code("QC4015", "not available now", "The node is draining, or its store stopped. Nothing was kept; the sender repeats.", &["wait as long as Retry-After says", "systemctl status UNIT"]),
    code("QC4016", "the store is full", "There is no room for the request. Nothing of it was kept.", &["df -h DIR", "explain QC3302"]),
    code("QC4017", "no such representation", "The header Accept wants a type that is not offered.", &["Accept: application/json"]),
    code("QC4018", "no webhook has this path", "The sender posts to another path than the source is configured with.", &["check path in [source.webhook]"]),
    code("QC4020", "the peer takes no messages in parts", "A message of more than 16 MiB waits, and what comes behind it in its stream and lane, because the node at the other end runs a version that would take its parts for repetitions. Nothing is lost.", &["update the other node: the link does the rest"]),
    code("QC4021", "the message is not whole", "Parts of it have ended, were damaged, or are not what its sender sent.", &["send the message once more", "look at retention of the stream: qc-relay retention show"]),
    code("QC4022", "no such message", "No message of the stream ends at this number, or not any more.", &["read the stream without a number; dataref of a message says where its data is"]),
    // QC41xx: sources
    code("QC4101", "a source cannot use a file", "A directory or file that the source needs is missing or not accessible for the daemon's user.", &["ls -ld PATH", "qc-edge config check"]),
    code("QC4102", "a source's setting cannot work", "The value named beside is not usable.", &["qc-edge config explain source"]),
    code("QC4103", "not a regular file", "Links, pipes and devices in a drop directory are not read.", &["copy the content into a plain file"]),
    code("QC4104", "the file is a hard link", "The file has another name, through which it could change while it is read.", &["copy the file in (cp) in place of linking it (ln)"]),
    code("QC4105", "the file is too large", "It exceeds max_bytes of the source.", &["qc-edge config explain source.file", "mode = \"lines\" takes larger files"]),
    code("QC4106", "the file cannot be read", "The daemon's user may not read it, or the disk failed.", &["ls -l FILE", "journalctl -k -n 50"]),
    code("QC4107", "a line is not UTF-8", "In line mode files are text in UTF-8.", &["iconv -f LATIN1 -t UTF-8 FILE", "mode = \"whole\" takes any bytes"]),
    code("QC4108", "a line is too long", "The limit of a line is in the reason; often the file is not made of lines.", &["mode = \"whole\" takes any bytes"]),
    code("QC4110", "a file cannot be moved out of the drop directory", "It was taken and stays where it is, because the directory is not writable for the daemon's user. It is not sent twice.", &["ls -ld DIRECTORY", "df -h DIRECTORY"]),
    // QC42xx: sinks
    code("QC4201", "a sink cannot use a file", "A directory or file that the sink needs is missing or not accessible for the daemon's user.", &["ls -ld PATH", "qc-edge config check"]),
    code("QC4202", "a sink's setting cannot work", "The value named beside is not usable.", &["qc-edge config explain sink"]),
    code("QC4203", "the file sink cannot write", "The disk is full or the directory not writable. The message waits and is tried again.", &["df -h PATH", "ls -ld PATH"]),
    code("QC4204", "the body cannot be one line", "The sink appends lines and the body has line breaks. It became a dead letter.", &["mode = \"one-per-message\""]),
    code("QC4205", "an attribute cannot be sent as a header", "Its name or value has characters that HTTP does not allow. The message became a dead letter.", &["format = \"structured\""]),
    code("QC4206", "the webhook's address is blocked", "The name resolves to a link-local or metadata address, a common way of attack.", &["getent ahosts HOST", "if it is meant: list it in allow of [sink.webhook]"]),
    code("QC4207", "the webhook refused the message", "It answered with a 4xx status that a repetition does not change. The message became a dead letter.", &["qc-edge status", "look at the receiver's log"]),
    code("QC4208", "a part of a message is missing", "A part came and one before it did not. What had come is in the dead letters, part by part.", &["dlq list", "send the message once more, under a new id"]),
    code("QC4209", "the parts do not make the message", "A part has another head or length than the first, or all of them have another digest than their sender stated. What had come is in the dead letters.", &["dlq list", "look for a second sender that uses the same source and id", "send the message once more, under a new id"]),
    code("QC4210", "the rest of a message does not come", "A message in parts was begun and is not whole. It waits for as long as unfinished of the sink says while the edge runs; then what came of it becomes dead letters.", &["repeat the sender's command: it goes on where it was", "qc-edge status at its origin", "qc-edge config explain sink.file"]),
    code("QC4211", "a message in parts cannot be one line", "The sink appends lines, and a message of more than 16 MiB came. Its parts became dead letters.", &["mode = \"one-per-message\""]),
    code("QC4212", "a message in parts cannot be one request", "The webhook sink posts messages of up to 16 MiB. The parts of a longer one became dead letters.", &["[sink.file] for this stream", "read it from the relay: dataref of the message says where"]),
    // QC50xx: access
    code("QC5001", "no rule lets the node use the stream", "The stream is not declared, belongs to another tenant, or no publish or subscribe pattern names the node.", &["qc-relay config show", "add the node to publish or subscribe of the [[stream]], then qc-relay reload"]),
    code("QC5003", "the data class does not fit", "The message states another class than its source or its stream is configured with. A source does not take it; a relay keeps it among its dead letters.", &["dlq list --code QC5003", "qc-edge config explain source", "check dataclassification in the message"]),
    code("QC5004", "the message does not go to the parent", "Its stream goes up, but no [[class]] with uplink = true names the class that the message states. It is kept among the dead letters of this relay; its body never left.", &["qc-relay dlq list --code QC5004", "if the class may leave: uplink = true for its [[class]], then qc-relay reload; what has stayed is not sent by that", "if not: qc-relay config show"]),
    code("QC5010", "a body is not shown", "Reading what is in a message is break-glass: it needs a reason and leaves an entry in the audit log, which this version does not keep yet.", &["dlq show ID --meta shows why it is here and its attributes"]),
    // QC60xx: qc-top
    code("QC6001", "the filter is wrong", "The expression of --filter does not parse; the place is shown.", &["qc-top --filter 'site=site-1* & backlog>1000 & state!=ok'"]),
    code("QC6002", "the option has no meaning here", "qc-top cannot do what the flag asks for.", &["qc-top --help"]),
    code("QC6003", "the runtime does not start", "The limit of threads or memory is reached.", &["ulimit -u", "free -m"]),
    code("QC6004", "the answer is not a fleet", "The relay's answer does not parse: another version, or another program at that socket.", &["qc-top --version, qc-relay --version"]),
    code("QC6005", "the relay speaks another version", "The schema of the fleet is another one than this qc-top knows.", &["use the qc-top of the relay's release"]),
    code("QC6006", "the terminal cannot be used", "It is gone, or does not let its mode be changed.", &["qc-top --linear, or qc-top --batch"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_unique_and_complete() {
        assert!(CODES.is_sorted_by(|a, b| a.code < b.code));
        for code in CODES {
            assert_eq!(crate::failure::known_code(code.code), Some(code.code));
            assert!(
                !code.title.is_empty() && !code.fix.is_empty(),
                "{}",
                code.code
            );
            assert!(code.cause.ends_with('.'), "{}", code.code);
        }
    }

    #[test]
    fn reads_as_advice() {
        let code = CODES.iter().find(|code| code.code == "QC1103").unwrap();
        assert_eq!(
            code.text(),
            "QC1103  the port is in use\n  cause  Another process listens on the address.\n  \
             do     ss -ltnp 'sport = :PORT'\n"
        );
    }
}
