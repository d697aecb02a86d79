//! The commands of the matcher: enter, modify, remove, restore, clear, and the same for GTTs.

use super::Matcher;
use super::gtt::{Gtt, Leg};
use super::instrument::Instrument;
use super::ladder::{Key, Ladders, Who};
use super::order::{Order, Terms, Verdict};
use super::types::{Entry, Refusal};
use crate::fixed::Price;

fn order_key(order: &Order) -> Key {
    Key { sequence: order.sequence, who: Who::Order(order.id) }
}

fn leg_key(gtt: &Gtt, leg: Leg) -> Key {
    Key { sequence: gtt.sequence, who: Who::Gtt(gtt.id, leg) }
}

impl Instrument {
    /// Lets an order wait for what it watches.
    pub(super) fn let_wait(&mut self, order: &Order) {
        if let Some(watch) = order.watch() {
            self.ladders.insert(watch, order_key(order));
        }
    }

    fn end_wait(&mut self, order: &Order) {
        if let Some(watch) = order.watch() {
            self.ladders.remove(watch, order_key(order));
        }
    }

    /// Judges an order by the last price where that is fresh; notes a spent trigger.
    fn judge(&self, order: &mut Order, now_ns: u64, max_age_ns: u64) -> Entry {
        let quote = self.quote.filter(|quote| quote.fresh(now_ns, max_age_ns));
        match quote.map_or(Verdict::Waits, |quote| order.at_entry(&quote)) {
            Verdict::Fills(price) => return Entry::Filled { price },
            Verdict::Opens => order.triggered = true,
            Verdict::Waits if order.terms == Terms::Market => return Entry::NoPrice,
            Verdict::Waits => (),
        }
        Entry::Rests { state: order.state() }
    }
}

fn each_leg(ladders: &mut Ladders, gtt: &Gtt, act: fn(&mut Ladders, super::order::Watch, Key)) {
    for leg in Leg::ALL {
        if let Some(watch) = gtt.watch(leg) {
            act(ladders, watch, leg_key(gtt, leg));
        }
    }
}

impl Matcher {
    /// Judges a new order by the last price that arrived at most `max_age_ns` before `now_ns`, and lets it rest
    /// where it does not fill. `triggered` is taken as false.
    pub fn enter(
        &mut self,
        exchange: &str,
        symbol: &str,
        order: Order,
        now_ns: u64,
        max_age_ns: u64,
    ) -> Result<Entry, Refusal> {
        let mut order = Order { triggered: false, ..order };
        let number = self.admit(exchange, symbol, &order)?;
        let entry = self.instruments[number as usize].judge(&mut order, now_ns, max_age_ns);
        if matches!(entry, Entry::Rests { .. }) {
            self.rest(number, order);
        }
        Ok(entry)
    }

    /// Gives a resting order other terms and judges it as at entry; its place in time priority stays.
    ///
    /// A spent trigger stays spent while the order stays an SL order. Where the new terms cannot be had
    /// ([`Entry::NoPrice`], a refusal) the order rests as it was.
    pub fn modify(&mut self, id: u64, terms: Terms, now_ns: u64, max_age_ns: u64) -> Result<Entry, Refusal> {
        if !terms.priced() {
            return Err(Refusal::Price);
        }
        let (number, old) = *self.orders.get(&id).ok_or(Refusal::Unknown)?;
        let both_sl = matches!((old.terms, terms), (Terms::Sl { .. }, Terms::Sl { .. }));
        let mut order = Order { terms, triggered: old.triggered && both_sl, ..old };
        let entry = self.instruments[number as usize].judge(&mut order, now_ns, max_age_ns);
        if entry != Entry::NoPrice {
            self.remove(id);
        }
        if matches!(entry, Entry::Rests { .. }) {
            self.rest(number, order);
        }
        Ok(entry)
    }

    /// Takes an order out of the book, as it was.
    pub fn remove(&mut self, id: u64) -> Option<Order> {
        let (number, order) = self.orders.remove(&id)?;
        self.instruments[number as usize].end_wait(&order);
        Some(order)
    }

    /// Lets an order rest as it is given, spent trigger and all, unjudged: the next live tick may fill it.
    pub fn restore(&mut self, exchange: &str, symbol: &str, order: Order) -> Result<(), Refusal> {
        if order.terms == Terms::Market {
            return Err(Refusal::Market);
        }
        let number = self.admit(exchange, symbol, &order)?;
        self.rest(number, order);
        Ok(())
    }

    fn admit(&mut self, exchange: &str, symbol: &str, order: &Order) -> Result<u32, Refusal> {
        if !order.terms.priced() {
            return Err(Refusal::Price);
        }
        if self.orders.contains_key(&order.id) {
            return Err(Refusal::Duplicate);
        }
        self.named(exchange, symbol)
    }

    fn rest(&mut self, number: u32, mut order: Order) {
        order.triggered &= matches!(order.terms, Terms::Sl { .. });
        self.instruments[number as usize].let_wait(&order);
        self.orders.insert(order.id, (number, order));
    }

    /// Lets a GTT wait. Placing fires nothing, whatever the last price; it serves to restore one as well.
    pub fn add_gtt(&mut self, exchange: &str, symbol: &str, gtt: Gtt) -> Result<(), Refusal> {
        if !gtt.priced() {
            return Err(Refusal::Price);
        }
        if self.gtts.contains_key(&gtt.id) {
            return Err(Refusal::Duplicate);
        }
        let number = self.named(exchange, symbol)?;
        self.rest_gtt(number, gtt);
        Ok(())
    }

    /// Gives a waiting GTT other triggers; its place in time priority stays.
    pub fn modify_gtt(&mut self, id: u64, sl: Option<Price>, tg: Option<Price>) -> Result<(), Refusal> {
        let (number, old) = *self.gtts.get(&id).ok_or(Refusal::Unknown)?;
        let gtt = Gtt { sl, tg, ..old };
        if !gtt.priced() {
            return Err(Refusal::Price);
        }
        self.remove_gtt(id);
        self.rest_gtt(number, gtt);
        Ok(())
    }

    /// Takes a GTT out of the book with both legs.
    pub fn remove_gtt(&mut self, id: u64) -> Option<Gtt> {
        let (number, gtt) = self.gtts.remove(&id)?;
        each_leg(&mut self.instruments[number as usize].ladders, &gtt, Ladders::remove);
        Some(gtt)
    }

    fn rest_gtt(&mut self, number: u32, gtt: Gtt) {
        each_leg(&mut self.instruments[number as usize].ladders, &gtt, Ladders::insert);
        self.gtts.insert(gtt.id, (number, gtt));
    }

    /// Empties the book. Last values stay: they are facts, whatever rests.
    pub fn clear(&mut self) {
        self.orders.clear();
        self.gtts.clear();
        for instrument in &mut self.instruments {
            instrument.ladders = Ladders::default();
        }
    }

    /// A resting order.
    pub fn order(&self, id: u64) -> Option<&Order> {
        self.orders.get(&id).map(|(_, order)| order)
    }

    /// A waiting GTT.
    pub fn gtt(&self, id: u64) -> Option<&Gtt> {
        self.gtts.get(&id).map(|(_, gtt)| gtt)
    }

    /// How many orders rest and how many GTTs wait.
    pub fn resting(&self) -> (usize, usize) {
        (self.orders.len(), self.gtts.len())
    }
}
