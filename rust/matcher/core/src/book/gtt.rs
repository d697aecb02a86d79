//! GTT (good till triggered): one leg, or two of which one cancels the other (sandbox, "Order life").

use super::order::Watch;
use crate::fixed::Price;

/// Which leg of a GTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leg {
    /// Fires on a fall to its trigger (`triggerprice_sl`).
    Sl,
    /// Fires on a rise to its trigger (`triggerprice_tg`).
    Tg,
}

impl Leg {
    /// Both, in the order in which they fire where one tick meets both.
    pub const ALL: [Leg; 2] = [Leg::Sl, Leg::Tg];
}

/// A GTT as the matcher knows it: its triggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gtt {
    /// The caller's number, unique among GTTs.
    pub id: u64,
    /// Place in time priority, shared with orders.
    pub sequence: u64,
    /// Trigger of the leg that fires on a fall.
    pub sl: Option<Price>,
    /// Trigger of the leg that fires on a rise.
    pub tg: Option<Price>,
}

impl Gtt {
    /// What a leg waits for, inclusive and whatever the side of its order.
    pub fn watch(&self, leg: Leg) -> Option<Watch> {
        match leg {
            Leg::Sl => self.sl.map(Watch::Fall),
            Leg::Tg => self.tg.map(Watch::Rise),
        }
    }

    /// True where it has a leg and every trigger is above zero.
    pub fn priced(&self) -> bool {
        let triggers = [self.sl, self.tg];
        triggers.iter().any(Option::is_some) && triggers.iter().flatten().all(|trigger| trigger.0 > 0)
    }
}
