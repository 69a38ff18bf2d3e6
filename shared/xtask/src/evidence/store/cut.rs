//! What a block device can hold when the power goes: a beginning of its log, and of the writes since the
//! last flush a random part, some of them torn in sectors of 512 bytes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::device::Event;
use super::proof::Share;

const SECTOR: usize = 512;

/// What is done with the writes since the last flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    None,
    All,
    Half,
    Most,
    Torn,
}

impl Fate {
    const ALL: [Self; 5] = [Self::None, Self::All, Self::Half, Self::Most, Self::Torn];

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::None => "none of the unflushed writes",
            Self::All => "all of the unflushed writes",
            Self::Half => "half of the unflushed writes, drawn",
            Self::Most => "nine of ten unflushed writes, drawn",
            Self::Torn => "half of the sectors of the unflushed writes, drawn",
        }
    }

    /// Whether a sector of an unflushed write gets to the disk; `whole` was drawn for the write.
    fn keeps(self, whole: u32, random: &mut fastrand::Rng) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Half => whole < 50,
            Self::Most => whole < 90,
            Self::Torn => random.bool(),
        }
    }
}

/// A recorded device on its way from one cut to a later one.
pub(super) struct Cutter {
    /// Everything that is flushed at the cut.
    base: PathBuf,
    safe: File,
    bytes: File,
    events: Vec<Event>,
    flushed: usize,
}

impl Cutter {
    /// For the device that was `base` before the first of `events`, whose bytes stand in `log`. `base` is
    /// written to.
    pub(super) fn new(base: &Path, log: &Path, events: Vec<Event>) -> io::Result<Self> {
        Ok(Self {
            base: base.to_owned(),
            safe: File::options().write(true).open(base)?,
            bytes: File::open(log)?,
            events,
            flushed: 0,
        })
    }

    /// Makes `image` what the device can hold when the power goes after `cut` events, which is not before
    /// the cut of the last call. Returns what was done with the unflushed writes, and how many there were.
    pub(super) fn image(
        &mut self,
        cut: usize,
        image: &Path,
        random: &mut fastrand::Rng,
    ) -> io::Result<(Fate, usize)> {
        let before = self.events.get(..cut).unwrap_or_default();
        let flush = before.iter().rposition(|event| *event == Event::Flush);
        let last = flush.map_or(0, |at| at + 1);
        for event in self.events.get(self.flushed..last).unwrap_or_default() {
            apply(*event, &self.bytes, &self.safe, |_| true)?;
        }
        self.flushed = self.flushed.max(last);
        let fate = *random.choice(&Fate::ALL).unwrap_or(&Fate::None);
        std::fs::copy(&self.base, image)?;
        let target = File::options().write(true).open(image)?;
        let loose = before.get(last..).unwrap_or_default();
        for event in loose {
            let whole = random.u32(..100);
            let mut draw = random.fork();
            apply(*event, &self.bytes, &target, |_| {
                fate.keeps(whole, &mut draw)
            })?;
        }
        Ok((fate, loose.len()))
    }

    /// What happened to the device.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }
}

/// Writes to `image` those sectors of an event that `keeps` lets through.
fn apply(
    event: Event,
    bytes: &File,
    image: &File,
    mut keeps: impl FnMut(usize) -> bool,
) -> io::Result<()> {
    let Event::Write { offset, length, at } = event else {
        return Ok(());
    };
    let mut written = vec![0; length];
    bytes.read_exact_at(&mut written, at)?;
    for (number, sector) in written.chunks(SECTOR).enumerate() {
        if keeps(number) {
            image.write_all_at(sector, offset + (number * SECTOR) as u64)?;
        }
    }
    Ok(())
}

/// A directory for images, in memory where there is room for some; it goes when this does.
pub(super) struct Aside(PathBuf);

impl Aside {
    /// One for images of `bytes`. What is judged on them has happened already, so they need no disk below
    /// them.
    pub(super) fn new(share: &Share<'_>, bytes: u64) -> io::Result<Self> {
        let memory = Path::new("/dev/shm");
        let roomy = rustix::fs::statvfs(memory)
            .is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) > 8 * bytes);
        let name = format!("qc-store-images-{}-{}", std::process::id(), share.seed);
        let dir = if roomy {
            memory.join(name)
        } else {
            share.dir.join(name)
        };
        std::fs::create_dir(&dir)?;
        Ok(Self(dir))
    }

    /// The file for the image of the moment.
    pub(super) fn image(&self) -> PathBuf {
        self.0.join("image")
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_write_leaves_whole_sectors() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let options = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(dir.path().join(name));
            options.unwrap()
        };
        let (bytes, image) = (file("log"), file("image"));
        bytes.write_all_at(&[7; 3 * SECTOR], 0).unwrap();
        image.set_len(8 * SECTOR as u64).unwrap();
        let event = Event::Write {
            offset: 2 * SECTOR as u64,
            length: 3 * SECTOR,
            at: 0,
        };
        apply(event, &bytes, &image, |sector| sector != 1).unwrap();
        apply(Event::Flush, &bytes, &image, |_| true).unwrap();
        let found = std::fs::read(dir.path().join("image")).unwrap();
        let sectors: Vec<u8> = found
            .chunks(SECTOR)
            .map(|sector| sector[SECTOR - 1])
            .collect();
        assert_eq!(sectors, [0, 0, 7, 0, 7, 0, 0, 0]);
    }

    #[test]
    fn fates_keep_what_they_say() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut kept =
            |fate: Fate, whole| (0..100).filter(|_| fate.keeps(whole, &mut random)).count();
        assert_eq!(kept(Fate::None, 0), 0);
        assert_eq!(kept(Fate::All, 99), 100);
        assert_eq!((kept(Fate::Half, 49), kept(Fate::Half, 50)), (100, 0));
        assert_eq!((kept(Fate::Most, 89), kept(Fate::Most, 90)), (100, 0));
        assert!((20..80).contains(&kept(Fate::Torn, 0)));
    }
}
