//! Names, parsed at the door: a value of one of these types is safe in a path, a certificate, a log
//! line and a terminal, because its alphabet is `[a-z0-9-]` (streams add `_` and `.`).

use std::fmt;
use std::str::FromStr;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A label is empty or longer than allowed.
    #[error("'{label}' must have 1 to {max} characters")]
    Length {
        /// The offending part, shortened for display.
        label: String,
        /// The most characters allowed.
        max: usize,
    },
    /// A character outside the alphabet.
    #[error("'{label}' has the character {found:?}; allowed are {allowed}")]
    Alphabet {
        /// The offending part, shortened for display.
        label: String,
        /// The first character that is not allowed.
        found: char,
        /// The alphabet in words.
        allowed: &'static str,
    },
    /// The number or order of parts is wrong.
    #[error("'{text}' is not of the form {form}")]
    Form {
        /// The whole text, shortened for display.
        text: String,
        /// The form expected.
        form: &'static str,
    },
}

const LABEL: &str = "a-z, 0-9 and - (not at the ends)";
const STREAM_PART: &str = "a-z, 0-9, -, _ and .";

/// A node's name: `NODE.SITE.TENANT`, for example `edge-07.mill7.acme`.
///
/// Ordered and compared as text. With a [`TrustDomain`] appended it is the one DNS SAN of the
/// node's certificate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName {
    text: Box<str>,
    node_end: usize,
    site_end: usize,
}

impl NodeName {
    /// The first label: the node within its site.
    pub fn node(&self) -> &str {
        self.text.get(..self.node_end).unwrap_or_default()
    }

    /// The second label: the site.
    pub fn site(&self) -> &str {
        self.text
            .get(self.node_end + 1..self.site_end)
            .unwrap_or_default()
    }

    /// The third label: the tenant.
    pub fn tenant(&self) -> &str {
        self.text.get(self.site_end + 1..).unwrap_or_default()
    }

    /// The whole name without the trust domain.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The DNS name of this node under `domain`.
    pub fn dns_name(&self, domain: &TrustDomain) -> String {
        format!("{}.{}", self.text, domain.as_str())
    }

    /// Parses a DNS name that must end in `domain` and have exactly three labels before it.
    pub fn from_dns_name(dns: &str, domain: &TrustDomain) -> Result<Self, NameError> {
        let form = NameError::Form {
            text: shorten(dns),
            form: "NODE.SITE.TENANT.TRUST-DOMAIN",
        };
        dns.strip_suffix(domain.as_str())
            .and_then(|rest| rest.strip_suffix('.'))
            .ok_or(form)?
            .parse()
    }
}

impl FromStr for NodeName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut labels = text.split('.');
        let (Some(node), Some(site), Some(tenant), None) =
            (labels.next(), labels.next(), labels.next(), labels.next())
        else {
            return Err(NameError::Form {
                text: shorten(text),
                form: "NODE.SITE.TENANT",
            });
        };
        for label in [node, site, tenant] {
            check_label(label)?;
        }
        let node_end = node.len();
        Ok(Self {
            text: text.into(),
            node_end,
            site_end: node_end + 1 + site.len(),
        })
    }
}

/// The name of a stream: `tenant/name`, for example `acme/lab-results`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName {
    text: Box<str>,
    tenant_end: usize,
}

impl StreamName {
    /// The tenant that owns the stream.
    pub fn tenant(&self) -> &str {
        self.text.get(..self.tenant_end).unwrap_or_default()
    }

    /// The name within the tenant.
    pub fn name(&self) -> &str {
        self.text.get(self.tenant_end + 1..).unwrap_or_default()
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for StreamName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let form = || NameError::Form {
            text: shorten(text),
            form: "TENANT/NAME",
        };
        let (tenant, name) = text.split_once('/').ok_or_else(form)?;
        check_label(tenant)?;
        if name.is_empty() || name.len() > 128 {
            return Err(NameError::Length {
                label: shorten(name),
                max: 128,
            });
        }
        let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.');
        if let Some(found) = name.chars().find(|c| !allowed(*c)) {
            return Err(NameError::Alphabet {
                label: shorten(name),
                found,
                allowed: STREAM_PART,
            });
        }
        if name.starts_with('.') || name.contains("..") {
            return Err(form());
        }
        Ok(Self {
            text: text.into(),
            tenant_end: tenant.len(),
        })
    }
}

/// The DNS suffix under which one organisation's nodes are named, for example `qc.internal`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Box<str>);

impl TrustDomain {
    /// The domain as text, without a leading dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > 120 {
            return Err(NameError::Length {
                label: shorten(text),
                max: 120,
            });
        }
        text.split('.').try_for_each(check_label)?;
        Ok(Self(text.into()))
    }
}

macro_rules! label_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check_label(text)?;
                Ok(Self(text.into()))
            }
        }

        text_impls!($name);
    };
}

macro_rules! text_impls {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }
    };
}

text_impls!(NodeName);
text_impls!(StreamName);
text_impls!(TrustDomain);
label_type!(
    /// Who owns data: the first part of a stream's name and the last label of a node's.
    Tenant
);
label_type!(
    /// A place with nodes: the second label of a node's name.
    Site
);
label_type!(
    /// Where data may reside, for example `eu-de`.
    Region
);
label_type!(
    /// The kind of data that rules speak of, for example `phi` or `public`.
    DataClass
);

fn check_label(label: &str) -> Result<(), NameError> {
    if label.is_empty() || label.len() > 63 {
        return Err(NameError::Length {
            label: shorten(label),
            max: 63,
        });
    }
    let bad = |found| NameError::Alphabet {
        label: shorten(label),
        found,
        allowed: LABEL,
    };
    if let Some(found) = label
        .chars()
        .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-'))
    {
        return Err(bad(found));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(bad('-'));
    }
    Ok(())
}

fn shorten(text: &str) -> String {
    crate::safe_text::safe(text, 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_names_have_three_labels() {
        let name: NodeName = "edge-07.mill7.acme".parse().unwrap();
        assert_eq!(
            (name.node(), name.site(), name.tenant()),
            ("edge-07", "mill7", "acme")
        );
        for bad in [
            "", "a.b", "a.b.c.d", "A.b.c", "a..c", "-a.b.c", "a.b-.c", "a.b.c\n", "é.b.c",
        ] {
            assert!(bad.parse::<NodeName>().is_err(), "{bad:?} must not parse");
        }
        assert!(
            format!("{}.b.c", "a".repeat(64))
                .parse::<NodeName>()
                .is_err()
        );
    }

    #[test]
    fn dns_names_belong_to_the_trust_domain() {
        let domain: TrustDomain = "qc.internal".parse().unwrap();
        let name: NodeName = "edge-07.mill7.acme".parse().unwrap();
        assert_eq!(name.dns_name(&domain), "edge-07.mill7.acme.qc.internal");
        assert_eq!(
            NodeName::from_dns_name("edge-07.mill7.acme.qc.internal", &domain),
            Ok(name)
        );
        for bad in [
            "edge-07.mill7.acme",
            "x.edge-07.mill7.acme.qc.internal",
            "a.b.cqc.internal",
            "*.b.c.qc.internal",
        ] {
            assert!(NodeName::from_dns_name(bad, &domain).is_err(), "{bad}");
        }
    }

    #[test]
    fn stream_names_are_safe_in_paths() {
        let name: StreamName = "acme/lab_results.v2".parse().unwrap();
        assert_eq!((name.tenant(), name.name()), ("acme", "lab_results.v2"));
        for bad in [
            "acme", "acme/", "acme/..", "acme/.x", "acme/a/b", "acme/A", "/a", "acme/a b",
        ] {
            assert!(bad.parse::<StreamName>().is_err(), "{bad:?} must not parse");
        }
    }

    #[test]
    fn errors_name_the_character() {
        let error = "edge_7.mill7.acme"
            .parse::<NodeName>()
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "'edge_7' has the character '_'; allowed are a-z, 0-9 and - (not at the ends)"
        );
    }
}
