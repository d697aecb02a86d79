//! What waits for one reader until the end of the turn: places in the turn's arena, not copies.

/// A stretch of the arena that holds one or more whole frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Offset in the arena.
    pub start: u32,
    /// Length in bytes.
    pub size: u32,
}

/// The frames of one reader in this turn, in order.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    chunks: Vec<Chunk>,
    bytes: usize,
    frames: u32,
}

impl Queue {
    /// Appends a frame; neighbours in the arena are joined, so that one copy moves them.
    #[inline]
    pub fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.size as usize;
        self.frames += 1;
        match self.chunks.last_mut() {
            Some(last) if last.start + last.size == chunk.start => last.size += chunk.size,
            _ => self.chunks.push(chunk),
        }
    }

    /// The stretches to copy, in order.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Bytes in all chunks.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of frames.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Empties the queue, keeping its memory unless a burst made it large.
    pub fn clear(&mut self) {
        self.chunks.clear();
        self.chunks.shrink_to(64);
        self.bytes = 0;
        self.frames = 0;
    }
}
