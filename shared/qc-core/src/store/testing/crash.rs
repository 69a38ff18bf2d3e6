//! What a power cut may leave of a simulated disk.
//!
//! A [`Snapshot`] is the disk right after one operation. A [`Fate`] says of each change that was not
//! synced whether it is lost, kept or torn, and of each name that was not synced which of the files it
//! has stood for it stands for. Where there are few fates all are tried; where there are many, the
//! telling ones (all, nothing, each alone, all but each, each beginning in time) and then a seeded draw.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::pages::{Pages, digest};
use super::sim::{Change, Content, SimDisk, State};

/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

/// The disk after one operation.
#[derive(Clone)]
pub struct Snapshot {
    /// Operations up to and with that one.
    pub operation: u64,
    /// What that one was.
    pub after: &'static str,
    pub(super) state: State,
}

/// What becomes of everything that is not durable in one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fate {
    changes: Vec<Part>,
    names: Vec<usize>,
}

/// What becomes of one change: one bit a sector for a write, one bit for a length.
type Part = u64;

/// A disk after a power cut.
pub struct Image {
    /// The disk.
    pub disk: SimDisk,
    /// Every name and every byte of it in one number: the same number, the same image.
    pub digest: u64,
}

impl Snapshot {
    /// At most `budget` fates; all of them if there are no more.
    pub fn fates(&self, budget: usize, rng: &mut fastrand::Rng) -> Vec<Fate> {
        let sizes = Sizes::of(self);
        if let Some(all) = sizes.all(budget) {
            return all;
        }
        let covers = self.covers();
        let mut seen = HashSet::with_capacity(budget);
        let mut fates = Vec::with_capacity(budget);
        let telling = sizes.telling(budget / 8);
        // a draw that says nothing new is a try all the same, or this might not end
        let drawn = (0..2 * budget).map(|_| sizes.draw(rng));
        for mut fate in telling.into_iter().chain(drawn) {
            fate.forget_covered(&covers);
            if seen.insert(fate.clone()) {
                fates.push(fate);
            }
            if fates.len() == budget {
                break;
            }
        }
        fates
    }

    /// For every change the next one that writes the same place of the same file.
    fn covers(&self) -> Vec<Option<usize>> {
        let changes = self.state.files.iter().flat_map(|(id, content)| {
            let place = |change: &Change| match change {
                Change::Write(offset, bytes) => Some((*id, *offset, bytes.len())),
                Change::Length(_) => None,
            };
            content.pending.iter().map(place)
        });
        let places: Vec<_> = changes.collect();
        let mut next = HashMap::new();
        let mut covers = vec![None; places.len()];
        for (at, place) in places.iter().enumerate().rev() {
            if let Some(place) = place {
                covers[at] = next.insert(*place, at);
            }
        }
        covers
    }

    /// What `fate` leaves.
    pub fn image(&self, fate: &Fate) -> Image {
        let mut state = self.state.empty();
        let mut parts = fate.changes.as_slice();
        let mut left = Vec::with_capacity(self.state.files.len());
        for (id, content) in &self.state.files {
            let (own, rest) = parts.split_at(content.pending.len());
            parts = rest;
            left.push((*id, content, own));
        }
        let mut all = Vec::with_capacity(256);
        let mut names = self.state.names.clone();
        for ((name, stood_for), chosen) in self.state.unsettled.iter().zip(&fate.names) {
            match stood_for[*chosen] {
                Some(id) => names.insert(Arc::clone(name), id),
                None => names.remove(name),
            };
        }
        for (name, id) in &names {
            let at = left.binary_search_by_key(id, |(id, ..)| *id).unwrap();
            let (_, content, parts) = left[at];
            let file = state
                .files
                .entry(*id)
                .or_insert_with(|| content.after(parts));
            all.extend_from_slice(name.as_encoded_bytes());
            all.push(0);
            all.extend_from_slice(&file.current.digest());
        }
        state.names = names;
        let digest = u64::from_le_bytes(*digest(&all).first_chunk().unwrap());
        let disk = SimDisk::of(state);
        Image { disk, digest }
    }
}

impl Fate {
    /// Everything that is not durable is lost.
    pub fn nothing(snapshot: &Snapshot) -> Self {
        let sizes = Sizes::of(snapshot);
        Self {
            changes: vec![0; sizes.changes.len()],
            names: vec![0; sizes.names.len()],
        }
    }

    /// What a later write to the same place covers may as well be lost: fates that leave the same
    /// image become the same.
    fn forget_covered(&mut self, covers: &[Option<usize>]) {
        let mut covered = self.changes.clone();
        for (at, cover) in covers.iter().enumerate().rev() {
            if let Some(cover) = cover {
                self.changes[at] &= !covered[*cover];
                covered[at] |= covered[*cover];
            }
        }
    }

    /// One fate by chance.
    pub fn drawn(snapshot: &Snapshot, rng: &mut fastrand::Rng) -> Self {
        Sizes::of(snapshot).draw(rng)
    }
}

impl Content {
    fn after(&self, parts: &[Part]) -> Arc<Self> {
        let mut pages = self.durable.clone();
        for (change, part) in self.pending.iter().zip(parts) {
            change.apply_part(*part, &mut pages);
        }
        Arc::new(Self {
            durable: pages.clone(),
            current: pages,
            pending: Vec::new(),
        })
    }
}

impl Change {
    /// Sectors that a write touches, which may be lost one by one.
    fn sectors(&self) -> u32 {
        match self {
            Self::Length(_) => 1,
            Self::Write(offset, bytes) => {
                let end = (offset + bytes.len() as u64).div_ceil(SECTOR);
                u32::try_from(end - offset / SECTOR).unwrap()
            }
        }
    }

    fn apply_part(&self, part: Part, pages: &mut Pages) {
        let whole = Sizes::whole(self.sectors());
        match self {
            _ if part == 0 => {}
            _ if part == whole => self.apply(pages),
            Self::Length(_) => {}
            Self::Write(offset, bytes) => {
                let mut at = 0;
                for sector in 0..self.sectors() {
                    let end = (offset / SECTOR + u64::from(sector) + 1) * SECTOR;
                    let end = usize::try_from(end - offset).unwrap().min(bytes.len());
                    // a write of more than 64 sectors is torn in stripes
                    if part & (1 << (sector % 64)) != 0 {
                        pages.write(&bytes[at..end], offset + at as u64);
                    }
                    at = end;
                }
            }
        }
    }
}

/// How many sectors each change and how many bindings each name has.
struct Sizes {
    changes: Vec<u32>,
    names: Vec<usize>,
}

impl Sizes {
    fn of(snapshot: &Snapshot) -> Self {
        let pending = snapshot
            .state
            .files
            .values()
            .flat_map(|content| &content.pending);
        Self {
            changes: pending.map(Change::sectors).collect(),
            names: snapshot.state.unsettled.values().map(Vec::len).collect(),
        }
    }

    /// The part that keeps all of a change.
    fn whole(sectors: u32) -> Part {
        if sectors >= 64 {
            u64::MAX
        } else {
            (1 << sectors) - 1
        }
    }

    /// Every fate, if there are at most `budget`.
    fn all(&self, budget: usize) -> Option<Vec<Fate>> {
        let mut count = 1_usize;
        for sectors in &self.changes {
            count = count.checked_mul(1_usize.checked_shl(*sectors)?)?;
        }
        for bindings in &self.names {
            count = count.checked_mul(*bindings)?;
        }
        let fate = |mut number: usize| {
            let mut digit = |base: usize| {
                let digit = number % base;
                number /= base;
                digit
            };
            let changes = self.changes.iter().map(|s| digit(1 << s) as Part).collect();
            let names = self.names.iter().map(|bindings| digit(*bindings)).collect();
            Fate { changes, names }
        };
        (count <= budget).then(|| (0..count).map(fate).collect())
    }

    /// All and nothing under new and old names, then each of the last `changes` changes alone, all but
    /// it, all before it.
    fn telling(&self, changes: usize) -> Vec<Fate> {
        let newest: Vec<usize> = self.names.iter().map(|bindings| bindings - 1).collect();
        let oldest = vec![0; newest.len()];
        let whole: Vec<Part> = self.changes.iter().copied().map(Self::whole).collect();
        let none = vec![0; whole.len()];
        let mut fates = Vec::with_capacity(4 + 3 * changes);
        for names in [&newest, &oldest] {
            for changes in [&whole, &none] {
                let (changes, names) = (changes.clone(), names.clone());
                fates.push(Fate { changes, names });
            }
        }
        for at in (0..whole.len()).rev().take(changes) {
            let names = newest.clone();
            let (mut alone, mut without) = (none.clone(), whole.clone());
            (alone[at], without[at]) = (whole[at], 0);
            let mut begun = whole.clone();
            begun[at..].fill(0);
            for changes in [alone, without, begun] {
                let names = names.clone();
                fates.push(Fate { changes, names });
            }
        }
        fates
    }

    fn draw(&self, rng: &mut fastrand::Rng) -> Fate {
        // old changes are mostly all there or all gone; the last few are where it is decided
        let decided = self.changes.len().saturating_sub(rng.usize(1..=8));
        let (keep, tear) = (rng.u8(..), rng.u8(..));
        let change = |(at, sectors): (usize, &u32)| {
            let whole = Self::whole(*sectors);
            if at < decided {
                return if rng.u8(..) <= keep { whole } else { 0 };
            }
            match rng.u8(..) {
                dice if dice > tear => rng.u64(..) & whole,
                // a beginning: the common kind of tear
                dice if dice % 4 == 0 => whole >> rng.u32(0..(*sectors).min(64)),
                dice if dice % 4 == 1 => 0,
                _ => whole,
            }
        };
        let changes = self.changes.iter().enumerate().map(change).collect();
        let names = self
            .names
            .iter()
            .map(|bindings| rng.usize(0..*bindings))
            .collect();
        Fate { changes, names }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::store::Disk as _;

    fn images(disk: &SimDisk, budget: usize) -> BTreeSet<u64> {
        let (snapshot, mut rng) = (disk.snapshot(), fastrand::Rng::with_seed(1));
        let fates = snapshot.fates(budget, &mut rng);
        fates
            .iter()
            .map(|fate| snapshot.image(fate).digest)
            .collect()
    }

    #[test]
    fn few_fates_are_all_tried() {
        let (disk, path) = (SimDisk::default(), Path::new("/d/a"));
        let file = disk.create(path).unwrap();
        assert_eq!(images(&disk, 100).len(), 2, "the name is there or not");
        disk.sync_dir(Path::new("/d")).unwrap();
        assert_eq!(images(&disk, 100).len(), 1);
        file.write_all_at(&[1; 1024], 256).unwrap();
        assert_eq!(images(&disk, 100).len(), 8, "three sectors, each by itself");
        file.sync_data().unwrap();
        assert_eq!(images(&disk, 100).len(), 1);
        disk.rename(path, Path::new("/d/b")).unwrap();
        assert_eq!(images(&disk, 100).len(), 4, "two names, each by itself");
        disk.sync_dir(Path::new("/elsewhere")).unwrap();
        assert_eq!(images(&disk, 100).len(), 4);
        disk.create(path).unwrap();
        assert_eq!(images(&disk, 100).len(), 6, "old file, none, new file");
        assert_eq!(disk.lose_unsynced().paths().len(), 1);
    }

    #[test]
    fn many_fates_are_drawn() {
        let disk = SimDisk::default();
        let file = disk.create(Path::new("/d/a")).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        for at in 0..100 {
            file.write_all_at(&[at; 700], u64::from(at) * 700).unwrap();
        }
        let found = images(&disk, 500).len();
        assert!(found > 400, "{found}");
    }

    #[test]
    fn nothing_that_is_durable_is_lost() {
        let (disk, path) = (SimDisk::default(), Path::new("/d/a"));
        let file = disk.create(path).unwrap();
        file.write_all_at(&[1; 5000], 0).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        file.write_all_at(&[2; 5000], 5000).unwrap();
        let (snapshot, mut rng) = (disk.snapshot(), fastrand::Rng::with_seed(1));
        for fate in snapshot.fates(300, &mut rng) {
            let content = snapshot.image(&fate).disk.content(path);
            assert!(content.len() >= 5000 && content[..5000] == [1; 5000]);
            assert!(content[5000..].iter().all(|byte| [0, 2].contains(byte)));
        }
    }
}
