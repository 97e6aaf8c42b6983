//! Checkout sessions.

use crate::stripe::resource::{Key, Res};
use crate::stripe::world::World;

/// Sessions live for a day; the youngest are open, of the others most were completed.
pub fn status(world: &World, key: Key) -> &'static str {
    let young = world.base_created(Res::CheckoutSession, key) + 86_400 > world.clock_start;
    match key.0 % 4 {
        _ if young => "open",
        3 => "expired",
        _ => "complete",
    }
}
