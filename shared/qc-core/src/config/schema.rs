//! What a configuration file may say: sections, keys, kinds, defaults and their explanations.

/// A binary's configuration. The key `schema = 1` at the top belongs to every file.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The binary, such as `qc-edge`.
    pub program: &'static str,
    /// Where its main file usually lies.
    pub file: &'static str,
    /// The sections, in the order of the sample.
    pub sections: &'static [Section],
}

/// `[name]` or `[[name]]`.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// The name in brackets.
    pub name: &'static str,
    /// Once or many times.
    pub shape: Shape,
    /// Whether it must be there (of many: at least one).
    pub required: bool,
    /// Some sentences.
    pub doc: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// Sub-tables of which exactly one must be there, unless the list is empty.
    pub variants: &'static [Variant],
}

/// How often a section may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `[name]`: at most once. An absent one without required keys takes its defaults.
    One,
    /// `[[name]]`: any number, told apart by their key `name`, which must be a required key.
    Many,
}

/// A sub-table `[section.name]` that selects a type.
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    /// The name after the dot.
    pub name: &'static str,
    /// Some sentences.
    pub doc: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// One key. Made by [`Key::new`] and refined by the methods after it.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name, `snake_case`.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// One sentence or two.
    pub doc: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// The value it has when it is not there, as it would be written in the file.
    pub default: Option<&'static str>,
    /// A value for the sample, as it would be written in the file.
    pub example: Option<&'static str>,
    /// Whether its value must not be shown, nor come from the environment.
    pub secret: bool,
    /// Whether a reload applies a change; otherwise a restart does.
    pub reload: bool,
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text, not empty.
    String,
    /// A path of a file or directory.
    Path,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// A time such as `"5s"`.
    Duration,
    /// A size such as `"16MiB"`.
    Size,
    /// A remote address `"HOST:PORT"`.
    Addr,
    /// A local address `"IP:PORT"`.
    Listen,
    /// An `http://` or `https://` URL.
    Url,
    /// One of some words.
    Enum(&'static [&'static str]),
    /// A label of `a-z`, `0-9` and `-`.
    Label,
    /// A node's name, `NODE.SITE.TENANT`.
    NodeName,
    /// A stream's name, `TENANT/NAME`.
    StreamName,
    /// A DNS suffix.
    TrustDomain,
    /// An array of one kind.
    List(&'static Self),
    /// A table with these keys.
    Table(&'static [Key]),
    /// A table with keys of the user's choice, of one kind (not of another table).
    Map(&'static Self),
}

impl Key {
    /// An optional key without default that wants a restart.
    pub const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            doc,
            required: false,
            default: None,
            example: None,
            secret: false,
            reload: false,
        }
    }

    /// Must be there.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Has this value when it is not there; TOML as in the file, such as `"\"5s\""`.
    #[must_use]
    pub const fn default(mut self, toml: &'static str) -> Self {
        self.default = Some(toml);
        self
    }

    /// Has this value in the sample; TOML as in the file.
    #[must_use]
    pub const fn example(mut self, toml: &'static str) -> Self {
        self.example = Some(toml);
        self
    }

    /// Is never shown.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// A change is applied by a reload.
    #[must_use]
    pub const fn reload(mut self) -> Self {
        self.reload = true;
        self
    }
}

impl Kind {
    /// What is expected, in words: `a duration such as "5s"`.
    pub fn expected(self) -> String {
        match self {
            Self::String => "a string".to_owned(),
            Self::Path => "a path in quotes".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Integer { min, max } if max == i64::MAX => {
                format!("a whole number of at least {min}")
            }
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Duration => "a duration such as \"5s\" or \"3d\"".to_owned(),
            Self::Size => "a size such as \"64KiB\" or \"16GiB\"".to_owned(),
            Self::Addr => "an address \"HOST:PORT\"".to_owned(),
            Self::Listen => "a local address \"IP:PORT\"".to_owned(),
            Self::Url => "a URL \"http://..\" or \"https://..\"".to_owned(),
            Self::Enum(words) => format!("one of {}", quoted(words)),
            Self::Label => "a name of a-z, 0-9 and -".to_owned(),
            Self::NodeName => "a node name \"NODE.SITE.TENANT\"".to_owned(),
            Self::StreamName => "a stream name \"TENANT/NAME\"".to_owned(),
            Self::TrustDomain => "a DNS suffix such as \"qc.internal\"".to_owned(),
            Self::List(item) => format!("an array, each item {}", item.expected()),
            Self::Table(_) => "a table".to_owned(),
            Self::Map(item) => format!("a table, each value {}", item.expected()),
        }
    }

    /// One value, not a table or array.
    pub(super) fn is_scalar(self) -> bool {
        !matches!(self, Self::List(_) | Self::Table(_) | Self::Map(_))
    }
}

pub(super) fn quoted(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    quoted.join(", ")
}

impl Schema {
    /// What is wrong with the schema itself; for a test of the binary that declares it.
    pub fn lint(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for section in self.sections {
            let path = section.name;
            if section.shape == Shape::Many
                && !section
                    .keys
                    .iter()
                    .any(|key| key.name == "name" && key.required)
            {
                wrong.push(format!("[[{path}]] lacks a required key 'name'"));
            }
            lint_keys(path, section.keys, &mut wrong);
            for variant in section.variants {
                let path = format!("{path}.{}", variant.name);
                if section.keys.iter().any(|key| key.name == variant.name) {
                    wrong.push(format!("{path} is a key and a variant"));
                }
                lint_keys(&path, variant.keys, &mut wrong);
            }
        }
        let sample = super::Source::new("sample", self.sample());
        if let Err(failure) = super::load(self, vec![sample], &[]) {
            wrong.push(format!("the sample is refused: {failure}"));
        }
        wrong
    }
}

fn lint_keys(path: &str, keys: &[Key], wrong: &mut Vec<String>) {
    for (at, key) in keys.iter().enumerate() {
        let path = format!("{path}.{}", key.name);
        if keys.iter().skip(at + 1).any(|other| other.name == key.name) {
            wrong.push(format!("{path} is declared twice"));
        }
        if key.required && key.default.is_some() {
            wrong.push(format!("{path} is required and has a default"));
        }
        if key.required && key.example.is_none() && key.kind.is_scalar() {
            wrong.push(format!("{path} is required and lacks an example"));
        }
        for literal in key.default.into_iter().chain(key.example) {
            if let Err(error) = super::value::literal(key.kind, literal) {
                wrong.push(format!("{path}: {literal} is not valid: {error}"));
            }
        }
        if let Kind::Table(keys) = key.kind {
            lint_keys(&path, keys, wrong);
        }
    }
}
