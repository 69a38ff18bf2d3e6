//! The objects that a node has taken, as they came:
//!
//! ```text
//! control/KIND.qco          control/KIND.LABEL.qco     the newest of each, mode 0600
//! ```
//!
//! The file is written when the object is in force, on a relay also when not all of it can be: what is here is
//! looked at again at the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::kind::{Kind, Label, Mark};
use super::object::{MAX_OBJECT, Object};
use crate::durable;

/// The most objects that a node keeps.
pub const MAX_KEPT: usize = 64;
/// What their files end with.
const END: &str = "qco";

/// The newest object of each kind and label.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    dir: PathBuf,
    objects: Vec<Arc<Object>>,
}

/// A file that is no control object, or cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path} is left out: {why}")]
pub struct KeptError {
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

impl Kept {
    /// Reads the directory, and tells what cannot be used of it: such an object comes again.
    pub fn open(dir: &Path) -> (Self, Vec<KeptError>) {
        let mut kept = Self {
            dir: dir.to_owned(),
            objects: Vec::new(),
        };
        let mut left_out = Vec::new();
        let mut leave = |path: &Path, why: String| {
            left_out.push(KeptError {
                path: path.to_owned(),
                why,
            });
        };
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() != std::io::ErrorKind::NotFound {
                    leave(dir, error.to_string());
                }
                return (kept, left_out);
            }
        };
        for entry in entries.flatten().take(10 * MAX_KEPT) {
            let path = entry.path();
            if path.extension().is_none_or(|end| end != END) {
                continue; // one that is on its way to its name, or somebody else's
            }
            match read(&path) {
                Ok(object) if path == kept.path(&object) && kept.objects.len() < MAX_KEPT => {
                    kept.insert(Arc::new(object));
                }
                Ok(_) => leave(
                    &path,
                    "it holds another object than its name says".to_owned(),
                ),
                Err(why) => leave(&path, why),
            }
        }
        (kept, left_out)
    }

    /// All of them, by kind and label.
    pub fn objects(&self) -> &[Arc<Object>] {
        &self.objects
    }

    /// The one of this kind and label.
    pub fn object(&self, kind: Kind, label: &Label) -> Option<&Arc<Object>> {
        let is_it = |object: &&Arc<Object>| object.mark().is_of(kind, label);
        self.objects.iter().find(is_it)
    }

    /// How far this node has come with the object that `mark` is of.
    pub fn held(&self, mark: &Mark) -> Option<Mark> {
        let held = self.object(mark.kind, &mark.label);
        held.map(|object| object.mark())
    }

    /// Whether there is room for the object that `mark` is of.
    pub fn has_room(&self, mark: &Mark) -> bool {
        self.held(mark).is_some() || self.objects.len() < MAX_KEPT
    }

    /// Where an object belongs.
    pub fn path(&self, object: &Object) -> PathBuf {
        let says = object.says();
        let (kind, label) = (says.kind, says.label.as_str());
        let dot = if label.is_empty() { "" } else { "." };
        self.dir.join(format!("{kind}{dot}{label}.{END}"))
    }

    /// Remembers an object that is on disk at its [`Kept::path`].
    pub fn insert(&mut self, object: Arc<Object>) {
        let mark = object.mark();
        self.objects
            .retain(|held| !held.mark().is_of(mark.kind, &mark.label));
        self.objects.push(object);
        self.objects.sort_by_key(|object| {
            let mark = object.mark();
            (mark.kind, mark.label)
        });
    }
}

impl Object {
    /// Writes it durably to where it is kept, a [`Kept::path`].
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let dir = path.parent().unwrap_or_else(|| Path::new("."));
        durable::create_dir_all(dir, 0o700)?;
        durable::write_atomic(path, self.bytes(), 0o600)
    }
}

fn read(path: &Path) -> Result<Object, String> {
    let length = std::fs::metadata(path)
        .map_err(|error| error.to_string())?
        .len();
    if usize::try_from(length).map_or(true, |length| length > MAX_OBJECT) {
        return Err(format!("it has {length} bytes"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    Object::decode(&bytes).map_err(|error| error.to_string())
}
