//! What is given to site A, and what must lie at site B in the end.
//!
//! Real files of `tests/samples`, in portions that are given one after the other: files as they are,
//! weather records as lines, and webhook payloads posted as their sender does, one of them twice.

use std::collections::BTreeMap;
use std::path::Path;

use qc_core::cli::Failure;

use super::disk;

/// The streams of the demo.
pub(super) const FILES: &str = "acme/files";
/// Lines of weather records.
pub(super) const WEATHER: &str = "acme/weather";
/// Webhook payloads.
pub(super) const GITHUB: &str = "acme/github";
/// All of them, as the ledger lists them.
pub(super) const STREAMS: [&str; 3] = [FILES, WEATHER, GITHUB];

/// What is given at one moment.
#[derive(Debug, Clone, Default)]
pub struct Portion {
    /// Files for the drop of whole files: name and content.
    pub files: Vec<(String, Vec<u8>)>,
    /// A file for the drop of lines.
    pub lines: Option<(String, Vec<u8>)>,
    /// Webhook deliveries.
    pub posts: Vec<Delivery>,
}

/// One webhook delivery.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// `X-GitHub-Delivery`, the same when it is delivered again.
    pub id: String,
    /// `X-GitHub-Event`
    pub event: String,
    /// The payload.
    pub body: Vec<u8>,
    /// Whether this very delivery was posted and answered before.
    pub again: bool,
}

/// Everything that is given.
#[derive(Debug, Clone)]
pub struct Input {
    /// In this order.
    pub portions: Vec<Portion>,
}

impl Input {
    /// The samples below `samples` in `count` portions, with at most `max_lines` weather records.
    pub fn load(samples: &Path, count: usize, max_lines: usize) -> Result<Self, Failure> {
        let payloads = read_folder(&samples.join("github-webhooks"), "json")?;
        let weather = read_folder(&samples.join("weather"), "csv")?;
        let mut portions = vec![Portion::default(); count.max(2)];
        for (file, place) in payloads.iter().chain(&weather).zip(places(count)) {
            if let Some(portion) = portions.get_mut(place) {
                portion.files.push(file.clone());
            }
        }
        let lines: Vec<&[u8]> = weather
            .iter()
            .flat_map(|(_, content)| content.split_inclusive(|byte| *byte == b'\n'))
            .take(max_lines)
            .collect();
        let share = lines.len().div_ceil(portions.len()).max(1);
        for (at, (portion, lines)) in portions.iter_mut().zip(lines.chunks(share)).enumerate() {
            portion.lines = Some((format!("weather-{at:03}.csv"), lines.concat()));
        }
        for (at, ((name, body), place)) in payloads.iter().zip(places(count)).enumerate() {
            let delivery = Delivery {
                id: format!("5b1dd3a0-c6e2-11f0-8000-{at:012}"),
                event: name.split('.').next().unwrap_or_default().to_owned(),
                body: body.clone(),
                again: false,
            };
            if let Some(portion) = portions.get_mut(place) {
                portion.posts.push(delivery);
            }
        }
        let mut input = Self { portions };
        input.deliver_again();
        Ok(input)
    }

    /// GitHub sends a delivery again when it did not see the answer: so comes the first one.
    fn deliver_again(&mut self) {
        if let Some(posts) = self.portions.first_mut().map(|portion| &mut portion.posts)
            && let Some(first) = posts.first().cloned()
        {
            let again = true;
            posts.insert(1, Delivery { again, ..first });
        }
    }

    /// Messages of all streams together.
    pub fn messages(&self) -> u64 {
        STREAMS
            .iter()
            .map(|stream| self.expected(stream).total())
            .sum()
    }

    /// What must lie at the far end for `stream`.
    pub(super) fn expected(&self, stream: &str) -> Content {
        let mut content = Content::default();
        for portion in &self.portions {
            match stream {
                FILES => portion
                    .files
                    .iter()
                    .for_each(|(name, body)| content.add(name, body)),
                GITHUB => {
                    for post in portion.posts.iter().filter(|post| !post.again) {
                        content.add(&format!("{}.json", post.id), &post.body);
                    }
                }
                _ => portion
                    .lines
                    .iter()
                    .for_each(|(_, text)| content.add_lines(text)),
            }
        }
        content
    }
}

/// Things with a name and a content, each with how often it is there. Lines have no name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    things: BTreeMap<(String, Vec<u8>), u64>,
}

/// How what lies there compares with what must.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Compared {
    /// There as it must be.
    pub(super) right: u64,
    /// There, but not given, or more often than given.
    pub(super) extra: u64,
}

impl Content {
    fn add(&mut self, name: &str, body: &[u8]) {
        *self
            .things
            .entry((name.to_owned(), body.to_vec()))
            .or_default() += 1;
    }

    fn add_lines(&mut self, text: &[u8]) {
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            // a line is text without its end, which other systems write otherwise
            match line.strip_suffix(b"\r\n") {
                Some(text) => self.add("", &[text, b"\n"].concat()),
                None => self.add("", line),
            }
        }
    }

    /// The files in a folder; hidden ones are the program's own. A folder that is not there is empty.
    pub(super) fn of_folder(dir: &Path) -> Result<Self, Failure> {
        let mut content = Self::default();
        for (name, body) in visible(dir)? {
            content.add(&name, &body);
        }
        Ok(content)
    }

    /// The lines of all files in a folder.
    pub(super) fn of_lines(dir: &Path) -> Result<Self, Failure> {
        let mut content = Self::default();
        for (_, text) in visible(dir)? {
            content.add_lines(&text);
        }
        Ok(content)
    }

    /// How many things.
    pub(super) fn total(&self) -> u64 {
        self.things.values().sum()
    }

    /// This, which lies there, against what must.
    pub(super) fn compare(&self, expected: &Self) -> Compared {
        let mut compared = Compared::default();
        for (thing, count) in &self.things {
            let wanted = expected.things.get(thing).copied().unwrap_or(0);
            compared.right += wanted.min(*count);
            compared.extra += count.saturating_sub(wanted);
        }
        compared
    }
}

/// The places of things that come evenly over `count` portions.
fn places(count: usize) -> impl Iterator<Item = usize> {
    (0..count.max(2)).cycle()
}

fn visible(dir: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut files = read_folder(dir, "")?;
    files.retain(|(name, _)| !name.starts_with('.'));
    Ok(files)
}

/// The files of a folder whose names end in `extension`, by name.
fn read_folder(dir: &Path, extension: &str) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let read = || {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_file() && name.ends_with(extension) {
                match std::fs::read(entry.path()) {
                    // renamed since the folder was listed
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    content => files.push((name, content?)),
                }
            }
        }
        files.sort();
        Ok(files)
    };
    read().map_err(|error| disk(dir, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(lines: &str) -> Content {
        let mut content = Content::default();
        content.add_lines(lines.as_bytes());
        content
    }

    #[test]
    fn compares_with_multiplicity() {
        let expected = content("a\na\nb\n");
        let compare = |lines| {
            let compared = content(lines).compare(&expected);
            (compared.right, compared.extra)
        };
        assert_eq!(compare("b\na\na\n"), (3, 0));
        assert_eq!(compare("a\nb\n"), (2, 0));
        assert_eq!(compare("a\na\na\nb\nc\n"), (3, 2));
        assert_eq!(compare("a\na\nb"), (2, 1), "half a line is not that line");
        assert_eq!(compare("a\r\na\nb\r\n"), (3, 0));
    }

    #[test]
    fn the_samples_are_given_whole() {
        let workspace = crate::workspace::Workspace::find().unwrap();
        let input = Input::load(&workspace.root().join("tests/samples"), 10, usize::MAX).unwrap();
        assert_eq!(input.expected(FILES).total(), 25);
        assert_eq!(input.expected(GITHUB).total(), 22);
        assert!(input.expected(WEATHER).total() > 2_000);
        let posts = input.portions.iter().map(|portion| portion.posts.len());
        assert_eq!(posts.sum::<usize>(), 23, "one of them twice");
        assert!(input.portions.iter().all(|portion| portion.lines.is_some()));
    }
}
