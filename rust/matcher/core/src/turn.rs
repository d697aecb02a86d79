//! What piles up during one turn of the event loop, and how it is handed out.

use crate::frame::{self, Format, Parts};
use crate::queue::Chunk;
use crate::reader::Reader;
use crate::stats::Stats;
use crate::topic::Mode;

/// What one reader gets this turn.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Reader number.
    pub reader: u32,
    /// Total bytes.
    pub bytes: usize,
    /// The same bytes as the batch before: the caller may share its buffer.
    pub same: bool,
    pub(crate) arena: &'a [u8],
    pub(crate) chunks: &'a [Chunk],
}

impl Batch<'_> {
    /// Copies the frames to `out`, which holds exactly [`Self::bytes`].
    pub fn copy_to(&self, out: &mut [u8]) {
        let mut at = 0;
        for chunk in self.chunks {
            let (start, size) = (chunk.start as usize, chunk.size as usize);
            out[at..at + size].copy_from_slice(&self.arena[start..start + size]);
            at += size;
        }
    }
}

/// What piled up since the last [`Engine::take`].
#[derive(Debug, Default)]
pub(crate) struct Turn {
    pub arena: Vec<u8>,
    pub active: Vec<u32>,
    /// Arrival and number of frames of ticks that went to someone at once.
    pub fresh: Vec<(u64, u32)>,
}

impl Turn {
    #[inline]
    pub fn build(&mut self, format: Format, parts: &Parts<'_>) -> Chunk {
        let start = self.arena.len();
        frame::push(&mut self.arena, format, parts);
        Chunk { start: start as u32, size: (self.arena.len() - start) as u32 }
    }

    #[inline]
    pub fn queue(&mut self, number: u32, reader: &mut Reader, chunk: Chunk, stats: &mut Stats) {
        if !reader.active {
            reader.active = true;
            self.active.push(number);
        }
        reader.queue.push(chunk);
        reader.frames += 1;
        stats.frames += 1;
        stats.bytes += u64::from(chunk.size);
    }
}

/// The frame built last: entries of one tick stand together, so one place is enough.
#[derive(Default)]
pub(crate) struct FrameCache(Option<((u32, Mode, Format), Chunk)>);

impl FrameCache {
    pub fn get(&mut self, instrument: u32, mode: Mode, format: Format, build: impl FnOnce() -> Chunk) -> Chunk {
        let key = (instrument, mode, format);
        match self.0 {
            Some((known, chunk)) if known == key => chunk,
            _ => {
                let chunk = build();
                self.0 = Some((key, chunk));
                chunk
            }
        }
    }
}
