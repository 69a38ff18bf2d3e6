//! Errors of the core as failures with exit codes and a next step.

use qc_core::cli::{Exit, Failure};
use qc_core::est::EnrollError;
use qc_core::pki::{
    AuthorityError, CertError, CsrRefusal, DirError, IdentityError, KeyError, LogError,
    PeerRefusal, RequestError, TokenError, TrustError,
};

fn plain(exit: Exit, code: &'static str, error: &(dyn std::error::Error + 'static)) -> Failure {
    let failure = Failure::new(exit, code, error.to_string());
    match error.source() {
        Some(source) => failure.because(source),
        None => failure,
    }
}

pub(crate) fn dir(error: DirError) -> Failure {
    match error {
        DirError::NotInitialized { .. } => plain(Exit::NotFound, "QC2100", &error)
            .help("qc-pki init --org NAME --trust-domain DOMAIN"),
        DirError::OtherOrganisation { .. } => plain(Exit::Conflict, "QC2101", &error),
        DirError::NoSuchCa { .. } => {
            plain(Exit::NotFound, "QC2102", &error).help("qc-pki list --profile ca")
        }
        DirError::CaExists { .. } => plain(Exit::Conflict, "QC2103", &error),
        DirError::BadName { .. } => plain(Exit::Usage, "QC2104", &error),
        DirError::Locked { .. } => plain(Exit::Conflict, "QC2105", &error),
        DirError::File { .. } => plain(Exit::Disk, "QC2106", &error),
        DirError::Broken { .. } | DirError::Cert(_) => plain(Exit::Verification, "QC2107", &error),
        DirError::Key(error) => key(&error),
        DirError::Authority(error) => authority(&error),
        DirError::KeyTaken { .. } => plain(Exit::Conflict, "QC2118", &error)
            .help("make a new key: a key is never shared between nodes"),
        DirError::SelfCheck(_) => plain(Exit::Refused, "QC2119", &error),
        DirError::Log(LogError::Broken { .. }) => plain(Exit::Verification, "QC2109", &error),
        DirError::Log(_) => plain(Exit::Disk, "QC2106", &error),
    }
}

pub(crate) fn log(error: LogError) -> Failure {
    dir(DirError::Log(error))
}

pub(crate) fn key(error: &KeyError) -> Failure {
    match error {
        KeyError::Exposed { path, .. } => {
            plain(Exit::Refused, "QC2021", error).help(format!("chmod 600 {}", path.display()))
        }
        KeyError::NeedsPassphrase { .. } | KeyError::WrongPassphrase { .. } => {
            plain(Exit::Refused, "QC2108", error)
        }
        KeyError::File { .. } => plain(Exit::Disk, "QC2106", error),
        KeyError::Malformed { .. } => plain(Exit::Verification, "QC2107", error),
        KeyError::Crypto(_) => plain(Exit::Other, "QC2107", error),
    }
}

pub(crate) fn authority(error: &AuthorityError) -> Failure {
    match error {
        AuthorityError::Ended { .. } => plain(Exit::Refused, "QC2157", error),
        AuthorityError::NoCas { .. } | AuthorityError::Bounds { .. } => {
            plain(Exit::Refused, "QC2116", error)
        }
        AuthorityError::Key(error) => key(error),
        _ => plain(Exit::Verification, "QC2107", error),
    }
}

pub(crate) fn token(error: &TokenError) -> Failure {
    let exit = match error {
        TokenError::Typo { .. } | TokenError::TooLong | TokenError::BadHost { .. } => Exit::Usage,
        TokenError::Replayed { .. } | TokenError::Frozen { .. } => Exit::Conflict,
        TokenError::File { .. } => Exit::Disk,
        _ => Exit::Refused,
    };
    plain(exit, error.code(), error)
}

pub(crate) fn peer(refusal: &PeerRefusal) -> Failure {
    plain(Exit::Verification, refusal.code(), refusal)
}

pub(crate) fn trust(error: &TrustError) -> Failure {
    let exit = match error {
        TrustError::File { .. } => Exit::Disk,
        TrustError::OtherDomain { .. } => Exit::Conflict,
        _ => Exit::Verification,
    };
    plain(exit, "QC2023", error)
}

pub(crate) fn identity(error: &IdentityError) -> Failure {
    match error {
        IdentityError::Missing { .. } => plain(Exit::NotFound, "QC2020", error)
            .help("qc-pki enroll --url https://HOST --token-file FILE --dir DIR"),
        IdentityError::File { .. } => plain(Exit::Disk, "QC2106", error),
        IdentityError::Key(error) => key(error),
        _ => plain(Exit::Verification, "QC2022", error),
    }
}

pub(crate) fn cert(error: &CertError) -> Failure {
    plain(Exit::Verification, "QC2134", error)
}

pub(crate) fn request(error: &RequestError) -> Failure {
    match error {
        RequestError::Csr(CsrRefusal::KeyPolicy { .. }) => plain(Exit::Refused, "QC2110", error),
        RequestError::Trust(error) => trust(error),
        _ => plain(Exit::Verification, "QC2110", error),
    }
}

pub(crate) fn enroll(error: EnrollError) -> Failure {
    match error {
        EnrollError::BadUrl { .. } => plain(Exit::Usage, "QC2140", &error),
        EnrollError::Unreachable { .. } | EnrollError::Deadline { .. } => {
            plain(Exit::Unreachable, "QC2141", &error)
        }
        EnrollError::Http { .. } => plain(Exit::Unreachable, "QC2142", &error)
            .help("run the same command again: the same key gets the same certificate"),
        EnrollError::WrongPin { .. } => plain(Exit::Verification, "QC2143", &error)
            .help("somebody stands in between, or the token is of another authority"),
        EnrollError::Tls { .. } => plain(Exit::Verification, "QC2144", &error),
        EnrollError::BadAnswer(_) => plain(Exit::Verification, "QC2145", &error),
        EnrollError::NotAcceptable(_) => plain(Exit::Verification, "QC2146", &error),
        EnrollError::Refused { status, .. } => {
            let exit = match status {
                409 => Exit::Conflict,
                500.. => Exit::Other,
                _ => Exit::Refused,
            };
            let EnrollError::Refused { code, detail, .. } = error else {
                return Failure::new(exit, "QC2147", "the authority refused");
            };
            let message = format!("the authority refused: {detail}");
            Failure::new(exit, "QC2147", message).detail(if code.is_empty() {
                String::new()
            } else {
                format!("  its code: {code}")
            })
        }
        EnrollError::Trust(error) => trust(&error),
        EnrollError::Identity(error) => identity(&error),
        EnrollError::Key(error) => key(&error),
        EnrollError::Library(_) => plain(Exit::Bug, "QC2148", &error),
    }
}
