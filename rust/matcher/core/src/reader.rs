//! Readers: what each holds and what waits for it.

use rustc_hash::FxHashMap;

use crate::frame::Format;
use crate::queue::Queue;
use crate::topic::Mode;

/// Position of a subscription in an instrument's list, by mode.
pub type Places = [Option<u32>; 3];

/// One connection as the engine sees it.
#[derive(Debug)]
pub struct Reader {
    /// False for a free slot.
    pub open: bool,
    /// Shape of its market data.
    pub format: Format,
    /// Over its high-water mark: only newest values are kept.
    pub paused: bool,
    /// Listed among the readers with something to send this turn.
    pub active: bool,
    /// Frames of this turn.
    pub queue: Queue,
    /// Subscriptions whose newest value waits until the reader has drained.
    pub parked: Vec<(u32, Mode)>,
    /// Where its subscriptions are.
    pub places: FxHashMap<u32, Places>,
    /// Frames queued since it opened.
    pub frames: u64,
}

impl Reader {
    fn new(format: Format) -> Self {
        Reader {
            open: true,
            format,
            paused: false,
            active: false,
            queue: Queue::default(),
            parked: Vec::new(),
            places: FxHashMap::default(),
            frames: 0,
        }
    }

    /// The place of one subscription.
    pub fn place(&self, instrument: u32, mode: Mode) -> Option<u32> {
        self.places.get(&instrument).and_then(|places| places[mode.index()])
    }
}

/// All readers by number; numbers of closed ones are used again.
#[derive(Debug, Default)]
pub struct Readers {
    all: Vec<Reader>,
    free: Vec<u32>,
}

impl Readers {
    /// A number for a new reader.
    pub fn open(&mut self, format: Format) -> u32 {
        let reader = Reader::new(format);
        match self.free.pop() {
            Some(number) => {
                // The turn's list may still name the slot.
                let active = self.all[number as usize].active;
                self.all[number as usize] = Reader { active, ..reader };
                number
            }
            None => {
                self.all.push(reader);
                (self.all.len() - 1) as u32
            }
        }
    }

    /// Frees a slot. Subscriptions must be gone.
    pub fn close(&mut self, number: u32) {
        let active = self.all[number as usize].active;
        self.all[number as usize] = Reader { open: false, active, ..Reader::new(Format::Nested) };
        self.free.push(number);
    }

    /// The reader, if it is open.
    pub fn find(&self, number: u32) -> Option<&Reader> {
        self.all.get(number as usize).filter(|reader| reader.open)
    }

    /// Any slot that was ever used.
    #[inline]
    pub fn get_mut(&mut self, number: u32) -> &mut Reader {
        &mut self.all[number as usize]
    }

    /// Slots that were ever used.
    #[cfg(test)]
    pub fn slots(&self) -> usize {
        self.all.len()
    }

    /// Readers that are open.
    pub fn count(&self) -> usize {
        self.all.len() - self.free.len()
    }
}
