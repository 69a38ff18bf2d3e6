//! Which node key wraps how many segments, read from the headers alone: it needs no key and changes
//! nothing, so it can be asked beside a daemon that runs and where none does.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::Disk;
use super::recover::segment_name;
use super::segment::{FIRST_BATCH, SegmentHeader};

/// The short names of the node keys in the segments of `dir`, each with the segments it opens. While keys
/// change, a segment may have two. Segments that come or go meanwhile may be missed.
pub fn segment_keys(disk: &dyn Disk, dir: &Path) -> io::Result<BTreeMap<u32, u64>> {
    let mut keys = BTreeMap::new();
    let mut page = vec![0; usize::try_from(FIRST_BATCH).unwrap_or(0)];
    let names = match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        listed => listed?,
    };
    for name in names {
        let number = name.strip_suffix(".seg").and_then(|n| n.parse().ok());
        if number.is_none_or(|number| segment_name(number) != name) {
            continue;
        }
        let read = match disk.open(&dir.join(&name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?.read_at(&mut page, 0)?,
        };
        if let Ok(header) = SegmentHeader::decode(page.get(..read).unwrap_or_default()) {
            for key in header.node_keys() {
                *keys.entry(key).or_default() += 1;
            }
        }
    }
    Ok(keys)
}
