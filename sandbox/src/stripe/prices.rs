//! Products and prices: the first half of the prices is recurring and shows as plans, too.

use super::resource::{Key, Res};
use super::world::World;
use crate::hash;

/// Amount of one unit in minor units, also of tiered prices (their first tier).
pub fn unit_amount(world: &World, price: Key) -> i64 {
    let luck = hash::join(world.luck(Res::Price, price), 51);
    499 + 500 * hash::below(luck, 60) as i64
}

/// Recurring prices are those that have a plan.
pub fn is_recurring(world: &World, price: Key) -> bool {
    price.0 < world.base_count(Res::Plan)
}

/// Every sixth price is tiered.
pub fn is_tiered(price: Key) -> bool {
    price.0 % 6 == 5
}

/// Every seventh recurring price is yearly.
pub fn interval(price: Key) -> &'static str {
    if price.0 % 7 == 6 { "year" } else { "month" }
}

/// Length of the interval in seconds, near enough.
pub fn interval_seconds(price: Key) -> i64 {
    if price.0 % 7 == 6 { 365 * 86_400 } else { 30 * 86_400 }
}

/// The product that the price belongs to.
pub fn product(world: &World, price: Key) -> Key {
    Key(price.0 % world.base_count(Res::Product))
}

/// One of the one-time prices.
pub fn one_time(world: &World, luck: u64) -> Key {
    let recurring = world.base_count(Res::Plan);
    Key(recurring + hash::below(luck, world.base_count(Res::Price) - recurring))
}
