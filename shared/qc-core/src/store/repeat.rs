//! Names that stand in one batch only are said once more, so that no single bad place makes a stream nameless.

use std::sync::Arc;

use super::tables;
use super::writer::Writer;

/// Room for one name.
const NAME: usize = 2048;

/// What was named since the segment began with all names that there were.
#[derive(Default)]
pub(super) struct Repeat {
    pub(super) streams: Vec<u32>,
    pub(super) origins: Vec<u32>,
}

impl Writer {
    /// Says once more what is new since the segment began, in a commit of its own.
    pub(super) fn repeat_definitions(&mut self) {
        let Repeat { streams, origins } = std::mem::take(&mut self.repeat);
        for id in streams {
            // a segment that begins for want of room begins with all of them
            if self.make_room(NAME, true).is_err() {
                return;
            }
            let reads = Arc::clone(&self.reads);
            if let Some(stream) = reads.view().streams.get(&id) {
                self.put(|frame| tables::put_stream(frame, id, stream));
            }
        }
        for id in origins {
            if self.make_room(NAME, true).is_err() {
                return;
            }
            let reads = Arc::clone(&self.reads);
            if let Some(name) = reads.view().origins.get(&id) {
                self.put(|frame| tables::put_origin(frame, id, name));
            }
        }
        self.flush();
    }
}
