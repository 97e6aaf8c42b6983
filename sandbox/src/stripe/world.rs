//! The data of one account: sizes, times and ids, all functions of the seed.

use std::sync::RwLock;

use super::ids;
use super::overlay::Overlay;
use super::resource::{CLOCKED, Key, PLATFORM, Res, Size};
use crate::hash;
use crate::options::Options;

/// 2020-01-01T00:00:00Z: the oldest base objects.
const OLDEST: i64 = 1_577_836_800;
const DAY: i64 = 86_400;
/// The newest base objects are that much older than the clock's start.
const QUIET: i64 = 600;
/// Customers (and subscriptions, quotes) bound to each test clock.
const PER_CLOCK: u64 = 2;
/// Salt of account ids, which must not depend on the seed: a config names the platform account.
const ACCOUNT_SALT: u64 = 0x5a17_acc0_0007;

/// One account's data.
pub struct World {
    seed: u64,
    /// Seed and account in one word.
    pub salt: u64,
    /// Size of the large collections.
    pub rows: u64,
    /// Key of the account itself.
    pub own: Key,
    /// Id of the account itself.
    pub account_id: String,
    /// The account's default API version.
    pub version: String,
    /// Virtual time at the start.
    pub clock_start: i64,
    /// Virtual seconds until fresh events are listed.
    pub event_delay: i64,
    /// Changes made by admin calls.
    pub overlay: RwLock<Overlay>,
    own_created: i64,
    start: i64,
    end: i64,
}

impl World {
    /// The data of the platform's own account.
    pub fn platform(options: &Options) -> Self {
        let mut world = Self {
            seed: options.seed,
            salt: hash::join(hash::mix(options.seed), PLATFORM.0),
            rows: options.rows.max(1),
            own: PLATFORM,
            account_id: String::new(),
            version: options.account_version.clone(),
            clock_start: options.clock_start,
            event_delay: i64::from(options.event_delay),
            overlay: RwLock::default(),
            own_created: 0,
            start: OLDEST.min(options.clock_start - QUIET - 60 * DAY),
            end: options.clock_start - QUIET,
        };
        world.own_created = world.start;
        world.filled()
    }

    /// The data of a connected account: smaller, and as old as the platform says.
    pub fn connected(&self, own: Key) -> Self {
        let world = Self {
            salt: hash::join(hash::mix(self.seed), own.0),
            rows: (self.rows / 20).max(10),
            own,
            account_id: String::new(),
            version: self.version.clone(),
            overlay: RwLock::default(),
            own_created: self.base_created(Res::Account, own),
            ..*self
        };
        world.filled()
    }

    fn filled(mut self) -> Self {
        self.account_id = self.id(Res::Account, self.own);
        self.overlay = RwLock::new(Overlay::new(&self));
        self
    }

    /// Whether this is the platform's own data, with connected accounts.
    pub fn is_platform(&self) -> bool {
        self.own == PLATFORM
    }

    /// The word that an object's generated values are drawn from.
    pub fn luck(&self, res: Res, key: Key) -> u64 {
        hash::join(self.salt ^ ((res as u64) << 56), key.0)
    }

    /// Whether the key is one of the original rows.
    pub fn is_base(&self, key: Key) -> bool {
        key.0 < self.rows
    }

    /// How many objects of a top-level kind there are from the start; 0 for children.
    pub fn base_count(&self, res: Res) -> u64 {
        match res.def().size {
            Size::Rows => self.rows,
            Size::Share { per, least } => (self.rows / per).max(least),
            Size::Fixed(count) => count,
            Size::Accounts if self.is_platform() => (self.rows / 50).clamp(3, 20),
            Size::Accounts | Size::Children { .. } | Size::Log => 0,
            Size::Every { of, step, offset } => {
                let count = self.base_count(of);
                if count > offset { (count - offset - 1) / step + 1 } else { 0 }
            }
        }
    }

    /// How many children of kind `res` the parent has from the start. Parents that were created
    /// later have none of the kinds that are also listed by themselves.
    pub fn child_count(&self, res: Res, parent: Key) -> u64 {
        let Size::Children { of, count } = res.def().size else { return 0 };
        let late = self.is_late(of, parent);
        if late && res.listed_globally() { 0 } else { count(self, parent) }
    }

    /// Whether the object was created by an admin call.
    pub fn is_late(&self, res: Res, key: Key) -> bool {
        match res.def().size {
            Size::Children { of, .. } => {
                let parent = key.parent();
                self.is_late(of, parent) || key.position() >= self.child_count(res, parent)
            }
            _ => key.0 >= self.base_count(res) && key < PLATFORM,
        }
    }

    /// The object of another kind that this one belongs to one by one (see [`Size::Every`]).
    pub fn anchor(&self, res: Res, key: Key) -> Key {
        match res.def().size {
            Size::Every { step, offset, .. } if !self.is_late(res, key) => {
                Key(key.0 * step + offset)
            }
            _ => Key(hash::below(self.luck(res, key), self.rows)),
        }
    }

    /// The reverse: which object of kind `res` belongs to the one at `anchor`.
    pub fn anchored(&self, res: Res, anchor: Key) -> Option<Key> {
        let Size::Every { of, step, offset } = res.def().size else { return None };
        let fits = anchor.0 >= offset && (anchor.0 - offset).is_multiple_of(step);
        (fits && anchor.0 < self.base_count(of)).then(|| Key((anchor.0 - offset) / step))
    }

    /// When an original object was created, unix seconds. Grows with the key.
    pub fn base_created(&self, res: Res, key: Key) -> i64 {
        match res.def().size {
            _ if res == Res::Account && key == self.own => self.own_created,
            _ if key.0 >= CLOCKED && res.parent().is_none() => {
                self.clock_start - DAY * (1 + (key.0 - CLOCKED) as i64 % 16)
            }
            Size::Children { of, .. } => self.later(self.base_created(of, key.parent())),
            Size::Every { of, .. } => self.later(self.base_created(of, self.anchor(res, key))),
            _ => self.timeline(key.0, self.base_count(res)),
        }
    }

    /// A moment at or after `time`, between it and the end, that grows with it.
    fn later(&self, time: i64) -> i64 {
        time + (self.end - time).max(0) / 1000
    }

    /// The moment of object `i` of `n`: denser towards the end, groups of equal moments here and
    /// there, and always one across every other page border of 100.
    fn timeline(&self, i: u64, n: u64) -> i64 {
        if i >= n {
            return self.end;
        }
        let rank = n - 1 - i;
        let in_group = (rank + 3) % 200;
        let first = if in_group < 6 { n - 1 - (rank + 5 - in_group).min(n - 1) } else { i };
        let tied = hash::join(self.salt, first / 8).is_multiple_of(16);
        let tied_to = if tied { first - first % 8 } else { first };
        let (span, n, left) = (self.moments(), i128::from(n), i128::from(n - tied_to));
        // Half of the speed is even, half grows with time: span * (u/2 + (1 - (1-u)²)/2).
        let passed = span * ((n - left) * n + n * n - left * left) / (2 * n * n);
        self.start + passed as i64
    }

    fn moments(&self) -> i128 {
        i128::from(self.end - self.start)
    }

    /// The keys bound to a test clock.
    pub fn clocked(&self, clock: Key) -> impl DoubleEndedIterator<Item = Key> + use<> {
        let first = CLOCKED + clock.0 * 16;
        (first..first + PER_CLOCK).map(Key)
    }

    /// The clock that a key is bound to.
    pub fn clock_of(&self, key: Key) -> Option<Key> {
        key.is_clocked().then(|| Key((key.0 - CLOCKED) / 16))
    }

    fn is_clocked_object(&self, res: Res, key: Key) -> bool {
        let bindable = matches!(res, Res::Customer | Res::Subscription | Res::Quote);
        let clock = self.clock_of(key);
        bindable
            && clock.is_some_and(|c| {
                c.0 < self.base_count(Res::TestClock) && self.clocked(c).any(|k| k == key)
            })
    }

    /// Whether there was such an object from the start.
    pub fn is_original(&self, res: Res, key: Key) -> bool {
        match res.def().size {
            Size::Children { of, .. } => {
                key.position() < self.child_count(res, key.parent())
                    && self.is_original(of, key.parent())
            }
            _ if res == Res::Account => key == self.own || key.0 < self.base_count(res),
            _ => key.0 < self.base_count(res) || self.is_clocked_object(res, key),
        }
    }

    fn id_salt(&self, res: Res) -> u64 {
        let res = res.def().id_as.unwrap_or(res);
        let of_world = if res == Res::Account { ACCOUNT_SALT } else { self.salt };
        hash::join(of_world, res as u64)
    }

    /// Writes an object's id.
    pub fn write_id(&self, res: Res, key: Key, out: &mut Vec<u8>) {
        out.extend_from_slice(res.def().prefix.as_bytes());
        ids::write(self.id_salt(res), key, out);
    }

    /// An object's id.
    pub fn id(&self, res: Res, key: Key) -> String {
        let mut id = Vec::with_capacity(24);
        self.write_id(res, key, &mut id);
        String::from_utf8(id).unwrap_or_default()
    }

    /// The key in an id of that kind; None if the id was never given out.
    pub fn key(&self, res: Res, id: &str) -> Option<Key> {
        ids::read(self.id_salt(res), id.strip_prefix(res.def().prefix)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::DEFAULT_START;
    use proptest::prelude::*;

    fn world(rows: u64) -> World {
        World::platform(&Options { rows, ..Options::default() })
    }

    proptest! {
        #[test]
        fn created_grows_with_the_key(rows in 1_u64..5000, back in 0_u64..400) {
            let world = world(rows);
            for res in [Res::Customer, Res::Subscription, Res::Dispute, Res::Product] {
                let count = world.base_count(res);
                if back + 2 <= count {
                    let i = count - 2 - back;
                    let (a, b) = (world.base_created(res, Key(i)), world.base_created(res, Key(i + 1)));
                    prop_assert!(a <= b);
                    prop_assert!(a >= OLDEST && b <= DEFAULT_START - QUIET);
                }
            }
        }

        #[test]
        fn ids_come_back(key in 0_u64..1_000_000_000) {
            let world = world(10);
            for res in Res::all() {
                prop_assert_eq!(world.key(res, &world.id(res, Key(key))), Some(Key(key)));
            }
            prop_assert_eq!(world.key(Res::CustomerCard, &world.id(Res::ExternalCard, Key(key))), None);
        }

        #[test]
        fn anchors_are_mutual(i in 0_u64..400) {
            let world = world(1000);
            for res in [Res::Dispute, Res::ApplicationFee, Res::CreditNote] {
                if i < world.base_count(res) {
                    prop_assert_eq!(world.anchored(res, world.anchor(res, Key(i))), Some(Key(i)));
                }
            }
        }
    }

    #[test]
    fn a_page_border_lies_between_equal_moments() {
        let world = world(1000);
        let at = |rank: u64| world.base_created(Res::Charge, Key(999 - rank));
        assert_eq!(at(199), at(200));
        assert!(at(0) > at(999));
    }

    #[test]
    fn accounts_keep_their_id_under_any_seed() {
        let id = |seed| World::platform(&Options { seed, ..Options::default() }).account_id;
        assert_eq!(id(1), id(2));
    }

    #[test]
    fn every_kind_has_a_few() {
        let world = world(1000);
        for res in Res::all().filter(|r| r.parent().is_none() && *r != Res::Event) {
            assert!(world.base_count(res) >= 3, "{res:?}");
        }
    }
}
